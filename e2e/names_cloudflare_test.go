package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/httpapi/wire"
	"greenroom/internal/testenv/cloudflare"
)

// TestTroubleAtCloudflare goes through what may go wrong with a provider, one after the other, and mends it. Each time the
// organiser, the participant and the operator are told which trouble it is, and the meeting goes on by itself.
func TestTroubleAtCloudflare(t *testing.T) {
	t.Parallel()
	const zone = "cloud.example.com"
	api := cloudflare.New(t, zone)
	var cut atomic.Bool
	api.Fault = func(w http.ResponseWriter, _ *http.Request) bool {
		if cut.Load() {
			panic(http.ErrAbortHandler) // the connection breaks
		}
		return false
	}
	servers := newNameServer(t, func(name string) []string {
		var out []string
		for _, r := range api.Records() {
			if r.Name == name && r.Type == "A" {
				out = append(out, r.Content)
			}
		}
		return out
	})
	api.Plant(cloudflare.Record{Name: "www." + zone, Type: "A", Content: "192.0.2.9", TTL: 60})
	token := filepath.Join(t.TempDir(), "token")
	write(t, token, "expired")
	s := newNamed(t, fmt.Sprintf("zone: %s\ndns: {provider: cloudflare, token: %q, endpoint: %q, servers: [%q]}\n", zone, "file:"+token, api.URL(), servers))
	s.start()

	tell := func(id, words string) wire.Meeting {
		m := s.becomes(id, "the trouble "+words, func(m wire.Meeting) bool { return strings.Contains(trouble(m.Seats[0].Desktop), words) })
		if got := s.lobby(m.Seats[0].JoinURL); !strings.Contains(got, words) {
			t.Errorf("the lobby says %s, want %q", got, words)
		}
		return m
	}
	once := func(m wire.Meeting, words string) {
		if n := s.said(m.ID, m.Seats[0].Role, words); n != 1 {
			t.Errorf("the timeline tells %d times that %q", n, words)
		}
	}

	// A token that expired, until the file has another.
	const refused = "does not let this token (dns.token) change the zone"
	m := tell(mustSchedule(t, s, "Expired token", "now").ID, refused)
	s.until("several tries", func(context.Context) bool { return len(api.Calls()) > 4 })
	write(t, token, api.Token)
	m = s.proved(m.ID)
	once(m, refused)
	reaches(t, servers, m.Seats[0].Desktop.Hostname, "", s.authority())

	// Nobody there; and then a record of somebody else under one of the names.
	cut.Store(true)
	const silent = "does not answer"
	second := tell(mustSchedule(t, s, "Unreachable", "now").ID, silent)
	foreign := cloudflare.Record{Name: second.Seats[0].Desktop.Hostname, Type: "CNAME", Content: "elsewhere.example.com", TTL: 60}
	api.Plant(foreign)
	cut.Store(false)
	ready := s.proved(second.ID)
	once(second, silent)
	const taken = "that is not greenroom's"
	once(second, taken)
	if d := ready.Seats[0].Desktop; d.Attempt != 2 || d.Hostname == foreign.Name {
		t.Errorf("the name that somebody else has was not given up: attempt %d, %s", d.Attempt, d.Hostname)
	}

	// Told to keep quiet.
	api.BlockFor(4 * time.Second)
	third := s.proved(mustSchedule(t, s, "Throttled", "now").ID)
	if n := api.Early(); n > 1 {
		t.Errorf("%d requests while none was wanted", n)
	}
	for _, m := range []wire.Meeting{m, ready, third} {
		s.ended(m.ID)
	}
	kept := map[string]string{}
	for _, r := range api.Records() {
		kept[r.Name] = r.Content
	}
	if len(kept) != 2 || kept["www."+zone] != "192.0.2.9" || kept[foreign.Name] != foreign.Content {
		t.Errorf("left in the zone: %v", kept)
	}
	log, _ := os.ReadFile(s.log())
	for _, words := range []string{"Invalid access token", "EOF", "not ours"} {
		if !strings.Contains(string(log), words) {
			t.Errorf("the log does not say %q", words)
		}
	}
	s.nothingLeft()
}

// TestZoneOfSomebodyElse has a token for another zone than the configured one.
func TestZoneOfSomebodyElse(t *testing.T) {
	t.Parallel()
	api := cloudflare.New(t, "ours.example.com")
	s := newNamed(t, fmt.Sprintf("zone: theirs.example.net\ndns: {provider: cloudflare, token: %s, endpoint: %q}\n", api.Token, api.URL()))
	s.start()
	m := mustSchedule(t, s, "Wrong zone", "now")
	m = s.becomes(m.ID, "the trouble", func(m wire.Meeting) bool { return trouble(m.Seats[0].Desktop) != "" })
	if got := trouble(m.Seats[0].Desktop); !strings.Contains(got, "theirs.example.net") || m.Seats[0].Desktop.Phase != greenroom.Naming {
		t.Errorf("a desktop that is %s says %q", m.Seats[0].Desktop.Phase, got)
	}
	s.endsUnnamed(m)
}
