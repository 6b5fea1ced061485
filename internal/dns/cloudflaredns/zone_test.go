package cloudflaredns_test

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/dns"
	"greenroom/internal/dns/batch"
	"greenroom/internal/dns/cloudflaredns"
	"greenroom/internal/dns/dnstest"
	"greenroom/internal/testenv/cloudflare"
)

const domain = "desk.example.com"

func open(s *cloudflare.Server, owner string) *cloudflaredns.Zone {
	return cloudflaredns.New(options(s, owner))
}

func options(s *cloudflare.Server, owner string) cloudflaredns.Options {
	return cloudflaredns.Options{
		Zone: domain, Owner: owner, BaseURL: s.URL(),
		Token: func(context.Context) (string, error) { return s.Token, nil },
	}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	for _, plan := range []cloudflare.Plan{cloudflare.Free, cloudflare.Pro} {
		t.Run(plan.ID, func(t *testing.T) {
			t.Parallel()
			harness := func(t *testing.T) dnstest.Harness {
				s := cloudflare.New(t, "example.com")
				s.Plan = plan
				return dnstest.Harness{
					Zone: open(s, "us"), Domain: domain,
					Plant: func(_ *testing.T, r dns.Record) {
						for kind, a := range map[string]netip.Addr{"A": r.Address, "AAAA": r.Address6} {
							if a.IsValid() {
								s.Plant(cloudflare.Record{Name: r.Name, Type: kind, Content: a.String(), TTL: 300, Comment: "the printer"})
							}
						}
					},
					Reopen:    func(*testing.T) dns.Zone { return open(s, "us") },
					Other:     func(*testing.T) dns.Zone { return open(s, "them") },
					Published: func(t *testing.T, name string) dns.Record { return published(t, s, name) },
				}
			}
			dnstest.Run(t, harness)
			dnstest.RunWildcard(t, harness)
		})
	}
}

func published(t *testing.T, s *cloudflare.Server, name string) dns.Record {
	t.Helper()
	var found []netip.Addr
	for _, r := range s.Records() {
		if r.Name == name && (r.Type == "A" || r.Type == "AAAA") {
			found = append(found, netip.MustParseAddr(r.Content))
		}
	}
	r := dns.NewRecord(name, found...)
	if len(found) != len(r.Addresses()) {
		t.Errorf("%s has %v", name, found)
	}
	return r
}

func TestTexts(t *testing.T) {
	t.Parallel()
	dnstest.RunTexts(t, func(t *testing.T) dnstest.TextHarness {
		s := cloudflare.New(t, "example.com")
		return dnstest.TextHarness{Texts: open(s, "us"), Other: open(s, "them"), Domain: domain, Published: func(_ *testing.T, name string) []string {
			var all []string
			for _, r := range s.Records() {
				if r.Name == name && r.Type == "TXT" {
					all = append(all, strings.Trim(r.Content, `"`))
				}
			}
			return all
		}}
	})
}

func record(label string) dns.Record {
	return dns.Record{Name: label + "." + domain, Address: netip.MustParseAddr("192.0.2.1")}
}

func set(z dns.Zone, t *testing.T, labels ...string) error {
	var records []dns.Record
	for _, l := range labels {
		records = append(records, record(l))
	}
	return z.SetRecords(t.Context(), records)
}

func TestFaults(t *testing.T) {
	t.Parallel()

	t.Run("WrongTokenSaysWhichRightsAreMissing", func(t *testing.T) {
		t.Parallel()
		s := cloudflare.New(t, "example.com")
		o := options(s, "us")
		o.Token = func(context.Context) (string, error) { return "stolen", nil }
		err := set(cloudflaredns.New(o), t, "a")
		if !errors.Is(err, greenroom.ErrForbidden) || !strings.Contains(err.Error(), "DNS Edit") {
			t.Error(err)
		}
	})

	t.Run("ARefusedTokenIsTold", func(t *testing.T) {
		t.Parallel()
		s := cloudflare.New(t, "example.com")
		o, refused := options(s, "us"), 0
		o.Refused = func() { refused++ }
		z := cloudflaredns.New(o)
		if err := set(z, t, "a"); err != nil || refused > 0 {
			t.Fatalf("%v, refused %d times", err, refused)
		}
		o.Token = func(context.Context) (string, error) { return "of yesterday", nil }
		if err := set(cloudflaredns.New(o), t, "b"); err == nil || refused == 0 {
			t.Errorf("%v, refused %d times", err, refused)
		}
	})

	t.Run("ATokenThatIsReplacedServesAtOnce", func(t *testing.T) {
		t.Parallel()
		s := cloudflare.New(t, "example.com")
		z := open(s, "us")
		if err := set(z, t, "a"); err != nil {
			t.Fatal(err)
		}
		s.Token = "the new one"
		if err := set(z, t, "b"); err != nil {
			t.Error(err)
		}
	})

	t.Run("WrongZone", func(t *testing.T) {
		t.Parallel()
		s := cloudflare.New(t, "other.example")
		if err := set(open(s, "us"), t, "a"); !errors.Is(err, greenroom.ErrForbidden) || !strings.Contains(err.Error(), domain) {
			t.Error(err)
		}
		o := options(s, "us")
		o.ZoneID = s.ZoneID
		if err := set(cloudflaredns.New(o), t, "a"); !errors.Is(err, greenroom.ErrPermanent) || !strings.Contains(err.Error(), "other.example") {
			t.Error(err)
		}
		o.ZoneID = "nonsense"
		if err := set(cloudflaredns.New(o), t, "a"); !errors.Is(err, greenroom.ErrPermanent) {
			t.Error(err)
		}
	})

	t.Run("Unreachable", func(t *testing.T) {
		t.Parallel()
		s := cloudflare.New(t, "example.com")
		o := options(s, "us")
		o.BaseURL = "http://127.0.0.1:1"
		err := set(cloudflaredns.New(o), t, "a")
		for _, kind := range []error{greenroom.ErrPermanent, greenroom.ErrForbidden, greenroom.ErrConflict} {
			if err == nil || errors.Is(err, kind) {
				t.Errorf("%v is not transient", err)
			}
		}
	})

	t.Run("NothingIsSentBeforeRetryAfter", func(t *testing.T) {
		t.Parallel()
		s := cloudflare.New(t, "example.com")
		z := open(s, "us")
		if err := set(z, t, "a"); err != nil {
			t.Fatal(err)
		}
		s.BlockFor(time.Minute)
		err := set(z, t, "b")
		throttled, ok := errors.AsType[*dns.ThrottledError](err)
		if !ok || !errors.Is(err, greenroom.ErrThrottled) || time.Until(throttled.Until) < 50*time.Second {
			t.Fatalf("%v", err)
		}
		calls := len(s.Calls())
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		for range 3 {
			if err := z.SetRecords(ctx, []dns.Record{record("c")}); !errors.Is(err, greenroom.ErrThrottled) {
				t.Errorf("%v", err)
			}
			if _, err := z.GetRecords(ctx); !errors.Is(err, greenroom.ErrThrottled) {
				t.Errorf("%v", err)
			}
		}
		if got := len(s.Calls()); got != calls {
			t.Errorf("%d calls were made during the block", got-calls)
		}
		if at := z.NextCall(); time.Until(at) < 50*time.Second {
			t.Errorf("the next call may be made at %v", at)
		}
	})

	t.Run("OneBadRecordDoesNotFailItsMatesWhoeverFindsIt", func(t *testing.T) {
		t.Parallel()
		s := cloudflare.New(t, "example.com")
		o := options(s, "us")
		o.Proxied = true
		z := cloudflaredns.New(o)
		bad := dns.Record{Name: "bad." + domain, Address: netip.MustParseAddr("127.0.0.1")} // the edge cannot reach it
		err := z.SetRecords(t.Context(), []dns.Record{record("a"), bad, record("b"), record("c")})
		if err == nil || !errors.Is(err, greenroom.ErrPermanent) || strings.Contains(err.Error(), "a."+domain) {
			t.Errorf("%v", err)
		}
		if got := len(s.Records()); got != 3 {
			t.Errorf("%d records, want 3", got)
		}
	})

	t.Run("AFullZoneTakesWhatFitsWithFewCalls", func(t *testing.T) {
		t.Parallel()
		s := cloudflare.New(t, "example.com")
		s.Plan = cloudflare.Free
		for i := range 190 {
			s.Plant(cloudflare.Record{Name: "x" + string(rune('a'+i%26)) + ".example.com", Type: "TXT", Content: string(rune('a' + i/26))})
		}
		z := open(s, "us")
		var labels []string
		for i := range 100 {
			labels = append(labels, "n"+string(rune('a'+i/10))+string(rune('a'+i%10)))
		}
		err := set(z, t, labels...)
		if !errors.Is(err, greenroom.ErrCapacity) || !strings.Contains(err.Error(), "larger plan") {
			t.Errorf("%v", err)
		}
		if got := len(s.Records()); got != 200 {
			t.Errorf("the zone has %d records, want 200", got)
		}
		if got := len(s.Calls()); got > 25 {
			t.Errorf("%d calls", got)
		}
	})

	t.Run("WhatOthersDidSinceTheLastLookIsNoticed", func(t *testing.T) {
		t.Parallel()
		s := cloudflare.New(t, "example.com")
		here, there := open(s, "us"), open(s, "us") // two replicas
		if err := errors.Join(set(here, t, "a", "b"), set(there, t, "c")); err != nil {
			t.Fatal(err)
		}
		if err := there.DeleteRecords(t.Context(), []string{"a." + domain, "b." + domain}); err != nil {
			t.Fatal(err)
		}
		if err := here.DeleteRecords(t.Context(), []string{"a." + domain}); err != nil {
			t.Error(err)
		}
		b := record("b")
		b.Address = netip.MustParseAddr("192.0.2.9")
		if err := here.SetRecords(t.Context(), []dns.Record{b}); err != nil {
			t.Error(err)
		}
		if got := published(t, s, b.Name); got.Address != b.Address {
			t.Errorf("%v", got)
		}
		s.Plant(cloudflare.Record{Name: "d." + domain, Type: "CNAME", Content: "elsewhere.example"})
		if err := set(here, t, "d", "e"); !errors.Is(err, greenroom.ErrConflict) {
			t.Errorf("%v", err)
		}
		if got := published(t, s, "e."+domain); !got.Address.IsValid() {
			t.Error("e is missing")
		}
	})

	t.Run("AnAnswerThatIsLostIsLookedFor", func(t *testing.T) {
		t.Parallel()
		s := cloudflare.New(t, "example.com")
		z := open(s, "us")
		if err := set(z, t, "a"); err != nil {
			t.Fatal(err)
		}
		lost := false
		s.Fault = func(w http.ResponseWriter, r *http.Request) bool {
			if lost || !strings.HasSuffix(r.URL.Path, "/batch") {
				return false
			}
			lost = true
			s.Plant(cloudflare.Record{Name: "b." + domain, Type: "A", Content: "192.0.2.1", TTL: 60, Comment: dns.Mark("us")})
			panic(http.ErrAbortHandler)
		}
		if err := set(z, t, "b"); err == nil {
			t.Fatal("no error")
		}
		if err := set(z, t, "b"); err != nil {
			t.Error(err)
		}
		if got := published(t, s, "b."+domain); !got.Address.IsValid() {
			t.Error("b is missing")
		}
	})
}

func TestRecordsCarryMarkTagAndTTL(t *testing.T) {
	t.Parallel()
	s := cloudflare.New(t, "example.com")
	o := options(s, "us")
	o.TTL = 2 * time.Minute
	if err := set(cloudflaredns.New(o), t, "a"); err != nil {
		t.Fatal(err)
	}
	got := s.Records()[0]
	if got.Comment != "heritage=greenroom,greenroom/owner=us" || !slices.Equal(got.Tags, []string{"greenroom:us"}) || got.TTL != 120 || got.Proxied {
		t.Errorf("%+v", got)
	}
	s = cloudflare.New(t, "example.com")
	s.Plan = cloudflare.Free
	o = options(s, "us")
	o.Proxied = true
	if err := set(cloudflaredns.New(o), t, "a"); err != nil {
		t.Fatal(err)
	}
	if got := s.Records()[0]; !got.Proxied || len(got.Tags) > 0 {
		t.Errorf("%+v", got)
	}
}

func TestThousandDesktops(t *testing.T) {
	t.Parallel()
	s := cloudflare.New(t, "example.com")
	z := open(s, "us")
	if _, err := z.Info(t.Context()); err != nil { // the plan, and with it the size of batches
		t.Fatal(err)
	}
	gathered := batch.New(z)
	dnstest.Thousand(t, gathered, gathered.Run, domain, func() int { return len(s.Records()) }, func() int {
		n := 0
		for _, call := range s.Calls() {
			if strings.HasSuffix(call, "/batch") {
				n++
			}
		}
		return n
	}, 2)
	if s.Early() > 0 || len(s.Calls()) > 10 {
		t.Errorf("%d calls, %d of them in a block: %q", len(s.Calls()), s.Early(), s.Calls())
	}
}
