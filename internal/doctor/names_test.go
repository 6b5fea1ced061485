package doctor

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	miekg "github.com/miekg/dns"

	"greenroom"
	"greenroom/internal/dns"
	"greenroom/internal/testenv/ipv6"
)

// world is a resolver, the servers of example.com and two of desk.example.com, all on one port of addresses of their own.
type world struct {
	Names
	facts  dns.Facts
	errs   []error
	denied error // of writes

	mu      sync.Mutex
	records map[string][]miekg.RR // by the server's address
	mute    map[string]bool       // servers that do not speak for the zone
}

const (
	resolver = "127.0.0.2"
	above    = "127.0.0.3"
	first    = "127.0.0.4"
	second   = "127.0.0.5"
)

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{records: map[string][]miekg.RR{}, mute: map[string]bool{}}
	var sockets []net.PacketConn
	for len(sockets) < 4 { // until a port is free on all
		for _, s := range sockets {
			s.Close()
		}
		sockets = nil
		port := "0"
		for _, address := range []string{resolver, above, first, second} {
			s, err := net.ListenPacket("udp", net.JoinHostPort(address, port))
			if err != nil {
				break
			}
			_, port, _ = net.SplitHostPort(s.LocalAddr().String())
			w.DNSPort = port
			sockets = append(sockets, s)
		}
	}
	for _, s := range sockets {
		at, _, _ := net.SplitHostPort(s.LocalAddr().String())
		w.serve(t, s, at)
	}
	w.put(t, resolver, "example.com. 60 IN NS ns.example.com.", "ns.example.com. 60 IN A "+above)
	w.put(t, above, "desk.example.com. 60 IN NS ns1.desk.example.com.", "desk.example.com. 60 IN NS ns2.desk.example.com.", "ns1.desk.example.com. 60 IN A "+first, "ns2.desk.example.com. 60 IN A "+second)
	for _, server := range []string{first, second} {
		w.put(t, server, "desk.example.com. 1 IN SOA ns1.desk.example.com. hostmaster.desk.example.com. 1 3600 600 86400 1")
	}
	w.Zone, w.Port, w.Resolver = "desk.example.com", 443, net.JoinHostPort(resolver, w.DNSPort)
	w.facts = dns.Facts{Apex: w.Zone, NameServers: []string{"ns2.desk.example.com", "ns1.desk.example.com."}, Clock: time.Now(), Seen: time.Now(), Calls: "many", Records: 1, MostRecords: 100}
	w.Inspect = func(context.Context) (dns.Facts, []error) { return w.facts, w.errs }
	w.Open = func(context.Context) (dns.Provider, error) { return &writer{w}, nil }
	return w
}

// serve answers on s as the server at does.
func (w *world) serve(t *testing.T, s net.PacketConn, at string) {
	t.Helper()
	started := make(chan struct{})
	server := &miekg.Server{PacketConn: s, NotifyStartedFunc: func() { close(started) }, Handler: miekg.HandlerFunc(func(rw miekg.ResponseWriter, q *miekg.Msg) { _ = rw.WriteMsg(w.answer(at, q)) })}
	go func() { _ = server.ActivateAndServe() }()
	<-started
	t.Cleanup(func() { _ = server.Shutdown() })
}

func (w *world) put(t *testing.T, server string, lines ...string) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, line := range lines {
		rr, err := miekg.NewRR(line)
		if err != nil {
			t.Fatal(err)
		}
		w.records[server] = append(w.records[server], rr)
	}
}

func (w *world) answer(server string, q *miekg.Msg) *miekg.Msg {
	w.mu.Lock()
	defer w.mu.Unlock()
	m := new(miekg.Msg).SetReply(q)
	m.Authoritative = server != above && !w.mute[server]
	for _, rr := range w.records[server] {
		same := strings.EqualFold(rr.Header().Name, q.Question[0].Name) && rr.Header().Rrtype == q.Question[0].Qtype
		switch {
		case same && server == above && rr.Header().Rrtype == miekg.TypeNS:
			m.Ns = append(m.Ns, rr)
		case same:
			m.Answer = append(m.Answer, rr)
		case server == above && slices.Contains([]uint16{miekg.TypeA, miekg.TypeAAAA}, rr.Header().Rrtype) && q.Question[0].Qtype == miekg.TypeNS:
			m.Extra = append(m.Extra, rr)
		}
	}
	return m
}

// writer is a provider whose servers have a record at once.
type writer struct{ *world }

func (w *writer) SetRecords(_ context.Context, records []dns.Record) error {
	if w.denied != nil {
		return &dns.RecordError{Name: records[0].Name, Err: w.denied}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, server := range []string{first, second} {
		for _, r := range records {
			w.records[server] = append(w.records[server], &miekg.AAAA{Hdr: miekg.RR_Header{Name: r.Name + ".", Rrtype: miekg.TypeAAAA, Class: miekg.ClassINET, Ttl: 60}, AAAA: r.Address6.AsSlice()},
				&miekg.A{Hdr: miekg.RR_Header{Name: r.Name + ".", Rrtype: miekg.TypeA, Class: miekg.ClassINET, Ttl: 60}, A: r.Address.AsSlice()})
		}
	}
	return nil
}

func (w *writer) DeleteRecords(_ context.Context, names []string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for server, all := range w.records {
		w.records[server] = slices.DeleteFunc(all, func(rr miekg.RR) bool { return slices.Contains(names, strings.TrimSuffix(rr.Header().Name, ".")) })
	}
	return nil
}

func (w *writer) GetRecords(context.Context) ([]dns.Record, error) { return nil, nil }
func (w *writer) BatchSize() int                                   { return 1 }
func (w *writer) NextCall() time.Time                              { return time.Time{} }
func (w *writer) Settle(context.Context) error                     { return nil }

func TestNames(t *testing.T) {
	t.Parallel()
	ours := []Server{{Name: "ns1.desk.example.com", Address: netip.MustParseAddr(first)}, {Name: "ns2.desk.example.com", Address: netip.MustParseAddr(second)}}
	for name, c := range map[string]struct {
		spoil func(t *testing.T, w *world)
		want  map[string]string // what is not well, and what it says or what to do
	}{
		"all is well": {func(*testing.T, *world) {}, nil},
		"no rights": {func(_ *testing.T, w *world) {
			w.errs = []error{&greenroom.UserError{Message: "no Zone Read"}, errors.New("no listing")}
		}, map[string]string{"DNS provider": "no listing"}},
		"no right to write": {func(_ *testing.T, w *world) { w.denied = &greenroom.UserError{Message: "no DNS Edit"} }, map[string]string{"test record": "no DNS Edit"}},
		"not delegated": {func(_ *testing.T, w *world) { w.records[above] = nil }, map[string]string{
			"delegation": "desk.example.com. NS ns1.desk.example.com.; desk.example.com. NS ns2.desk.example.com.", "test record": "no server of the zone",
		}},
		"delegated to others": {func(_ *testing.T, w *world) {
			w.facts.NameServers = []string{"ns1.desk.example.com", "new.example.net"}
		}, map[string]string{"delegation": "NS new.example.net."}},
		"a lame server": {func(_ *testing.T, w *world) { w.mute[second] = true }, map[string]string{"name servers": "ns2.desk.example.com (127.0.0.5) does not speak"}},
		"signed above, not below": {func(t *testing.T, w *world) {
			w.put(t, above, "desk.example.com. 60 IN DS 1 13 2 00000000000000000000000000000000000000000000000000000000000000AA")
		}, map[string]string{"DNSSEC": "sign the zone"}},
		"clock": {func(_ *testing.T, w *world) { w.facts.Clock = time.Now().Add(-time.Hour) }, map[string]string{"clock and the DNS provider's": "timedatectl"}},
		"full":  {func(_ *testing.T, w *world) { w.facts.Records = 95 }, map[string]string{"records of the zone": "95 of about 100"}},
		"proxied, wrong port and too deep": {func(_ *testing.T, w *world) {
			w.Proxied, w.Port, w.facts.Apex = true, 9443, "example.com"
			w.facts.NameServers = nil
		}, map[string]string{"port behind Cloudflare's edge": "2053", "names behind Cloudflare's edge": "set zone to example.com", "delegation": "knows nobody who serves it", "test record": "no server of the zone"}},
		"no wildcard": {func(_ *testing.T, w *world) { w.Edge = []netip.Addr{netip.MustParseAddr("192.0.2.80")} }, map[string]string{"wildcard record": "*.desk.example.com"}},
		"our own, well": {func(_ *testing.T, w *world) {
			w.Inspect, w.Open, w.Servers = nil, nil, ours
		}, nil},
		"our own, wrong glue and signed above": {func(t *testing.T, w *world) {
			w.Inspect, w.Open, w.Servers = nil, nil, []Server{ours[0], {Name: "ns2.desk.example.com", Address: netip.MustParseAddr("192.0.2.53")}}
			w.put(t, above, "desk.example.com. 60 IN DS 1 13 2 00000000000000000000000000000000000000000000000000000000000000AA")
		}, map[string]string{"delegation": "ns2.desk.example.com. A 192.0.2.53", "DNSSEC": "remove the DS record"}},
		"our own, no glue for IPv6": {func(_ *testing.T, w *world) {
			six := Server{Name: ours[1].Name, Address: ours[1].Address, Address6: netip.MustParseAddr("2001:db8::53")}
			w.Inspect, w.Open, w.Servers = nil, nil, []Server{ours[0], six}
		}, map[string]string{"delegation": "ns2.desk.example.com. AAAA 2001:db8::53"}},
		"our own, glue for IPv6": {func(t *testing.T, w *world) {
			ipv6.Loopback(t)
			w.Inspect, w.Open, w.Servers = nil, nil, []Server{ours[0], {Name: ours[1].Name, Address: ours[1].Address, Address6: netip.IPv6Loopback()}}
			w.put(t, above, "ns2.desk.example.com. 60 IN AAAA ::1")
			s, err := net.ListenPacket("udp", net.JoinHostPort("::1", w.DNSPort))
			if err != nil {
				t.Skipf("the port is not free on ::1: %v", err)
			}
			w.serve(t, s, second)
		}, nil},
		"our own, silent over IPv6": {func(t *testing.T, w *world) {
			ipv6.Loopback(t)
			w.Inspect, w.Open, w.Servers = nil, nil, []Server{ours[0], {Name: ours[1].Name, Address: ours[1].Address, Address6: netip.IPv6Loopback()}}
			w.put(t, above, "ns2.desk.example.com. 60 IN AAAA ::1")
		}, map[string]string{"name servers": "ns2.desk.example.com (::1) gives no answer"}},
		"our own, without names": {func(_ *testing.T, w *world) {
			w.Inspect, w.Open, w.records[above] = nil, nil, nil
		}, map[string]string{"delegation": "set dns.name_servers"}},
		"everything at once": {func(_ *testing.T, w *world) {
			w.errs, w.denied, w.facts.Clock, w.mute[first] = []error{errors.New("no")}, errors.New("refused"), time.Now().Add(time.Hour), true
		}, map[string]string{"DNS provider": "no", "test record": "refused", "clock and the DNS provider's": "apart", "name servers": "ns1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c.spoil(t, w)
			w.mu.Lock()   // the servers' goroutines see what was spoilt
			w.mu.Unlock() //nolint:staticcheck // that is all
			got := map[string]string{}
			for _, f := range w.check(t.Context()) {
				if f.OK {
					continue
				}
				if f.Fix == "" {
					t.Errorf("%+v does not say what to do", f)
				}
				got[f.Check] += f.Detail + " / " + f.Fix + "\n"
			}
			for check, says := range c.want {
				if !strings.Contains(got[check], says) || got[check] == "" {
					t.Errorf("%s: %q, want %q", check, got[check], says)
				}
			}
			if len(got) != len(c.want) {
				t.Errorf("not well: %v, want %v", got, c.want)
			}
			for server, all := range w.records {
				if slices.ContainsFunc(all, func(rr miekg.RR) bool { return strings.HasPrefix(rr.Header().Name, "greenroom-doctor") }) {
					t.Errorf("%s still has the test record", server)
				}
			}
		})
	}
}
