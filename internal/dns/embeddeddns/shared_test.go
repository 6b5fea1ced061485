package embeddeddns_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	miekg "github.com/miekg/dns"

	"greenroom/internal/dns"
	"greenroom/internal/dns/embeddeddns"
)

// told is what a client is told about the label now: an address, or the answer's code.
func told(tb testing.TB, z *embeddeddns.Zone, label string) string {
	tb.Helper()
	m := ask(tb, z, question(label+"."+domain, miekg.TypeA), overUDP)
	if len(m.Answer) == 1 {
		return m.Answer[0].(*miekg.A).A.String()
	}
	return miekg.RcodeToString[m.Rcode]
}

func wantTold(tb testing.TB, z *embeddeddns.Zone, label, want string) {
	tb.Helper()
	if got := told(tb, z, label); got != want {
		tb.Errorf("clients are told %s of %s, want %s", got, label, want)
	}
}

func unset(tb testing.TB, z *embeddeddns.Zone, label string) {
	tb.Helper()
	if err := z.DeleteRecords(tb.Context(), []string{label + "." + domain}); err != nil {
		tb.Fatal(err)
	}
}

func TestTwoZonesOnOneStore(t *testing.T) {
	t.Parallel()
	two := func(t *testing.T) (*memory, *embeddeddns.Zone, *embeddeddns.Zone) {
		m := &memory{}
		return m, openAs(t, m, true), openAs(t, m, true)
	}
	t.Run("WhatOneSetTheOtherAnswersAtOnce", func(t *testing.T) {
		t.Parallel()
		m, a, b := two(t)
		set(t, a, "x", "127.0.1.1")
		wantTold(t, b, "x", "127.0.1.1")
		before := m.looks()
		wantTold(t, b, "x", "127.0.1.1")
		if n := m.looks() - before; n != 0 {
			t.Errorf("a known name was looked up %d times", n)
		}
		set(t, a, "y", "127.0.1.2")
		if got := fmt.Sprint(b.Lookup("Y." + domain + ".")); got != "[127.0.1.2]" {
			t.Errorf("the gateway is told %s", got)
		}
		wantTold(t, b, "z", "NXDOMAIN")
	})
	t.Run("WhatOneDeletedIsGoneAfterReload", func(t *testing.T) {
		t.Parallel()
		_, a, b := two(t)
		set(t, a, "x", "127.0.1.1")
		set(t, a, "y", "127.0.1.2")
		wantTold(t, b, "x", "127.0.1.1")
		wantTold(t, b, "y", "127.0.1.2")
		unset(t, a, "x")
		set(t, a, "y", "127.0.1.3")
		if err := b.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantTold(t, b, "x", "NXDOMAIN")
		wantTold(t, b, "y", "127.0.1.3")
	})
	t.Run("OneDeletesWhatItNeverSaw", func(t *testing.T) {
		t.Parallel()
		_, a, b := two(t)
		set(t, a, "x", "127.0.1.1")
		unset(t, b, "x")
		if err := a.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantTold(t, a, "x", "NXDOMAIN")
	})
	t.Run("OneSetsWhatTheOtherMoved", func(t *testing.T) {
		t.Parallel()
		m, a, b := two(t)
		set(t, a, "x", "127.0.1.1")
		set(t, b, "x", "127.0.1.2")
		set(t, a, "x", "127.0.1.1")
		wantTold(t, openAs(t, m, true), "x", "127.0.1.1")
	})
	t.Run("TheSweepSeesAll", func(t *testing.T) {
		t.Parallel()
		_, a, b := two(t)
		set(t, a, "x", "127.0.1.1")
		if all, err := b.GetRecords(t.Context()); err != nil || len(all) != 1 {
			t.Errorf("listed: %v, %v", all, err)
		}
	})
}

func TestLooks(t *testing.T) {
	t.Parallel()

	t.Run("AloneThereAreNone", func(t *testing.T) {
		t.Parallel()
		m := &memory{}
		z := open(t, m)
		set(t, z, "x", "127.0.1.1")
		wantTold(t, z, "y", "NXDOMAIN")
		unset(t, z, "x")
		if n := m.looks(); n != 0 {
			t.Errorf("%d looks", n)
		}
	})
	t.Run("StrangeNamesAreNotLookedUp", func(t *testing.T) {
		t.Parallel()
		m := &memory{}
		z := openAs(t, m, true)
		for _, name := range []string{domain, "ns." + domain, "*." + domain, "_x." + domain, "example.com"} {
			ask(t, z, question(name, miekg.TypeA), overUDP)
			z.Lookup(name)
		}
		if n := m.looks(); n != 0 {
			t.Errorf("%d looks", n)
		}
	})
	t.Run("RandomNamesDoNotLoadTheStore", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			m := &memory{}
			z := openAs(t, m, true)
			set(t, z, "known", "127.0.1.1")
			const asked = 5000
			answers := map[string]int{}
			for n := range asked {
				answers[told(t, z, fmt.Sprintf("random-%d", n))]++
			}
			if n := m.looks(); n > 200 || answers["NXDOMAIN"] > n || answers["SERVFAIL"] < asked-200 {
				t.Errorf("%d looks, answers %v", n, answers)
			}
			wantTold(t, z, "known", "127.0.1.1")
			set(t, openAs(t, m, true), "new", "127.0.1.2")
			wantTold(t, z, "new", "SERVFAIL") // and never that it does not exist
			time.Sleep(time.Second)
			wantTold(t, z, "new", "127.0.1.2")
		})
	})
	t.Run("ManyQuestionsForOneNameAreOneLook", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			m := &memory{Met: func(_ context.Context, name string) {
				if name != "" {
					time.Sleep(100 * time.Millisecond)
				}
			}}
			z := openAs(t, m, true)
			if err := m.PutRecords(t.Context(), []embeddeddns.Record{{Name: "x." + domain, Address: netip.MustParseAddr("127.0.1.1"), Owner: "us"}}); err != nil {
				t.Fatal(err)
			}
			var wg sync.WaitGroup
			for range 50 {
				wg.Go(func() { wantTold(t, z, "x", "127.0.1.1") })
			}
			wg.Wait()
			if n := m.looks(); n != 1 {
				t.Errorf("%d looks, want 1", n)
			}
		})
	})
	t.Run("StoreThatHangsIsNotWaitedFor", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			m := &memory{Met: func(ctx context.Context, name string) {
				if name != "" {
					<-ctx.Done()
				}
			}}
			z := openAs(t, m, true)
			began := time.Now()
			var wg sync.WaitGroup
			for n := range 100 {
				wg.Go(func() { wantTold(t, z, fmt.Sprint("x", n), "SERVFAIL") })
			}
			wg.Wait()
			if took := time.Since(began); took != 500*time.Millisecond || m.looks() > 16 {
				t.Errorf("%d looks in %s", m.looks(), took)
			}
		})
	})
	t.Run("StoreThatFailsIsNoDenial", func(t *testing.T) {
		t.Parallel()
		m := &memory{}
		z := openAs(t, m, true)
		broken := errors.New("no connection")
		m.NextErr = broken
		wantTold(t, z, "x", "SERVFAIL")
		m.NextErr = broken
		err := z.SetRecords(t.Context(), []dns.Record{{Name: "x." + domain, Address: netip.MustParseAddr("127.0.1.1")}})
		if r, ok := errors.AsType[*dns.RecordError](err); !ok || !errors.Is(err, broken) || r.Name != "x."+domain {
			t.Errorf("set: %v", err)
		}
		m.NextErr = broken
		if err := z.DeleteRecords(t.Context(), []string{"x." + domain}); !errors.Is(err, broken) {
			t.Errorf("delete: %v", err)
		}
		m.NextErr = broken
		if err := z.Reload(t.Context()); !errors.Is(err, broken) {
			t.Errorf("reload: %v", err)
		}
	})
}

func TestNothingOldComesBack(t *testing.T) {
	t.Parallel()

	t.Run("LookThatADeletionOvertook", func(t *testing.T) {
		t.Parallel()
		m := &memory{}
		a, b := openAs(t, m, true), openAs(t, m, true)
		set(t, a, "x", "127.0.1.1")
		var overtaken atomic.Bool
		m.Met = func(context.Context, string) {
			if overtaken.CompareAndSwap(false, true) { // the deletion looks, too
				unset(t, b, "x")
			}
		}
		wantTold(t, b, "x", "127.0.1.1") // as it was when it was read
		wantTold(t, b, "x", "NXDOMAIN")
	})
	t.Run("ReloadThatASetOvertook", func(t *testing.T) {
		t.Parallel()
		m := &memory{}
		z := openAs(t, m, true)
		var wg sync.WaitGroup
		var overtaken atomic.Bool
		m.Met = func(context.Context, string) {
			if overtaken.CompareAndSwap(false, true) {
				wg.Go(func() { set(t, z, "x", "127.0.1.1") }) // now or when the reload is done
			}
		}
		if err := z.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		before := m.looks()
		wantTold(t, z, "x", "127.0.1.1")
		if m.looks() != before {
			t.Error("the reload lost what was set meanwhile")
		}
	})
	t.Run("EverybodyAtOnce", func(t *testing.T) {
		t.Parallel()
		m := &memory{}
		zones := []*embeddeddns.Zone{openAs(t, m, true), openAs(t, m, true)}
		var wg sync.WaitGroup
		for n, z := range zones {
			for label := range 4 {
				wg.Go(func() {
					for i := range 100 {
						set(t, z, fmt.Sprint("x", label), fmt.Sprintf("127.0.%d.%d", n+1, i+1))
						if i%3 == label%3 {
							unset(t, z, fmt.Sprint("x", label))
						}
					}
				})
				wg.Go(func() {
					for range 200 {
						told(t, z, fmt.Sprint("x", label))
					}
				})
			}
			wg.Go(func() {
				for range 50 {
					if err := z.Reload(t.Context()); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		for _, z := range zones {
			if err := z.Reload(t.Context()); err != nil {
				t.Fatal(err)
			}
			for label := range 4 {
				name := fmt.Sprint("x", label, ".", domain)
				want, err := m.record(name)
				if got := z.Lookup(name); !slices.Equal(got, dns.NewRecord(name, want.Address).Addresses()) {
					t.Errorf("%s is %v, and the store has %v, %v", name, got, want, err)
				}
			}
		}
	})
}
