package embeddeddns_test

import (
	"context"
	"errors"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"

	miekg "github.com/miekg/dns"

	"greenroom"
	"greenroom/internal/dns"
	"greenroom/internal/dns/dnstest"
	"greenroom/internal/dns/embeddeddns"
)

const domain = "desk.localhost"

// memory keeps a zone as the store would.
type memory struct {
	mu      sync.Mutex
	names   map[string]embeddeddns.Record
	NextErr error // the next call fails with it
	Puts    int   // records written, those that were so already included
	Looks   int   // calls of Record

	// Met is called between reading and answering, with what was asked for: a name, or "" for all. Nil is fine.
	Met func(ctx context.Context, name string)
}

func (m *memory) met(ctx context.Context, name string) {
	if m.Met != nil {
		m.Met(ctx, name)
	}
}

func (m *memory) fail() error {
	err := m.NextErr
	m.NextErr = nil
	return err
}

func (m *memory) PutRecords(ctx context.Context, records []embeddeddns.Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := errors.Join(ctx.Err(), m.fail()); err != nil {
		return err
	}
	if m.names == nil {
		m.names = map[string]embeddeddns.Record{}
	}
	for _, r := range records {
		m.names[r.Name] = r
		m.Puts++
	}
	return nil
}

func (m *memory) DeleteRecords(ctx context.Context, names []string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := errors.Join(ctx.Err(), m.fail()); err != nil {
		return err
	}
	for _, name := range names {
		delete(m.names, name)
	}
	return nil
}

func (m *memory) Records(ctx context.Context) ([]embeddeddns.Record, error) {
	defer m.met(ctx, "")
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Values(m.names)), m.fail()
}

func (m *memory) Record(ctx context.Context, name string) (embeddeddns.Record, error) {
	r, err := m.record(name)
	m.met(ctx, name)
	if ctx.Err() != nil {
		return embeddeddns.Record{}, ctx.Err()
	}
	return r, err
}

func (m *memory) record(name string) (embeddeddns.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.Looks++
	if err := m.fail(); err != nil {
		return embeddeddns.Record{}, err
	}
	r, ok := m.names[name]
	if !ok {
		return r, greenroom.ErrNotFound
	}
	return r, nil
}

func (m *memory) looks() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.Looks
}

func open(tb testing.TB, m *memory) *embeddeddns.Zone {
	tb.Helper()
	return openAs(tb, m, false)
}

func openAs(tb testing.TB, m *memory, shared bool) *embeddeddns.Zone {
	tb.Helper()
	return openOwned(tb, m, "us", shared)
}

func openOwned(tb testing.TB, m *memory, owner string, shared bool) *embeddeddns.Zone {
	tb.Helper()
	z, err := embeddeddns.Open(tb.Context(), embeddeddns.Options{Zone: domain, Owner: owner, Records: m, Shared: shared})
	if err != nil {
		tb.Fatal(err)
	}
	return z
}

func set(tb testing.TB, z *embeddeddns.Zone, label, address string) {
	tb.Helper()
	r := dns.Record{Name: label + "." + domain, Address: netip.MustParseAddr(address)}
	if err := z.SetRecords(tb.Context(), []dns.Record{r}); err != nil {
		tb.Fatal(err)
	}
}

// serve serves z on free loopback ports until the test ends, and returns the port, which is that of both.
func serve(tb testing.TB, z *embeddeddns.Zone) string {
	tb.Helper()
	packets, listener := sockets(tb)
	ctx, cancel := context.WithCancel(tb.Context())
	done := make(chan error, 1)
	go func() { done <- z.Serve(ctx, packets, listener) }()
	tb.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			tb.Errorf("serve: %v", err)
		}
	})
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	return port
}

// sockets listens on the same free port over both.
func sockets(tb testing.TB) (net.PacketConn, net.Listener) {
	tb.Helper()
	for range 20 { // a port that is free over UDP may be taken over TCP
		packets, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			tb.Fatal(err)
		}
		if listener, err := net.Listen("tcp", packets.LocalAddr().String()); err == nil {
			return packets, listener
		}
		packets.Close()
	}
	tb.Fatal("no port is free over both UDP and TCP")
	return nil, nil
}

func TestConformance(t *testing.T) {
	t.Parallel()
	for name, shared := range map[string]bool{"Alone": false, "Shared": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conformance(t, shared)
		})
	}
}

// published is what a client is told, which is what the listener for desktops is told, too.
func published(t *testing.T, z *embeddeddns.Zone, name string) dns.Record {
	t.Helper()
	var told []netip.Addr
	for _, kind := range []uint16{miekg.TypeA, miekg.TypeAAAA} {
		for _, rr := range ask(t, z, question(name, kind), overUDP).Answer {
			switch rr := rr.(type) {
			case *miekg.A:
				a, _ := netip.AddrFromSlice(rr.A.To4())
				told = append(told, a)
			case *miekg.AAAA:
				a, _ := netip.AddrFromSlice(rr.AAAA)
				told = append(told, a)
			}
		}
	}
	if found := z.Lookup(name); !slices.Equal(found, told) {
		t.Errorf("the listener finds %v of %s, and clients are told %v", found, name, told)
	}
	return dns.NewRecord(name, told...)
}

func conformance(t *testing.T, shared bool) {
	dnstest.Run(t, func(t *testing.T) dnstest.Harness {
		m := &memory{}
		z := openAs(t, m, shared)
		return dnstest.Harness{
			Zone:   z,
			Domain: domain,
			Plant: func(t *testing.T, r dns.Record) {
				planted := embeddeddns.Record{Name: r.Name, Address: r.Address, Address6: r.Address6, Owner: "them"}
				if err := m.PutRecords(t.Context(), []embeddeddns.Record{planted}); err != nil {
					t.Fatal(err)
				}
			},
			Reopen:    func(t *testing.T) dns.Zone { z = openAs(t, m, shared); return z },
			Other:     func(t *testing.T) dns.Zone { return openOwned(t, m, "them", shared) },
			Published: func(t *testing.T, name string) dns.Record { return published(t, z, name) },
		}
	})
}

func TestKeptFirst(t *testing.T) {
	t.Parallel()
	broken := errors.New("disk full")

	t.Run("WhatIsNotKeptIsNotServed", func(t *testing.T) {
		t.Parallel()
		m := &memory{}
		z := open(t, m)
		m.NextErr = broken
		name := "a." + domain
		err := z.SetRecords(t.Context(), []dns.Record{{Name: name, Address: netip.MustParseAddr("127.0.1.1")}})
		if r, ok := errors.AsType[*dns.RecordError](err); !ok || r.Name != name || !errors.Is(err, broken) {
			t.Errorf("got %v, want a RecordError of %s that wraps %v", err, name, broken)
		}
		if len(z.Lookup(name)) > 0 {
			t.Error("it is served all the same")
		}
	})
	t.Run("WhatIsStillKeptIsStillServed", func(t *testing.T) {
		t.Parallel()
		m := &memory{}
		z := open(t, m)
		set(t, z, "a", "127.0.1.1")
		m.NextErr = broken
		if err := z.DeleteRecords(t.Context(), []string{"a." + domain}); !errors.Is(err, broken) {
			t.Errorf("got %v, want %v", err, broken)
		}
		if len(z.Lookup("a."+domain)) == 0 {
			t.Error("it is served no more, and would come back with a restart")
		}
	})
	t.Run("WhatIsSoIsNotWrittenAgain", func(t *testing.T) {
		t.Parallel()
		m := &memory{}
		z := open(t, m)
		set(t, z, "a", "127.0.1.1")
		set(t, z, "a", "127.0.1.1")
		if m.Puts != 1 {
			t.Errorf("%d writes, want 1", m.Puts)
		}
	})
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		zone string
		kept embeddeddns.Record
	}{
		"a zone in capitals":        {zone: "Desk.localhost"},
		"an empty zone":             {zone: ""},
		"a kept name of elsewhere":  {domain, embeddeddns.Record{Name: "a.example.com", Address: netip.MustParseAddr("127.0.1.1")}},
		"a kept name without place": {domain, embeddeddns.Record{Name: "a." + domain}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := &memory{}
			if c.kept.Name != "" {
				if err := m.PutRecords(t.Context(), []embeddeddns.Record{c.kept}); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := embeddeddns.Open(t.Context(), embeddeddns.Options{Zone: c.zone, Records: m}); !errors.Is(err, greenroom.ErrPermanent) {
				t.Errorf("got %v, want %v", err, greenroom.ErrPermanent)
			}
		})
	}
}

func TestNamesThatCannotBe(t *testing.T) {
	t.Parallel()
	z := open(t, &memory{})
	for name, want := range map[string]error{
		domain:              greenroom.ErrPermanent,
		"A." + domain:       greenroom.ErrPermanent,
		"a." + domain + ".": greenroom.ErrPermanent,
		"*." + domain:       greenroom.ErrPermanent,
		"-a." + domain:      greenroom.ErrPermanent,
		"a..b." + domain:    greenroom.ErrPermanent,
		"a b." + domain:     greenroom.ErrPermanent,
		"x" + domain:        greenroom.ErrPermanent,
		"ns." + domain:      greenroom.ErrConflict,
	} {
		err := z.SetRecords(t.Context(), []dns.Record{{Name: name, Address: netip.MustParseAddr("127.0.1.1")}})
		if !errors.Is(err, want) {
			t.Errorf("%q: got %v, want %v", name, err, want)
		}
	}
	err := z.SetRecords(t.Context(), []dns.Record{{Name: "a." + domain, Address: netip.MustParseAddr("::1")}})
	if !errors.Is(err, greenroom.ErrPermanent) {
		t.Errorf("an IPv6 address: got %v, want %v", err, greenroom.ErrPermanent)
	}
}

func TestLookup(t *testing.T) {
	t.Parallel()
	z := open(t, &memory{})
	set(t, z, "a", "127.0.1.1")
	for name, want := range map[string]bool{
		"a." + domain: true, "A.Desk.LocalHost.": true,
		"b." + domain: false, domain: false, "ns." + domain: false, "": false, "a.desk.localhost.example": false,
	} {
		if got := len(z.Lookup(name)) > 0; got != want {
			t.Errorf("%q: %v, want %v", name, got, want)
		}
	}
}
