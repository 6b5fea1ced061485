package httpapi_test

import (
	"encoding/json"
	"net/netip"
	"testing"

	"greenroom"
)

// TestResolveSession asks as Amazon's DCV Connection Gateway is documented to.
func TestResolveSession(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(s *setup) { s.api.Resolvers = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} })
	m := r.scheduled()
	r.ready(m.ID)
	stored, err := r.store.Meeting(t.Context(), m.ID)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(query string) answer {
		return r.call("POST", "/resolveSession?"+query, nil, "accept", "application/json")
	}
	id := stored.Seat("teacher").Desktop.InstanceID

	got := ask("sessionId=" + id + "&transport=HTTP&clientIpAddress=192.0.2.1")
	var doc map[string]any
	if err := json.Unmarshal(got.body, &doc); err != nil || got.status != 200 || got.header.Get("Content-Type") != "application/json" {
		t.Fatalf("%d %s", got.status, got.body)
	}
	want := map[string]any{"SessionId": "console", "TransportProtocol": "HTTP", "DcvServerEndpoint": "127.0.1.9", "Port": 8443.0, "WebUrlPath": "/"}
	for name, value := range want {
		if doc[name] != value {
			t.Errorf("%s is %v, want %v", name, doc[name], value)
		}
	}
	if got := ask("sessionId=" + id + "&transport=QUIC"); got.status != 200 {
		t.Errorf("QUIC, without an address: %d %s", got.status, got.body)
	}
	problem(t, ask("sessionId=i-00000000000000000&transport=HTTP"), 404)
	problem(t, ask("sessionId=console&transport=HTTP"), 404)
	problem(t, ask("sessionId="+id), 400)
	if got := r.call("GET", "/resolveSession?sessionId="+id+"&transport=HTTP", nil); got.status != 405 {
		t.Errorf("GET: %d %s", got.status, got.body)
	}
	r.change(m.ID, func(m *greenroom.Meeting) []greenroom.Event {
		m.Seat("teacher").Desktop.Phase = greenroom.Terminating
		return nil
	})
	problem(t, ask("sessionId="+id+"&transport=HTTP"), 404)
}

func TestResolveSessionIsForItsNetworks(t *testing.T) {
	t.Parallel()
	for status, networks := range map[int][]netip.Prefix{403: {netip.MustParsePrefix("192.0.2.0/24")}, 404: nil} {
		r := newRig(t, func(s *setup) { s.api.Resolvers = networks })
		if got := r.call("POST", "/resolveSession?sessionId=i-00000000000000000&transport=HTTP", nil); got.status != status {
			t.Errorf("%d %s, want %d", got.status, got.body, status)
		}
	}
}
