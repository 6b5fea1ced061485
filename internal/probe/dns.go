package probe

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	miekg "github.com/miekg/dns"
)

const (
	dnsTries   = 2 // a datagram may be lost
	dnsTimeout = 2 * time.Second
)

// dns asks every server of the zone for the name.
func (a *attempt) dns(ctx context.Context) (string, bool) {
	servers, err := a.servers(ctx)
	if err != nil {
		return "the zone's servers could not be found: " + a.unanswered(err), false
	}
	if len(servers) == 0 {
		a.lost = true
		return "no server of the zone is known to ask", false
	}
	for _, server := range servers {
		for _, want := range a.wanted() {
			if detail, ok := a.askOne(ctx, server, want); !ok {
				return detail, false
			}
		}
	}
	if a.o.Resolver != "" {
		if detail, ok := a.askResolver(ctx); !ok {
			return detail, false
		}
		servers = append(servers[:len(servers):len(servers)], a.o.Resolver)
	}
	return fmt.Sprintf("%s is %s, says %s", a.hostname, a.expected(), strings.Join(servers, " and ")), true
}

// unanswered is plain, and notes that the name servers said nothing: that is no fault of the desktop.
func (a *attempt) unanswered(err error) string {
	text := a.plain(err)
	a.lost = true
	return text
}

func (a *attempt) servers(ctx context.Context) ([]string, error) {
	if a.o.Servers == nil {
		return a.o.DNSServers, nil
	}
	return a.o.Servers(ctx)
}

// askResolver reports whether a public resolver knows the name, now that every server of the zone does.
func (a *attempt) askResolver(ctx context.Context) (string, bool) {
	for _, want := range a.wanted() {
		m, err := Ask(ctx, a.o.Resolver, a.hostname, TypeOf(want), true)
		if err != nil {
			return fmt.Sprintf("resolver %s gave no answer: %s", a.o.Resolver, a.unanswered(err)), false
		}
		if got := Addresses(m); m.Rcode != miekg.RcodeSuccess || !a.right(got, want) {
			a.lost = true // the zone's servers know better
			return fmt.Sprintf("resolver %s answers %s, %v for %s", a.o.Resolver, miekg.RcodeToString[m.Rcode], got, a.hostname), false
		}
	}
	return "", true
}

// right reports whether the address is the wanted one, or, behind a proxy, some. The proxy's are where the connection ends.
func (a *attempt) right(got []netip.Addr, want netip.Addr) bool {
	if a.o.Proxied && len(got) > 0 {
		a.proxy = got[0]
		return true
	}
	return len(got) == 1 && got[0] == want
}

// askOne reports whether that server answers with exactly the desktop's address of a family, and if not, what it did.
func (a *attempt) askOne(ctx context.Context, server string, want netip.Addr) (string, bool) {
	m, err := Ask(ctx, server, a.hostname, TypeOf(want), false)
	switch {
	case err != nil:
		return fmt.Sprintf("name server %s gave no answer: %s", server, a.unanswered(err)), false
	case m.Rcode == miekg.RcodeNameError:
		return fmt.Sprintf("name server %s says that there is no %s", server, a.hostname), false
	case m.Rcode != miekg.RcodeSuccess:
		a.lost = true
		return fmt.Sprintf("name server %s answers %s for %s", server, miekg.RcodeToString[m.Rcode], a.hostname), false
	case !m.Authoritative:
		a.lost = true
		return fmt.Sprintf("name server %s does not speak for the zone of %s", server, a.hostname), false
	}
	if got := Addresses(m); !a.right(got, want) {
		return fmt.Sprintf("name server %s says that %s is %v, not %s", server, a.hostname, got, want), false
	}
	return "", true
}

// wanted are the addresses that the name must have. Of a proxy, which has both whatever the desktop has, one family is enough.
func (a *attempt) wanted() []netip.Addr {
	all := a.addresses
	if len(a.o.NameAddresses) > 0 {
		all = a.o.NameAddresses
	}
	if a.o.Proxied {
		all = all[:min(len(all), 1)]
	}
	return all
}

// expected are they in words.
func (a *attempt) expected() string {
	var texts []string
	for _, address := range a.wanted() {
		texts = append(texts, address.String())
	}
	return strings.Join(texts, " and ")
}

// Ask asks one server over UDP, twice if need be, and over TCP if the answer is cut.
func Ask(ctx context.Context, server, name string, kind uint16, recurse bool) (m *miekg.Msg, err error) {
	q := new(miekg.Msg).SetQuestion(miekg.Fqdn(name), kind)
	q.RecursionDesired = recurse
	q.SetEdns0(miekg.DefaultMsgSize, false)
	client := miekg.Client{Timeout: dnsTimeout}
	for range dnsTries {
		q.Id = miekg.Id()
		if m, _, err = client.ExchangeContext(ctx, q, server); err == nil && m.Truncated {
			client.Net = "tcp"
			continue
		}
		if err == nil || ctx.Err() != nil {
			return m, err
		}
	}
	return m, err
}
