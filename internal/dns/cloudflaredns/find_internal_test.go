package cloudflaredns

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"greenroom"
	"greenroom/internal/dns"
	"greenroom/internal/testenv/cloudflare"
)

// TestZoneThatMovesAwayIsNoticed: nothing is written any more where nobody would see it, also by a server that runs for long.
func TestZoneThatMovesAwayIsNoticed(t *testing.T) {
	t.Parallel()
	s := cloudflare.New(t, "example.com")
	z := New(Options{Zone: "desk.example.com", Owner: "us", BaseURL: s.URL(), Token: func(context.Context) (string, error) { return s.Token, nil }})
	set := func(label string) error {
		return z.SetRecords(t.Context(), []dns.Record{{Name: label + ".desk.example.com", Address: netip.MustParseAddr("192.0.2.1")}})
	}
	if err := set("a"); err != nil {
		t.Fatal(err)
	}
	s.Status = "moved"
	if err := set("b"); err != nil { // known for less than an hour
		t.Fatal(err)
	}
	z.mu.Lock()
	z.found = z.found.Add(-infoFor)
	z.mu.Unlock()
	if err := set("c"); err == nil || !strings.Contains(greenroom.Sentence(err, ""), "is moved, not active") {
		t.Errorf("%v", err)
	}
	if got := len(s.Records()); got != 2 {
		t.Errorf("%d records", got)
	}
	s.Status, s.ZoneID = "active", "0123456789abcdef0123456789abcdef" // it is back, made anew
	if err := set("d"); err != nil || len(s.Records()) != 3 {
		t.Errorf("%d records, %v", len(s.Records()), err)
	}
}
