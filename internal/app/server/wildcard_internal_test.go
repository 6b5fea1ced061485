package server

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/advance"
	"greenroom/internal/app/components"
	"greenroom/internal/config"
	"greenroom/internal/dns"
	"greenroom/internal/dns/batch"
	"greenroom/internal/dns/cloudflaredns"
	"greenroom/internal/meetings"
	"greenroom/internal/store/memstore"
	"greenroom/internal/testenv/cloudflare"
)

// gatewayApp is as much of a server with access by gateway in a zone at Cloudflare as names need.
func gatewayApp(t *testing.T, s *cloudflare.Server) *app {
	t.Helper()
	cfg := config.Default()
	cfg.Zone, cfg.Access, cfg.GatewayAddress, cfg.DNS.Provider = "desk.example.com", "gateway", "192.0.2.80", "cloudflare"
	cfg.DataDir = t.TempDir()
	authority, err := openAuthority(cfg)
	if err != nil {
		t.Fatal(err)
	}
	names := batch.New(cloudflareZone(s, "us"))
	a := &app{Options: Options{Config: cfg, Logger: slog.New(slog.DiscardHandler)}}
	a.core = &components.Core{
		Zone: names, Batch: names, Advancer: &advance.Advancer{}, Certificates: &components.Certificates{Local: authority},
		Service: meetings.New(meetings.Options{Store: memstore.New(), Links: meetings.Links{Zone: cfg.Zone}, Logger: a.Logger}),
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error)
	go func() { ended <- names.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	if err := a.openAccess(t.Context()); err != nil {
		t.Fatal(err)
	}
	return a
}

func cloudflareZone(s *cloudflare.Server, owner string) *cloudflaredns.Zone {
	return cloudflaredns.New(cloudflaredns.Options{
		Zone: "desk.example.com", Owner: owner, BaseURL: s.URL(), Token: func(context.Context) (string, error) { return s.Token, nil },
	})
}

func (a *app) sweepTwice(t *testing.T) {
	t.Helper()
	s := &advance.Sweeper{Store: memstore.New(), Records: a.sweptRecords(), Kick: func(string) {}, Now: time.Now, Logger: a.Logger}
	for range 2 {
		if err := s.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWildcardIsKeptUnderGatewayAndGoesUnderDirect(t *testing.T) {
	t.Parallel()
	s := cloudflare.New(t, "example.com")
	a := gatewayApp(t, s)
	left := dns.Record{Name: "i-1.desk.example.com", Address: netip.MustParseAddr("192.0.2.1")}
	if err := a.core.Zone.SetRecords(t.Context(), []dns.Record{left}); err != nil { // under direct access, before
		t.Fatal(err)
	}
	if err := a.wildcard.keep(t.Context()); err != nil {
		t.Fatal(err)
	}
	a.sweepTwice(t)
	got := s.Records()
	if len(got) != 1 || got[0].Name != "*.desk.example.com" || got[0].Content != "192.0.2.80" {
		t.Fatalf("the zone holds %+v, want the wildcard alone", got)
	}

	a.wildcard = nil // access is direct again
	a.sweepTwice(t)
	if got := s.Records(); len(got) != 0 {
		t.Errorf("the zone holds %+v", got)
	}
}

func TestDesktopsWaitForAWildcardThatSomebodyElseHas(t *testing.T) {
	t.Parallel()
	s := cloudflare.New(t, "example.com")
	a := gatewayApp(t, s)
	theirs := dns.Record{Name: "*.desk.example.com", Address: netip.MustParseAddr("192.0.2.7")}
	them := cloudflareZone(s, "them")
	if err := them.SetRecords(t.Context(), []dns.Record{theirs}); err != nil {
		t.Fatal(err)
	}
	desktop := []dns.Record{{Name: "i-1.desk.example.com", Address: netip.MustParseAddr("10.0.0.1")}}
	err := a.core.Advancer.Records.SetRecords(t.Context(), desktop)
	if words := greenroom.Sentence(err, ""); !strings.Contains(words, "*.desk.example.com") || !strings.Contains(words, "remove it") {
		t.Errorf("%v", err)
	}
	calls := len(s.Calls())
	if err := a.core.Advancer.Records.SetRecords(t.Context(), desktop); err == nil || len(s.Calls()) != calls {
		t.Errorf("%v, and %d calls for what was known", err, len(s.Calls())-calls)
	}
	if got := s.Records(); len(got) != 1 || got[0].Content != "192.0.2.7" {
		t.Errorf("what somebody else made is now %+v", got)
	}

	if err := them.DeleteRecords(t.Context(), []string{theirs.Name}); err != nil {
		t.Fatal(err)
	}
	for began := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		err := a.core.Advancer.Records.SetRecords(t.Context(), desktop)
		if errors.Is(err, greenroom.ErrNotFound) { // the record is there, and the desktop is in no meeting
			break
		}
		if time.Since(began) > time.Minute {
			t.Fatalf("still %v", err)
		}
	}
}
