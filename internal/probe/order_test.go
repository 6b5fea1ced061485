package probe_test

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	miekg "github.com/miekg/dns"

	"greenroom/internal/probe"
)

// answers is what name servers were asked, in order, and what they answer.
type answers struct {
	mu      sync.Mutex
	asked   []string            // server and name
	records map[string][]string // by server
}

func (a *answers) questions() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.asked)
}

// start answers as server on a port of its own.
func (a *answers) start(t *testing.T, server string, authoritative bool) string {
	t.Helper()
	s, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	started := make(chan struct{})
	srv := &miekg.Server{PacketConn: s, NotifyStartedFunc: func() { close(started) }, Handler: miekg.HandlerFunc(func(w miekg.ResponseWriter, q *miekg.Msg) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.asked = append(a.asked, server+" "+strings.TrimSuffix(q.Question[0].Name, "."))
		m := new(miekg.Msg).SetReply(q)
		m.Authoritative = authoritative
		m.Rcode = miekg.RcodeNameError
		for _, line := range a.records[server] {
			rr, err := miekg.NewRR(line)
			if err == nil && strings.EqualFold(rr.Header().Name, q.Question[0].Name) {
				m.Rcode = miekg.RcodeSuccess
				if rr.Header().Rrtype == q.Question[0].Qtype {
					m.Answer = append(m.Answer, rr)
				}
			}
		}
		_ = w.WriteMsg(m)
	})}
	go func() { _ = srv.ActivateAndServe() }()
	<-started
	t.Cleanup(func() { _ = srv.Shutdown() })
	return s.LocalAddr().String()
}

func (a *answers) set(server string, lines ...string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.records[server] = lines
}

const desktop = "i-1.desk.example.com"

// TestNobodysResolverIsAskedBeforeAllServersAgree: a resolver that is asked too early remembers that there is no such name.
func TestNobodysResolverIsAskedBeforeAllServersAgree(t *testing.T) {
	t.Parallel()
	a := &answers{records: map[string][]string{}}
	servers := []string{a.start(t, "ns1", true), a.start(t, "ns2", true)}
	p := probe.New(probe.Options{
		Servers:  func(context.Context) ([]string, error) { return servers, nil },
		Resolver: a.start(t, "public", false), DesktopAddr: "127.0.0.1:1",
	})
	line, address := desktop+". 60 IN A 192.0.2.1", netip.MustParseAddr("192.0.2.1")
	a.set("ns1", line)
	if proof := p.Probe(t.Context(), desktop, address); proof.OK || !strings.Contains(proof.Steps[0].Detail, "there is no "+desktop) {
		t.Errorf("%+v", proof.Steps)
	}
	a.set("ns2", desktop+". 60 IN A 192.0.2.9")
	if proof := p.Probe(t.Context(), desktop, address); proof.OK || !strings.Contains(proof.Steps[0].Detail, "not 192.0.2.1") {
		t.Errorf("%+v", proof.Steps)
	}
	for _, q := range a.questions() {
		if strings.HasPrefix(q, "public") {
			t.Fatalf("the resolver was asked too early: %q", a.questions())
		}
	}
	a.set("ns2", line)
	if proof := p.Probe(t.Context(), desktop, address); proof.OK || !strings.Contains(proof.Steps[0].Detail, "resolver") {
		t.Errorf("%+v", proof.Steps)
	}
	a.set("public", line)
	proof := p.Probe(t.Context(), desktop, address)
	if len(proof.Steps) != 2 || !proof.Steps[0].OK {
		t.Errorf("%+v", proof.Steps)
	}
	asked := a.questions()
	if last := asked[len(asked)-3:]; !slices.Equal(last, []string{"ns1 " + desktop, "ns2 " + desktop, "public " + desktop}) {
		t.Errorf("asked in the order %q", last)
	}
}

// TestProxiedNamesLeadToTheProxy: what the name is then is the proxy's, and the connection ends there.
func TestProxiedNamesLeadToTheProxy(t *testing.T) {
	t.Parallel()
	a := &answers{records: map[string][]string{"ns1": {desktop + ". 60 IN A 127.0.0.77"}}}
	servers := []string{a.start(t, "ns1", true)}
	p := probe.New(probe.Options{DNSServers: servers, Proxied: true, Port: 1})
	proof := p.Probe(t.Context(), desktop, netip.MustParseAddr("192.0.2.1"))
	if len(proof.Steps) != 2 || !proof.Steps[0].OK || !strings.Contains(proof.Steps[1].Detail, "127.0.0.77:1") {
		t.Errorf("%+v", proof.Steps)
	}
	a.set("ns1")
	if proof := p.Probe(t.Context(), desktop, netip.MustParseAddr("192.0.2.1")); len(proof.Steps) != 1 || proof.OK {
		t.Errorf("without an address: %+v", proof.Steps)
	}
}

// TestDelegationAsksForTheZoneAlone: the system's resolver learns no desktop's name.
func TestDelegationAsksForTheZoneAlone(t *testing.T) {
	t.Parallel()
	a := &answers{records: map[string][]string{"resolver": {
		"example.com. 60 IN NS ns1.example.net.", "example.com. 60 IN NS ns2.example.net.",
		"ns1.example.net. 60 IN A 192.0.2.1", "ns2.example.net. 60 IN A 192.0.2.2", "ns2.example.net. 60 IN A 192.0.2.3",
	}}}
	server := a.start(t, "resolver", false)
	d := probe.NewDelegation("desk.example.com")
	d.Resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", server)
	}}
	for range 2 {
		got, err := d.Servers(t.Context())
		slices.Sort(got)
		if err != nil || !slices.Equal(got, []string{"192.0.2.1:53", "192.0.2.2:53", "192.0.2.3:53"}) {
			t.Fatalf("%q, %v", got, err)
		}
	}
	names := map[string]int{}
	for _, q := range a.questions() {
		names[strings.TrimPrefix(q, "resolver ")]++
	}
	if names["desk.example.com"] != 1 || names["example.com"] != 1 || len(names) != 4 {
		t.Errorf("asked for %v", names)
	}
}
