package dcv_test

import (
	"encoding/json"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"greenroom/internal/dcv"
)

func TestResolveRequest(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		query string
		want  dcv.ResolveRequest
		ok    bool
	}{
		{"sessionId=i-0abc&transport=HTTP&clientIpAddress=192.0.2.1", dcv.ResolveRequest{SessionID: "i-0abc", Transport: "HTTP", ClientAddress: "192.0.2.1"}, true},
		{"sessionId=i-0abc&transport=QUIC&clientIpAddress=2001:db8::1", dcv.ResolveRequest{SessionID: "i-0abc", Transport: "QUIC", ClientAddress: "2001:db8::1"}, true},
		{"sessionId=i-0abc&transport=HTTP", dcv.ResolveRequest{SessionID: "i-0abc", Transport: "HTTP"}, true},
		{"sessionId=i-0abc&transport=HTTP&later=1", dcv.ResolveRequest{SessionID: "i-0abc", Transport: "HTTP"}, true}, // a newer gateway may say more
		{"", dcv.ResolveRequest{}, false},
		{"transport=HTTP", dcv.ResolveRequest{}, false},
		{"sessionId=i-0abc", dcv.ResolveRequest{}, false},
		{"sessionId=i-0abc&transport=SMTP", dcv.ResolveRequest{}, false},
		{"sessionId=i-0abc&transport=HTTP&transport=QUIC", dcv.ResolveRequest{}, false},
		{"sessionId=i-0abc&transport=HTTP&clientIpAddress=here", dcv.ResolveRequest{}, false},
		{"sessionId=%zz&transport=HTTP", dcv.ResolveRequest{}, false},
		{"sessionId=" + strings.Repeat("x", 5000) + "&transport=HTTP", dcv.ResolveRequest{}, false},
	} {
		got, err := dcv.ParseResolveRequest(httptest.NewRequest("POST", dcv.ResolvePath+"?"+c.query, nil))
		if got != c.want || (err == nil) != c.ok || !c.ok && !errors.Is(err, dcv.ErrMalformed) {
			t.Errorf("%.80q: %+v %v", c.query, got, err)
		}
	}
}

func TestResolveAnswer(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(dcv.Resolved(dcv.ResolveRequest{SessionID: "i-0abc", Transport: "QUIC"}, "10.0.0.7"))
	const want = `{"SessionId":"console","TransportProtocol":"QUIC","DcvServerEndpoint":"10.0.0.7","Port":8443,"WebUrlPath":"/"}`
	if err != nil || string(text) != want {
		t.Errorf("%s %v, want %s", text, err, want)
	}
}
