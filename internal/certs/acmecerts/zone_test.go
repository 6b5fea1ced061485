package acmecerts_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/libdns/libdns"
	"github.com/miekg/dns"
)

// zone is an authoritative server of TXT records that takes them as libdns gives them.
type zone struct {
	name    string
	address string

	mu     sync.Mutex
	txt    map[string][]string // by name
	broken bool                // it takes no records
	wrote  int
}

func newZone(t *testing.T, name string) *zone {
	t.Helper()
	z := &zone{name: name + ".", txt: map[string][]string{}}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	pc, err := net.ListenPacket("udp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	z.address = ln.Addr().String()
	for _, s := range []*dns.Server{{Listener: ln, Handler: z}, {PacketConn: pc, Handler: z}} {
		go s.ActivateAndServe()
		t.Cleanup(func() { s.Shutdown() })
	}
	return z
}

func (z *zone) ServeDNS(w dns.ResponseWriter, r *dns.Msg) {
	z.mu.Lock()
	defer z.mu.Unlock()
	q, m := r.Question[0], new(dns.Msg)
	m.SetReply(r)
	m.Authoritative = true
	name := strings.ToLower(q.Name)
	soa := &dns.SOA{Hdr: dns.RR_Header{Name: z.name, Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: 1}, Ns: "ns." + z.name, Mbox: "hostmaster." + z.name, Minttl: 1}
	switch {
	case !dns.IsSubDomain(z.name, name):
		m.Rcode = dns.RcodeRefused
	case q.Qtype == dns.TypeSOA && name == z.name:
		m.Answer = []dns.RR{soa}
	case q.Qtype == dns.TypeTXT && len(z.txt[name]) > 0:
		for _, text := range z.txt[name] {
			m.Answer = append(m.Answer, &dns.TXT{Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 1}, Txt: []string{text}})
		}
	default:
		m.Rcode, m.Ns = dns.RcodeNameError, []dns.RR{soa}
	}
	_ = w.WriteMsg(m)
}

func (z *zone) AppendRecords(_ context.Context, in string, records []libdns.Record) ([]libdns.Record, error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.broken {
		return nil, errors.New("the zone's server says no")
	}
	for _, r := range records {
		name := libdns.AbsoluteName(r.RR().Name, in)
		z.txt[name] = append(z.txt[name], r.RR().Data)
		z.wrote++
	}
	return records, nil
}

func (z *zone) DeleteRecords(_ context.Context, in string, records []libdns.Record) ([]libdns.Record, error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	for _, r := range records {
		name := libdns.AbsoluteName(r.RR().Name, in)
		var rest []string
		for _, text := range z.txt[name] {
			if text != r.RR().Data {
				rest = append(rest, text)
			}
		}
		z.txt[name] = rest
	}
	return records, nil
}

// left are the records that nobody removed.
func (z *zone) left() (n, wrote int) {
	z.mu.Lock()
	defer z.mu.Unlock()
	for _, texts := range z.txt {
		n += len(texts)
	}
	return n, z.wrote
}

func (z *zone) breakDown() {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.broken = true
}
