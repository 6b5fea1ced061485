package rfc2136dns_test

import (
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	miekg "github.com/miekg/dns"
)

const (
	keyName = "greenroom."
	secret  = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I="
)

// primary is a name server that takes signed updates as strictly as RFC 2136 says, in the order of its sections 3.1 to 3.4.
type primary struct {
	zone, address string

	mu       sync.Mutex
	records  []miekg.RR
	Updates  int
	Messages int
	Drop     int // so many answers are lost
}

func startPrimary(t *testing.T, zone string) *primary {
	t.Helper()
	p := &primary{zone: miekg.Fqdn(zone)}
	p.records = []miekg.RR{parse(t, p.zone+" 60 IN SOA ns."+p.zone+" hostmaster."+p.zone+" 1 3600 600 86400 5"), parse(t, p.zone+" 60 IN NS ns."+p.zone)}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u, err := net.ListenPacket("udp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	p.address = l.Addr().String()
	for _, s := range []*miekg.Server{{Listener: l}, {PacketConn: u, UDPSize: 4096}} {
		s.Handler, s.TsigSecret = p, map[string]string{keyName: secret}
		s.MsgAcceptFunc = func(miekg.Header) miekg.MsgAcceptAction { return miekg.MsgAccept }
		started := make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		go func() { _ = s.ActivateAndServe() }()
		<-started
		t.Cleanup(func() { _ = s.Shutdown() })
	}
	return p
}

func parse(t *testing.T, s string) miekg.RR {
	t.Helper()
	rr, err := miekg.NewRR(s)
	if err != nil {
		t.Fatal(err)
	}
	return rr
}

func (p *primary) plant(rr miekg.RR) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.records = append(p.records, rr)
}

func (p *primary) ServeDNS(w miekg.ResponseWriter, r *miekg.Msg) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.Messages++
	m := new(miekg.Msg).SetReply(r)
	signature := r.IsTsig()
	switch {
	case signature == nil:
		m.Rcode = miekg.RcodeRefused
	case w.TsigStatus() != nil:
		m.Rcode = miekg.RcodeNotAuth
	case r.Opcode == miekg.OpcodeUpdate:
		p.Updates++
		m.Rcode = p.update(r)
	case r.Question[0].Qtype == miekg.TypeAXFR:
		m.Answer = append(slices.Clone(p.records), p.records[0])
	default:
		p.query(m, r.Question[0])
	}
	if p.Drop > 0 {
		p.Drop--
		return
	}
	if signature != nil && w.TsigStatus() == nil {
		m.SetTsig(keyName, signature.Algorithm, 300, time.Now().Unix())
	}
	_ = w.WriteMsg(m)
}

func (p *primary) query(m *miekg.Msg, q miekg.Question) {
	m.Authoritative = true
	m.Answer = p.rrset(q.Name, q.Qtype)
	if len(m.Answer) == 0 && !p.inUse(q.Name) {
		m.Rcode = miekg.RcodeNameError
	}
}

func (p *primary) rrset(name string, kind uint16) []miekg.RR {
	var set []miekg.RR
	for _, rr := range p.records {
		if strings.EqualFold(rr.Header().Name, name) && rr.Header().Rrtype == kind {
			set = append(set, miekg.Copy(rr))
		}
	}
	return set
}

func (p *primary) inUse(name string) bool {
	return slices.ContainsFunc(p.records, func(rr miekg.RR) bool { return strings.EqualFold(rr.Header().Name, name) })
}

func (p *primary) update(r *miekg.Msg) int {
	if len(r.Question) != 1 || r.Question[0].Qtype != miekg.TypeSOA {
		return miekg.RcodeFormatError
	}
	if r.Question[0].Name != p.zone {
		return miekg.RcodeNotAuth
	}
	if code := p.prerequisites(r.Answer); code != miekg.RcodeSuccess {
		return code
	}
	for _, rr := range r.Ns { // all are looked at before the first is done
		h := rr.Header()
		switch {
		case !miekg.IsSubDomain(p.zone, h.Name):
			return miekg.RcodeNotZone
		case h.Class == miekg.ClassANY && (h.Ttl != 0 || h.Rdlength != 0), h.Class == miekg.ClassNONE && h.Ttl != 0,
			h.Class != miekg.ClassANY && h.Class != miekg.ClassNONE && h.Class != miekg.ClassINET:
			return miekg.RcodeFormatError
		}
	}
	for _, rr := range r.Ns {
		p.apply(rr)
	}
	return miekg.RcodeSuccess
}

func (p *primary) prerequisites(list []miekg.RR) int {
	exact := map[string][]miekg.RR{}
	for _, rr := range list {
		h := rr.Header()
		if h.Ttl != 0 || h.Class != miekg.ClassINET && h.Rdlength != 0 {
			return miekg.RcodeFormatError
		}
		if !miekg.IsSubDomain(p.zone, h.Name) {
			return miekg.RcodeNotZone
		}
		switch {
		case h.Class == miekg.ClassANY && h.Rrtype == miekg.TypeANY && !p.inUse(h.Name):
			return miekg.RcodeNameError
		case h.Class == miekg.ClassANY && h.Rrtype != miekg.TypeANY && len(p.rrset(h.Name, h.Rrtype)) == 0:
			return miekg.RcodeNXRrset
		case h.Class == miekg.ClassNONE && h.Rrtype == miekg.TypeANY && p.inUse(h.Name):
			return miekg.RcodeYXDomain
		case h.Class == miekg.ClassNONE && h.Rrtype != miekg.TypeANY && len(p.rrset(h.Name, h.Rrtype)) > 0:
			return miekg.RcodeYXRrset
		case h.Class == miekg.ClassINET:
			key := h.Name + miekg.TypeToString[h.Rrtype]
			exact[key] = append(exact[key], rr)
		}
	}
	for _, wanted := range exact { // the whole set must be the same
		set := p.rrset(wanted[0].Header().Name, wanted[0].Header().Rrtype)
		if len(set) != len(wanted) || slices.ContainsFunc(set, func(rr miekg.RR) bool {
			return !slices.ContainsFunc(wanted, func(w miekg.RR) bool { return sameData(rr, w) })
		}) {
			return miekg.RcodeNXRrset
		}
	}
	return miekg.RcodeSuccess
}

func (p *primary) apply(rr miekg.RR) {
	h := rr.Header()
	switch h.Class {
	case miekg.ClassANY:
		p.records = slices.DeleteFunc(p.records, func(o miekg.RR) bool {
			return strings.EqualFold(o.Header().Name, h.Name) && (h.Rrtype == miekg.TypeANY || o.Header().Rrtype == h.Rrtype)
		})
	case miekg.ClassNONE:
		p.records = slices.DeleteFunc(p.records, func(o miekg.RR) bool { return sameData(o, rr) })
	default:
		p.records = slices.DeleteFunc(p.records, func(o miekg.RR) bool { return sameData(o, rr) })
		p.records = append(p.records, miekg.Copy(rr))
	}
}

// sameData compares names, types and data, whatever class and lifetime.
func sameData(a, b miekg.RR) bool {
	a, b = miekg.Copy(a), miekg.Copy(b)
	b.Header().Class, b.Header().Ttl = a.Header().Class, a.Header().Ttl
	return miekg.IsDuplicate(a, b)
}

func (p *primary) addresses() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, rr := range p.records {
		if rr.Header().Rrtype == miekg.TypeA {
			n++
		}
	}
	return n
}

func (p *primary) counts() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(map[string]int{"updates": p.Updates, "messages": p.Messages})
}
