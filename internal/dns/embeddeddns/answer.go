package embeddeddns

import (
	"errors"
	"net/netip"
	"strings"

	miekg "github.com/miekg/dns"

	"greenroom"
	"greenroom/internal/dns"
)

const (
	// recordTTL is short, in seconds: a name belongs to a desktop that may be replaced any minute.
	recordTTL = 5
	// negativeTTL is shorter still: who asked a moment too early must not be told "no such name" for long.
	negativeTTL = 1
	// maxUDP is the largest answer over UDP whatever the client offers: what no network cuts into fragments.
	maxUDP = 1232
)

// ServeDNS answers one message. It is what Serve calls, and the whole of the server but its sockets.
func (z *Zone) ServeDNS(w miekg.ResponseWriter, r *miekg.Msg) {
	m := z.answer(r)
	size := miekg.MaxMsgSize
	if w.RemoteAddr().Network() == "udp" {
		size = miekg.MinMsgSize
		if opt := r.IsEdns0(); opt != nil {
			size = min(max(int(opt.UDPSize()), miekg.MinMsgSize), maxUDP)
		}
	}
	m.Truncate(size)
	m.Compress = true // small answers are of no use to who sends questions in another's name
	_ = w.WriteMsg(m) // the client is gone, or asks again
}

func (z *Zone) answer(r *miekg.Msg) *miekg.Msg {
	m := new(miekg.Msg)
	m.SetReply(r)
	options := countOptions(r)
	if options == 1 {
		m.SetEdns0(maxUDP, r.IsEdns0().Do())
	}
	switch {
	case r.Opcode != miekg.OpcodeQuery:
		m.Rcode = miekg.RcodeNotImplemented
	case options > 1 || len(r.Question) != 1 || r.Question[0].Qtype == miekg.TypeOPT:
		m.Rcode = miekg.RcodeFormatError
	case options == 1 && r.IsEdns0().Version() != 0:
		m.Rcode = miekg.RcodeBadVers
	case z.refuses(r.Question[0]):
		m.Rcode = miekg.RcodeRefused
	default:
		m.Authoritative = true
		z.fill(m, r.Question[0])
	}
	return m
}

func countOptions(r *miekg.Msg) int {
	n := 0
	for _, rr := range r.Extra {
		if rr.Header().Rrtype == miekg.TypeOPT {
			n++
		}
	}
	return n
}

// refuses reports whether the question is not ours: another zone, another class, a transfer, or another
// type that is a request and not data.
func (z *Zone) refuses(q miekg.Question) bool {
	const firstRequest, lastRequest = 128, 254 // RFC 6895, without ANY
	return q.Qclass != miekg.ClassINET ||
		q.Qtype >= firstRequest && q.Qtype <= lastRequest ||
		!miekg.IsSubDomain(miekg.Fqdn(z.apex), q.Name)
}

// fill answers a question within the zone. Owner names repeat the question's upper and lower case, which
// resolvers compare to notice forged answers.
func (z *Zone) fill(m *miekg.Msg, q miekg.Question) {
	name := canonical(q.Name)
	z.mu.RLock()
	found, exists := z.find(name)
	texts := textRecords(q.Name, z.texts[name])
	serial := z.serial
	z.mu.RUnlock()
	if _, server := z.server(name); len(z.wildcard.Addresses()) > 0 && name != z.apex && !server {
		found, exists = z.wildcard, true
	}
	if z.keptTexts != nil && strings.HasPrefix(name, challengeLabel) {
		values, err := z.lookTexts(name)
		if err != nil {
			m.Rcode, m.Authoritative = miekg.RcodeServerFailure, false
			return
		}
		texts, exists = textRecords(q.Name, values), exists || len(values) > 0
	}
	if !exists && z.looks != nil && z.mayBeKept(name) {
		r, err := z.look(name)
		if err != nil && !errors.Is(err, greenroom.ErrNotFound) {
			m.Rcode, m.Authoritative = miekg.RcodeServerFailure, false // resolvers would remember "no such name"
			return
		}
		found, exists = r.plain(), err == nil
	}

	switch {
	case !exists:
		m.Rcode = miekg.RcodeNameError
	case q.Qtype == miekg.TypeA && found.Address.IsValid():
		m.Answer = []miekg.RR{addressRecord(q.Name, found.Address)}
	case q.Qtype == miekg.TypeAAAA && found.Address6.IsValid():
		m.Answer = []miekg.RR{addressRecord(q.Name, found.Address6)}
	case q.Qtype == miekg.TypeTXT && len(texts) > 0:
		m.Answer = texts
	case q.Qtype == miekg.TypeSOA && name == z.apex:
		m.Answer = []miekg.RR{z.soa(q.Name, serial)}
	case q.Qtype == miekg.TypeNS && name == z.apex:
		z.fillServers(m, q.Name)
	case q.Qtype == miekg.TypeANY:
		// The small answer of RFC 8482. A refusal would make resolvers try again elsewhere.
		m.Answer = []miekg.RR{&miekg.HINFO{Hdr: header(q.Name, miekg.TypeHINFO, recordTTL), Cpu: "RFC8482"}}
	}
	if len(m.Answer) == 0 {
		m.Ns = []miekg.RR{z.soa(miekg.Fqdn(z.apex), serial)}
	}
}

// fillServers answers with the zone's servers, and with the addresses of those that nobody else can know.
func (z *Zone) fillServers(m *miekg.Msg, owner string) {
	for _, s := range z.servers {
		name := miekg.Fqdn(s.Name)
		m.Answer = append(m.Answer, &miekg.NS{Hdr: header(owner, miekg.TypeNS, recordTTL), Ns: name})
		if dns.Below(z.apex, s.Name) {
			for _, address := range s.record().Addresses() {
				m.Extra = append([]miekg.RR{addressRecord(name, address)}, m.Extra...)
			}
		}
	}
}

// find reports whether the name exists, if only because of names below it, and its addresses if it has any; z.mu is held.
func (z *Zone) find(name string) (dns.Record, bool) {
	if r, ok := z.names[name]; ok {
		return r.plain(), true
	}
	if r, ok := z.server(name); ok {
		return r, true
	}
	return dns.Record{}, name == z.apex || z.above[name] > 0 || len(z.texts[name]) > 0
}

func (z *Zone) soa(owner string, serial uint32) miekg.RR {
	return &miekg.SOA{
		Hdr: header(owner, miekg.TypeSOA, negativeTTL),
		Ns:  miekg.Fqdn(z.servers[0].Name), Mbox: miekg.Fqdn("hostmaster." + z.apex),
		Serial: serial, Refresh: 3600, Retry: 600, Expire: 86400, Minttl: negativeTTL,
	}
}

func addressRecord(owner string, address netip.Addr) miekg.RR {
	if address.Is6() {
		return &miekg.AAAA{Hdr: header(owner, miekg.TypeAAAA, recordTTL), AAAA: address.AsSlice()}
	}
	return &miekg.A{Hdr: header(owner, miekg.TypeA, recordTTL), A: address.AsSlice()}
}

func header(owner string, kind uint16, ttl uint32) miekg.RR_Header {
	return miekg.RR_Header{Name: owner, Rrtype: kind, Class: miekg.ClassINET, Ttl: ttl}
}
