package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	miekg "github.com/miekg/dns"

	"greenroom/internal/dns"
	"greenroom/internal/probe"
)

// parent is what the zone above says of ours.
type parent struct {
	name    string
	servers []string                // host:port of those that answered
	ns      []string                // names of our servers
	glue    map[string][]netip.Addr // their addresses
	signed  bool                    // it has DS records for us
}

// delegation looks whether the zone above leads to the zone's servers and whether each of them answers for it. It returns
// their addresses.
func (n Names) delegation(ctx context.Context, facts dns.Facts) ([]string, []Finding) {
	ctx, cancel := context.WithTimeout(ctx, delegateTime)
	defer cancel()
	f := Finding{Check: "delegation"}
	lines := n.lines(facts)
	fix := "put into the zone above: " + strings.Join(lines, "; ")
	if n.Inspect == nil && len(n.Servers) == 0 {
		fix = "set dns.name_servers to the names and public addresses of the machines that answer on dns_listen, then look again"
	}
	above, err := n.above(ctx, facts.Apex)
	if err != nil {
		f.Detail, f.Fix = "the zone above "+facts.Apex+" could not be asked: "+err.Error(), "look at this machine's resolver and its outbound network; "+fix
		return nil, []Finding{f}
	}
	wanted := n.wanted(facts)
	switch {
	case len(above.ns) == 0:
		f.Detail, f.Fix = fmt.Sprintf("%s does not delegate %s", above.name, facts.Apex), fix
		return nil, []Finding{f}
	case len(wanted) > 0 && !slices.Equal(above.ns, wanted):
		f.Detail, f.Fix = fmt.Sprintf("%s delegates %s to %s, and it is served by %s", above.name, facts.Apex, strings.Join(above.ns, ", "), strings.Join(wanted, ", ")), fix
	default:
		f.OK, f.Detail = true, fmt.Sprintf("%s delegates %s to %s", above.name, facts.Apex, strings.Join(above.ns, ", "))
	}
	for _, s := range n.Servers {
		if got := above.glue[s.Name]; f.OK && dns.Below(facts.Apex, s.Name) && !sameAddresses(got, s.addresses()) {
			f.OK, f.Detail, f.Fix = false, fmt.Sprintf("%s has the glue %v for %s, not %s", above.name, got, s.Name, addressList(s.addresses())), fix
		}
	}
	servers, answers := n.authoritative(ctx, facts.Apex, above)
	return servers, append([]Finding{f}, answers, n.dnssec(ctx, facts.Apex, above, servers))
}

// wanted are the names of the zone's servers, ordered.
func (n Names) wanted(facts dns.Facts) []string {
	var names []string
	for _, name := range facts.NameServers {
		names = append(names, strings.TrimSuffix(strings.ToLower(name), "."))
	}
	for _, s := range n.Servers {
		names = append(names, s.Name)
	}
	slices.Sort(names)
	return names
}

// lines are the records that the zone above needs.
func (n Names) lines(facts dns.Facts) []string {
	var lines []string
	for _, name := range n.wanted(facts) {
		lines = append(lines, fmt.Sprintf("%s. NS %s.", facts.Apex, name))
	}
	for _, s := range n.Servers {
		if dns.Below(facts.Apex, s.Name) {
			for _, a := range s.addresses() {
				lines = append(lines, fmt.Sprintf("%s. %s %s", s.Name, miekg.TypeToString[probe.TypeOf(a)], a))
			}
		}
	}
	return lines
}

// above asks the servers of the zone above apex what they say of it.
func (n Names) above(ctx context.Context, apex string) (parent, error) {
	p := parent{glue: map[string][]netip.Addr{}}
	for _, name, more := strings.Cut(apex, "."); more; _, name, more = strings.Cut(name, ".") {
		m, err := n.resolve(ctx, name, miekg.TypeNS)
		if err != nil {
			return p, err
		}
		for _, rr := range m.Answer {
			ns, ok := rr.(*miekg.NS)
			if !ok {
				continue
			}
			for _, address := range n.addresses(ctx, ns.Ns) {
				p.servers = append(p.servers, n.at(address))
			}
		}
		if p.name = name; len(m.Answer) > 0 {
			break
		}
	}
	var failed error
	for i, server := range p.servers {
		m, err := probe.Ask(ctx, server, apex, miekg.TypeNS, false)
		if err != nil {
			failed = err
			continue
		}
		p.learn(apex, m)
		p.servers = p.servers[i:] // the first is one that answers
		if ds, err := probe.Ask(ctx, server, apex, miekg.TypeDS, false); err == nil {
			p.signed = slices.ContainsFunc(ds.Answer, func(rr miekg.RR) bool { return rr.Header().Rrtype == miekg.TypeDS })
		}
		return p, nil
	}
	if failed == nil {
		return p, errors.New("the resolver knows nobody who serves it")
	}
	return p, fmt.Errorf("no server of %q answers: %w", p.name, failed)
}

// learn reads a referral, or the answer of a server that keeps both zones.
func (p *parent) learn(apex string, m *miekg.Msg) {
	for _, rr := range slices.Concat(m.Answer, m.Ns) {
		if ns, ok := rr.(*miekg.NS); ok && strings.EqualFold(rr.Header().Name, miekg.Fqdn(apex)) {
			p.ns = append(p.ns, strings.TrimSuffix(strings.ToLower(ns.Ns), "."))
		}
	}
	slices.Sort(p.ns)
	for _, rr := range m.Extra {
		if address, ok := probe.AddressOf(rr); ok {
			name := strings.TrimSuffix(strings.ToLower(rr.Header().Name), ".")
			p.glue[name] = append(p.glue[name], address)
		}
	}
}

// addresses are a server's, those of IPv4 first.
func (n Names) addresses(ctx context.Context, name string) []netip.Addr {
	var all []netip.Addr
	for _, kind := range []uint16{miekg.TypeA, miekg.TypeAAAA} {
		if m, err := n.resolve(ctx, name, kind); err == nil {
			all = append(all, probe.Addresses(m)...)
		}
	}
	return all
}

// authoritative asks every server that the zone is delegated to whether it speaks for the zone.
func (n Names) authoritative(ctx context.Context, apex string, above parent) (servers []string, f Finding) {
	var faults []string
	var untried []netip.Addr
	for _, name := range above.ns {
		addresses := above.glue[name]
		if len(addresses) == 0 {
			addresses = n.addresses(ctx, name)
		}
		if len(addresses) == 0 {
			faults = append(faults, name+" has no address")
		}
		for _, address := range addresses {
			if !probe.HasRoute(address) {
				untried = append(untried, address)
				continue
			}
			server := n.at(address)
			m, err := probe.Ask(ctx, server, apex, miekg.TypeSOA, false)
			switch {
			case err != nil:
				faults = append(faults, fmt.Sprintf("%s (%s) gives no answer", name, address))
			case !m.Authoritative || m.Rcode != miekg.RcodeSuccess:
				faults = append(faults, fmt.Sprintf("%s (%s) does not speak for the zone: %s", name, address, miekg.RcodeToString[m.Rcode]))
			default:
				servers = append(servers, server)
			}
		}
	}
	f = Finding{Check: "name servers", OK: len(faults) == 0, Detail: fmt.Sprintf("all %d speak for %s", len(servers), apex)}
	if len(untried) > 0 {
		f.Detail += "; not asked at " + addressList(untried) + ": this machine has no IPv6 route"
	}
	if !f.OK {
		f.Detail, f.Fix = strings.Join(faults, "; "), "fix those servers, let UDP and TCP of port 53 through to them, or take them out of the delegation"
	}
	return servers, f
}

// dnssec looks whether resolvers that check signatures would believe the zone's.
func (n Names) dnssec(ctx context.Context, apex string, above parent, servers []string) Finding {
	f := Finding{Check: "DNSSEC", OK: true, Detail: "not used: " + above.name + " has no DS record for " + apex}
	if !above.signed {
		return f
	}
	if n.Inspect == nil {
		return Finding{Check: f.Check, Detail: fmt.Sprintf("%s has a DS record for %s, and greenroom signs nothing: resolvers that check take every answer for forged", above.name, apex), Fix: "remove the DS record from " + above.name}
	}
	for _, server := range servers {
		m, err := probe.Ask(ctx, server, apex, miekg.TypeDNSKEY, false)
		if err != nil || len(m.Answer) == 0 {
			return Finding{Check: f.Check, Detail: fmt.Sprintf("%s has a DS record for %s, and %s shows no key", above.name, apex, server), Fix: "sign the zone at its provider, or remove the DS record from " + above.name}
		}
	}
	f.Detail = "used: there is a DS record, and every server shows keys"
	return f
}
