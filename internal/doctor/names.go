package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	miekg "github.com/miekg/dns"

	"greenroom"
	"greenroom/internal/dns"
	"greenroom/internal/probe"
)

// Names say what to look at where desktops are named in a real zone. The zero value is for a zone of this machine alone.
type Names struct {
	Zone     string                                          // empty: nothing is looked at
	Inspect  func(ctx context.Context) (dns.Facts, []error)  // what the provider says; nil: greenroom serves the zone itself
	Open     func(ctx context.Context) (dns.Provider, error) // to write a test record with; nil: none is written
	Servers  []Server                                        // that greenroom serves the zone with, where it does
	Edge     netip.Addr                                      // where every name has to lead with access by gateway; not valid: nowhere
	Proxied  bool                                            // browsers come through Cloudflare's edge,
	Port     int                                             // to this port,
	Advanced bool                                            // and the edge has a certificate for deeper names
	Resolver string                                          // host:port; finds the servers of the zone and of its parent
	DNSPort  string                                          // of all servers but the resolver; empty: 53
}

// Server is one of a zone's name servers.
type Server struct {
	Name    string // without the final dot
	Address netip.Addr
}

// Bounds of the parts: all of it is over within 50 s.
const (
	inspectTime  = 10 * time.Second
	delegateTime = 10 * time.Second
	writeTime    = 10 * time.Second
	seenTime     = 10 * time.Second
	removeTime   = 8 * time.Second
	seenEvery    = 500 * time.Millisecond
)

func (n Names) check(ctx context.Context) []Finding {
	if n.Zone == "" {
		return nil
	}
	facts, out := n.provider(ctx)
	servers, found := n.delegation(ctx, facts)
	out = append(out, found...)
	if n.Edge.IsValid() && len(servers) > 0 {
		out = append(out, n.wildcard(ctx, servers))
	}
	if n.Open != nil {
		out = append(out, n.testRecord(ctx, servers)...)
	}
	return out
}

// provider looks at what the provider says of the zone and of whoever is let in.
func (n Names) provider(ctx context.Context) (dns.Facts, []Finding) {
	if n.Inspect == nil {
		return dns.Facts{Apex: n.Zone}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, inspectTime)
	defer cancel()
	facts, errs := n.Inspect(ctx)
	var out []Finding
	for _, err := range errs {
		out = append(out, Finding{Check: "DNS provider", Detail: greenroom.Sentence(err, err.Error()), Fix: "fix this error; the keys below dns are in docs/config.md, the rights in docs/dns.md"})
	}
	if len(errs) == 0 {
		out = append(out, Finding{Check: "DNS provider", OK: true, Detail: strings.TrimSpace(fmt.Sprintf("lets us read the zone %s %s", facts.Apex, facts.Plan))})
	}
	if facts.Pending != "" {
		out = append(out, Finding{Check: "zone at the provider", Detail: facts.Pending, Fix: "delegate the zone, and wait until the provider has noticed"})
	}
	return facts, append(out, n.rules(facts)...)
}

// edgePorts are those that Cloudflare passes on for HTTPS.
var edgePorts = []int{443, 2053, 2083, 2087, 2096, 8443}

// rules looks at clocks, quotas and what a proxy in between asks for.
func (n Names) rules(facts dns.Facts) []Finding {
	var out []Finding
	if !facts.Clock.IsZero() {
		f := Finding{Check: "clock and the DNS provider's", OK: true, Detail: "agree"}
		if skew := facts.Seen.Sub(facts.Clock).Abs(); skew > maxAuthoritySkew {
			f = Finding{Check: f.Check, Detail: skew.Round(time.Second).String() + " apart", Fix: "set the clock, for instance with: sudo timedatectl set-ntp true"}
		}
		out = append(out, f)
	}
	if facts.Calls != "" {
		out = append(out, Finding{Check: "calls to the DNS provider", OK: true, Detail: facts.Calls})
	}
	if facts.MostRecords > 0 {
		f := Finding{Check: "records of the zone", OK: true, Detail: fmt.Sprintf("%d of about %d", facts.Records, facts.MostRecords)}
		if (facts.MostRecords-facts.Records)*few < facts.MostRecords {
			f.OK, f.Note, f.Fix = false, true, "remove records, choose a larger plan, or use access gateway, which needs one record for all desktops"
		}
		out = append(out, f)
	}
	if !n.Proxied {
		return out
	}
	port := Finding{Check: "port behind Cloudflare's edge", OK: true, Detail: fmt.Sprint(n.Port)}
	if !slices.Contains(edgePorts, n.Port) {
		port.OK, port.Fix = false, "set desktop_port to one that Cloudflare passes on: 443, 2053, 2083, 2087, 2096 or 8443"
	}
	depth := Finding{Check: "names behind Cloudflare's edge", OK: true, Detail: "*." + n.Zone}
	if facts.Apex != "" && facts.Apex != n.Zone && !n.Advanced {
		depth.OK, depth.Detail = false, fmt.Sprintf("*.%s is deeper than *.%s, which Cloudflare's universal certificate covers", n.Zone, facts.Apex)
		depth.Fix = fmt.Sprintf("set zone to %s, or order an advanced certificate for *.%s there and set certificates.edge: advanced", facts.Apex, n.Zone)
	}
	return append(out, port, depth)
}

// wildcard looks whether all names lead to the edge. The name asked for is no desktop's, and no resolver is asked.
func (n Names) wildcard(ctx context.Context, servers []string) Finding {
	ctx, cancel := context.WithTimeout(ctx, 2*lookTimeout)
	defer cancel()
	f := Finding{Check: "wildcard record", OK: true, Detail: fmt.Sprintf("*.%s leads to %s at every server", n.Zone, n.Edge)}
	for _, server := range servers {
		if detail := n.leads(ctx, server, "greenroom-doctor-edge."+n.Zone, n.Edge); detail != "" {
			return Finding{Check: f.Check, Note: true, Detail: detail, Fix: "start the server, which writes *." + n.Zone + "; if somebody else's record is in the way, its log says so: remove that record"}
		}
	}
	return f
}

// leads says why a server does not answer with the address for the name, or nothing.
func (n Names) leads(ctx context.Context, server, name string, want netip.Addr) string {
	m, err := probe.Ask(ctx, server, name, miekg.TypeA, false)
	if err != nil {
		return fmt.Sprintf("%s gives no answer: %v", server, err)
	}
	for _, rr := range m.Answer {
		if a, ok := rr.(*miekg.A); ok && (n.Proxied || a.A.Equal(want.AsSlice())) {
			return ""
		}
	}
	return fmt.Sprintf("%s answers %s for %s, without %s", server, miekg.RcodeToString[m.Rcode], name, want)
}

// testAddress leads nowhere: it is for documentation.
var testAddress = netip.AddrFrom4([4]byte{192, 0, 2, 1})

// testRecord writes a record as a desktop's is written, waits until every server has it, and removes it, whatever came before.
func (n Names) testRecord(ctx context.Context, servers []string) []Finding {
	f := Finding{Check: "test record"}
	record := dns.Record{Name: "greenroom-doctor-" + strings.ToLower(greenroom.NewMeetingID()) + "." + n.Zone, Address: testAddress}
	zone, err := n.Open(ctx)
	if err == nil {
		began, cancel := context.WithTimeout(ctx, writeTime)
		err = dns.Await(began, func(ctx context.Context) error { return zone.SetRecords(ctx, []dns.Record{record}) })
		cancel()
	}
	fix := "fix this error; the rights are in docs/dns.md"
	if err != nil {
		f.Detail, f.Fix = "could not be written: "+sentence(err), fix
		if zone == nil {
			return []Finding{f}
		}
	} else {
		f = n.seen(ctx, servers, record)
	}
	// A write that failed may have been done all the same.
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeTime)
	defer cancel()
	if failed := zone.DeleteRecords(last, []string{record.Name}); failed != nil && err == nil {
		return []Finding{f, {Check: f.Check + ", removal", Detail: record.Name + " could not be removed: " + sentence(failed), Fix: "remove it by hand, and " + fix}}
	}
	return []Finding{f}
}

// sentence prefers what was said for people.
func sentence(err error) string { return greenroom.Sentence(err, err.Error()) }

// seen waits until every server has the record.
func (n Names) seen(ctx context.Context, servers []string, record dns.Record) Finding {
	f := Finding{Check: "test record"}
	if len(servers) == 0 {
		f.Note, f.Detail, f.Fix = true, "written and removed; no server of the zone could be asked for it", "delegate the zone"
		return f
	}
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, seenTime)
	defer cancel()
	for _, server := range servers {
		for {
			detail := n.leads(ctx, server, record.Name, record.Address)
			if detail == "" {
				break
			}
			select {
			case <-ctx.Done():
				f.Note, f.Detail = true, fmt.Sprintf("written, and after %s %s", time.Since(began).Round(time.Second), detail)
				f.Fix = "wait and look again: desktops are named as slowly; if it stays so, look whether the provider's servers are those that the zone is delegated to"
				return f
			case <-time.After(seenEvery):
			}
		}
	}
	f.OK, f.Detail = true, fmt.Sprintf("written, seen at %d servers after %s, and removed", len(servers), time.Since(began).Round(100*time.Millisecond))
	return f
}

func (n Names) at(address netip.Addr) string {
	port := n.DNSPort
	if port == "" {
		port = "53"
	}
	return net.JoinHostPort(address.String(), port)
}

// resolve asks the resolver.
func (n Names) resolve(ctx context.Context, name string, kind uint16) (*miekg.Msg, error) {
	if n.Resolver == "" {
		return nil, errors.New("this machine has no resolver")
	}
	return probe.Ask(ctx, n.Resolver, name, kind, true)
}
