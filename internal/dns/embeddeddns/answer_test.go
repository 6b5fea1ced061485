package embeddeddns_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	miekg "github.com/miekg/dns"

	"greenroom"
	"greenroom/internal/dns"
	"greenroom/internal/dns/embeddeddns"
)

// writer is a client's end of one question.
type writer struct {
	miekg.ResponseWriter
	from net.Addr
	got  []byte
	err  error
}

func (w *writer) RemoteAddr() net.Addr { return w.from }

func (w *writer) WriteMsg(m *miekg.Msg) error {
	if w.got != nil {
		return errors.New("answered twice")
	}
	w.got, w.err = m.Pack()
	return w.err
}

var overUDP, overTCP = &net.UDPAddr{}, &net.TCPAddr{}

// ask puts one question to h as it would come over the network.
func ask(tb testing.TB, h miekg.Handler, q *miekg.Msg, from net.Addr) *miekg.Msg {
	tb.Helper()
	w := &writer{from: from}
	h.ServeDNS(w, q)
	if w.err != nil {
		tb.Fatal(w.err)
	}
	m := new(miekg.Msg)
	if err := m.Unpack(w.got); err != nil {
		tb.Fatal(err)
	}
	return m
}

func question(name string, kind uint16) *miekg.Msg {
	return new(miekg.Msg).SetQuestion(miekg.Fqdn(name), kind)
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	z := open(t, &memory{})
	set(t, z, "i-1", "127.0.1.1")
	set(t, z, "x.deep", "127.0.1.2")
	const none = ""
	for _, c := range []struct {
		promise   string
		name      string
		kind      uint16
		rcode     int
		aa        bool
		answer    string // type and data of the only answer
		authority string // type of the only record of authority
	}{
		{"AddressOfADesktop", "i-1.desk.localhost", miekg.TypeA, 0, true, "A 127.0.1.1", none},
		{"CaseIsEchoed", "I-1.dEsK.LocalHost", miekg.TypeA, 0, true, "A 127.0.1.1", none},
		{"NoSuchName", "i-2.desk.localhost", miekg.TypeA, miekg.RcodeNameError, true, none, "SOA"},
		{"NoSuchNameOfAnyType", "i-2.desk.localhost", miekg.TypeANY, miekg.RcodeNameError, true, none, "SOA"},
		{"NameWithoutThisType", "i-1.desk.localhost", miekg.TypeAAAA, 0, true, none, "SOA"},
		{"BelowADesktopIsNothing", "www.i-1.desk.localhost", miekg.TypeA, miekg.RcodeNameError, true, none, "SOA"},
		{"NameBetweenExists", "deep.desk.localhost", miekg.TypeA, 0, true, none, "SOA"},
		{"ApexHasNoAddress", "desk.localhost", miekg.TypeA, 0, true, none, "SOA"},
		{"ApexSOA", "desk.localhost", miekg.TypeSOA, 0, true, "SOA ns.desk.localhost. hostmaster.desk.localhost.", none},
		{"ApexNS", "desk.localhost", miekg.TypeNS, 0, true, "NS ns.desk.localhost.", none},
		{"ServersOwnAddress", "ns.desk.localhost", miekg.TypeA, 0, true, "A 127.0.0.1", none},
		{"AnyIsSmall", "i-1.desk.localhost", miekg.TypeANY, 0, true, `HINFO "RFC8482" ""`, none},
		{"ElsewhereIsRefused", "example.com", miekg.TypeA, miekg.RcodeRefused, false, none, none},
		{"ParentIsRefused", "localhost", miekg.TypeA, miekg.RcodeRefused, false, none, none},
		{"RootIsRefused", ".", miekg.TypeNS, miekg.RcodeRefused, false, none, none},
		{"SimilarNameIsRefused", "xdesk.localhost", miekg.TypeA, miekg.RcodeRefused, false, none, none},
		{"EscapedDotIsRefused", `x\.desk.localhost`, miekg.TypeA, miekg.RcodeRefused, false, none, none},
		{"TransferIsRefused", "desk.localhost", miekg.TypeAXFR, miekg.RcodeRefused, false, none, none},
		{"SmallTransferIsRefused", "desk.localhost", miekg.TypeIXFR, miekg.RcodeRefused, false, none, none},
		{"OPTIsNoQuestion", "desk.localhost", miekg.TypeOPT, miekg.RcodeFormatError, false, none, none},
	} {
		t.Run(c.promise, func(t *testing.T) {
			t.Parallel()
			q := question(c.name, c.kind)
			m := ask(t, z, q, overUDP)
			if m.Rcode != c.rcode || m.Authoritative != c.aa || m.RecursionAvailable || !m.Response || m.Id != q.Id || m.Truncated {
				t.Fatalf("unexpected header:\n%v", m)
			}
			if len(m.Question) != 1 || m.Question[0] != q.Question[0] {
				t.Errorf("the question came back as %v", m.Question)
			}
			if got := data(m.Answer); !strings.HasPrefix(got, c.answer) || c.answer == none && got != none {
				t.Errorf("answer %q, want %q", got, c.answer)
			}
			if len(m.Answer) == 1 && m.Answer[0].Header().Name != q.Question[0].Name {
				t.Errorf("answered for %s, asked for %s", m.Answer[0].Header().Name, q.Question[0].Name)
			}
			if got, _, _ := strings.Cut(data(m.Ns), " "); got != c.authority {
				t.Errorf("authority %q, want %q", got, c.authority)
			}
			for _, rr := range m.Ns {
				if soa := rr.(*miekg.SOA); soa.Hdr.Ttl != 1 || soa.Minttl != 1 || soa.Hdr.Name != "desk.localhost." {
					t.Errorf("a denial would be remembered for longer than a second, or of another zone: %v", soa)
				}
			}
		})
	}
}

// data joins what the records say, without their names and times.
func TestWildcardStandsForAllDesktops(t *testing.T) {
	t.Parallel()
	m := &memory{}
	z, err := embeddeddns.Open(t.Context(), embeddeddns.Options{Zone: domain, Owner: "us", Records: m, Wildcard: []netip.Addr{netip.MustParseAddr("192.0.2.1")}})
	if err != nil {
		t.Fatal(err)
	}
	set(t, z, "i-1", "127.0.1.1") // of a time when each had its own
	for name, want := range map[string]string{"i-1." + domain: "192.0.2.1", "i-2." + domain: "192.0.2.1", "ns." + domain: "127.0.0.1", domain: ""} {
		got := ask(t, z, question(name, miekg.TypeA), overUDP)
		address := ""
		for _, rr := range got.Answer {
			address = rr.(*miekg.A).A.String()
		}
		if got.Rcode != miekg.RcodeSuccess || address != want {
			t.Errorf("%s is %q (%s), want %q", name, address, miekg.RcodeToString[got.Rcode], want)
		}
	}
	if got := ask(t, z, question("i-2."+domain, miekg.TypeAAAA), overUDP); got.Rcode != miekg.RcodeSuccess || len(got.Answer) != 0 || len(got.Ns) != 1 {
		t.Errorf("no address of another kind: %v", got)
	}
	if got := fmt.Sprint(z.Lookup("i-1." + domain)); got != "[127.0.1.1]" {
		t.Errorf("the desktop's own address is %s", got)
	}
}

func data(records []miekg.RR) string {
	var parts []string
	for _, rr := range records {
		fields := strings.SplitN(rr.String(), "\t", 5)
		parts = append(parts, fields[3]+" "+fields[4])
	}
	return strings.Join(parts, "; ")
}

func TestServerIsNamedWithItsAddress(t *testing.T) {
	t.Parallel()
	m := ask(t, open(t, &memory{}), question(domain, miekg.TypeNS), overUDP)
	if got := data(m.Extra); got != "A 127.0.0.1" {
		t.Errorf("additional %q, want the address of the server", got)
	}
}

func TestNamesBetweenGoWithTheLastBelow(t *testing.T) {
	t.Parallel()
	z := open(t, &memory{})
	set(t, z, "a.b.c", "127.0.1.1")
	set(t, z, "d.c", "127.0.1.2")
	rcode := func(label string) int { return ask(t, z, question(label+"."+domain, miekg.TypeA), overUDP).Rcode }
	if rcode("b.c") != miekg.RcodeSuccess || rcode("c") != miekg.RcodeSuccess {
		t.Error("a name above an existing one does not exist")
	}
	if err := z.DeleteRecords(t.Context(), []string{"a.b.c." + domain}); err != nil {
		t.Fatal(err)
	}
	if rcode("b.c") != miekg.RcodeNameError || rcode("c") != miekg.RcodeSuccess {
		t.Error("of two names above a deleted one, exactly that with another below must stay")
	}
}

func TestSerialRisesWithEveryChange(t *testing.T) {
	t.Parallel()
	z := open(t, &memory{})
	serial := func() uint32 {
		return ask(t, z, question(domain, miekg.TypeSOA), overUDP).Answer[0].(*miekg.SOA).Serial
	}
	last := serial()
	step := func(what string, rises bool) {
		t.Helper()
		now := serial()
		if (now > last) != rises {
			t.Errorf("%s: serial went from %d to %d", what, last, now)
		}
		last = now
	}
	set(t, z, "a", "127.0.1.1")
	step("a new record", true)
	set(t, z, "a", "127.0.1.2")
	step("a moved record", true)
	if err := z.DeleteRecords(t.Context(), []string{"a." + domain}); err != nil {
		t.Fatal(err)
	}
	step("a deleted record", true)
	if err := z.DeleteRecords(t.Context(), []string{"a." + domain}); err != nil {
		t.Fatal(err)
	}
	step("nothing", false)
}

func TestOddMessages(t *testing.T) {
	t.Parallel()
	z := open(t, &memory{})
	odd := func(change func(*miekg.Msg)) *miekg.Msg {
		q := question("i-1."+domain, miekg.TypeA)
		change(q)
		return q
	}
	opt := func(version uint8) *miekg.OPT {
		o := &miekg.OPT{Hdr: miekg.RR_Header{Name: ".", Rrtype: miekg.TypeOPT}}
		o.SetVersion(version)
		o.SetUDPSize(4096)
		o.SetDo()
		return o
	}
	for promise, c := range map[string]struct {
		q     *miekg.Msg
		rcode int
	}{
		"OtherOpcodes":     {odd(func(q *miekg.Msg) { q.Opcode = miekg.OpcodeNotify }), miekg.RcodeNotImplemented},
		"NoQuestion":       {odd(func(q *miekg.Msg) { q.Question = nil }), miekg.RcodeFormatError},
		"TwoQuestions":     {odd(func(q *miekg.Msg) { q.Question = append(q.Question, q.Question[0]) }), miekg.RcodeFormatError},
		"ChaosClass":       {odd(func(q *miekg.Msg) { q.Question[0].Qclass = miekg.ClassCHAOS }), miekg.RcodeRefused},
		"AnyClass":         {odd(func(q *miekg.Msg) { q.Question[0].Qclass = miekg.ClassANY }), miekg.RcodeRefused},
		"OtherEDNSVersion": {odd(func(q *miekg.Msg) { q.Extra = []miekg.RR{opt(1)} }), miekg.RcodeBadVers},
		"TwoEDNSRecords":   {odd(func(q *miekg.Msg) { q.Extra = []miekg.RR{opt(0), opt(0)} }), miekg.RcodeFormatError},
		"EDNSIsAnswered":   {odd(func(q *miekg.Msg) { q.Extra = []miekg.RR{opt(0)} }), miekg.RcodeNameError},
	} {
		t.Run(promise, func(t *testing.T) {
			t.Parallel()
			m := ask(t, z, c.q, overUDP)
			if m.Rcode != c.rcode || m.RecursionAvailable || len(m.Answer) > 0 {
				t.Errorf("got\n%v\nwant %s", m, miekg.RcodeToString[c.rcode])
			}
			asked, answered := c.q.IsEdns0(), m.IsEdns0()
			if len(c.q.Extra) == 1 && (answered == nil || answered.Version() != 0 || answered.UDPSize() != 1232 || answered.Do() != asked.Do()) {
				t.Errorf("EDNS was answered with %v", answered)
			}
			if asked == nil && answered != nil {
				t.Error("EDNS was answered without being asked for")
			}
		})
	}
}

func TestServesUntilCancelled(t *testing.T) {
	t.Parallel()
	z := open(t, &memory{})
	for range 50 { // soon after the start is as good as later
		packets, listener := sockets(t)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- z.Serve(ctx, packets, listener) }()
		idle, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("still serving")
		}
		idle.Close()
		if !errors.Is(packets.Close(), net.ErrClosed) || !errors.Is(listener.Close(), net.ErrClosed) {
			t.Error("a socket was left open")
		}
	}
}

func TestEndsWhenASocketFails(t *testing.T) {
	t.Parallel()
	packets, listener := sockets(t)
	listener.Close()
	if err := open(t, &memory{}).Serve(t.Context(), packets, listener); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v, want %v", err, net.ErrClosed)
	}
}

// FuzzServeDNS: whatever comes in, the server neither panics nor answers more than was asked for, and what
// it answers can be read.
func FuzzServeDNS(f *testing.F) {
	z := open(f, &memory{})
	set(f, z, "i-1", "127.0.1.1")
	set(f, z, "x.deep", "127.0.1.2")
	for _, name := range []string{"i-1." + domain, "I-1.DESK.localhost", "deep." + domain, domain, ".", "example.com", strings.Repeat("a.", 100) + domain} {
		for _, kind := range []uint16{miekg.TypeA, miekg.TypeSOA, miekg.TypeNS, miekg.TypeANY, miekg.TypeAXFR} {
			q := question(name, kind)
			q.SetEdns0(512, true)
			raw, err := q.Pack()
			if err != nil {
				f.Fatal(err)
			}
			f.Add(raw)
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		q := new(miekg.Msg)
		if q.Unpack(raw) != nil {
			return // the library answers these, with a header alone
		}
		limit := 512
		if opt := q.IsEdns0(); opt != nil {
			limit = min(max(int(opt.UDPSize()), 512), 1232)
		}
		for from, limit := range map[net.Addr]int{overUDP: limit, overTCP: miekg.MaxMsgSize} {
			w := &writer{from: from}
			z.ServeDNS(w, q.Copy())
			if w.err != nil {
				t.Fatalf("no answer: %v", w.err)
			}
			m := new(miekg.Msg)
			if err := m.Unpack(w.got); err != nil || !m.Response || m.Id != q.Id {
				t.Fatalf("unreadable answer: %v\n%v", err, m)
			}
			if len(w.got) > limit || len(w.got) > 3*max(len(raw), 40) {
				t.Errorf("%d bytes answered to %d, limit %d", len(w.got), len(raw), limit)
			}
		}
	})
}

func BenchmarkServeDNS(b *testing.B) {
	z := open(b, &memory{})
	const desktops = 10_000
	for i := range desktops {
		set(b, z, fmt.Sprintf("i-%d", i), "127.0.1.1")
	}
	for name, label := range map[string]string{"found": "i-5000", "missing": "i-none"} {
		b.Run(name, func(b *testing.B) {
			q := question(label+"."+domain, miekg.TypeA)
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					z.ServeDNS(&writer{from: overUDP}, q)
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "queries/s")
		})
	}
}

// BenchmarkOverUDP compares whole round trips with those to a server that sends back what it gets.
func BenchmarkOverUDP(b *testing.B) {
	z := open(b, &memory{})
	set(b, z, "i-1", "127.0.1.1")
	raw, err := question("i-1."+domain, miekg.TypeA).Pack()
	if err != nil {
		b.Fatal(err)
	}
	echo, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer echo.Close()
	go func() {
		buf := make([]byte, 2048)
		for {
			n, from, err := echo.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = echo.WriteTo(buf[:n], from)
		}
	}()
	for name, server := range map[string]string{"zone": "127.0.0.1:" + serve(b, z), "echo": echo.LocalAddr().String()} {
		b.Run(name, func(b *testing.B) {
			c, err := net.Dial("udp", server)
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			buf := make([]byte, 2048)
			for b.Loop() {
				if _, err := c.Write(raw); err != nil {
					b.Fatal(err)
				}
				if _, err := c.Read(buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestDelegatedZoneNamesItsServers: what the parent delegates to is what the zone says of itself.
func TestDelegatedZoneNamesItsServers(t *testing.T) {
	t.Parallel()
	inside, outside, inside6 := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("2001:db8::1")
	z, err := embeddeddns.Open(t.Context(), embeddeddns.Options{
		Zone: domain, Owner: "us", Records: &memory{}, Wildcard: []netip.Addr{netip.MustParseAddr("192.0.2.80"), netip.MustParseAddr("2001:db8::80")},
		NameServers: []embeddeddns.NameServer{{Name: "ns1.net." + domain, Address: inside}, {Name: "ns2.elsewhere.example", Address: outside}, {Name: "ns3." + domain, Address6: inside6}},
	})
	if err != nil {
		t.Fatal(err)
	}
	tcp := &net.TCPAddr{}
	m := ask(t, z, question(domain, miekg.TypeNS), tcp)
	var servers []string
	for _, rr := range m.Answer {
		servers = append(servers, rr.(*miekg.NS).Ns)
	}
	if !slices.Equal(servers, []string{"ns1.net." + domain + ".", "ns2.elsewhere.example.", "ns3." + domain + "."}) {
		t.Errorf("the servers are %q", servers)
	}
	if got := data(m.Extra); got != "AAAA 2001:db8::1; A 192.0.2.1" || m.Extra[1].Header().Name != "ns1.net."+domain+"." {
		t.Errorf("the glue is %v", m.Extra)
	}
	if m := ask(t, z, question("ns1.net."+domain, miekg.TypeA), tcp); len(m.Answer) != 1 || !m.Answer[0].(*miekg.A).A.Equal(inside.AsSlice()) {
		t.Errorf("its own server has %v", m.Answer)
	}
	if got := data(ask(t, z, question("i-1."+domain, miekg.TypeAAAA), tcp).Answer); got != "AAAA 2001:db8::80" {
		t.Errorf("the wildcard is %s", got)
	}
	if got := data(ask(t, z, question("ns3."+domain, miekg.TypeAAAA), tcp).Answer); got != "AAAA 2001:db8::1" {
		t.Errorf("the server's own address is %s", got)
	}
	if m := ask(t, z, question(domain, miekg.TypeSOA), tcp); len(m.Answer) != 1 || m.Answer[0].(*miekg.SOA).Ns != "ns1.net."+domain+"." {
		t.Errorf("the primary is in %v", m.Answer)
	}
	err = z.SetRecords(t.Context(), []dns.Record{{Name: "ns1.net." + domain, Address: outside}})
	if !errors.Is(err, greenroom.ErrConflict) {
		t.Errorf("a desktop took a server's name: %v", err)
	}
}
