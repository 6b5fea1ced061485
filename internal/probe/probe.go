// Package probe gathers proof from outside that a participant would get in: every server of the zone gives the
// desktop's address, the connection a browser would make has a valid certificate for the name, and the desktop answers on it.
package probe

import (
	"cmp"
	"context"
	"crypto/x509"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"greenroom"
)

// Options of a Prober.
type Options struct {
	DNSServers    []string                                    // host:port of every authoritative server; each is asked
	Servers       func(ctx context.Context) ([]string, error) // finds them instead; nil: DNSServers
	Resolver      string                                      // host:port; asked after all servers of the zone have the name; empty: none
	Proxied       bool                                        // the name leads to a proxy's addresses, and connections end there
	NameAddresses []netip.Addr                                // what every desktop's name must be, where all share one record; not given: the desktop's own addresses
	DesktopAddr   string                                      // host:port where connections to desktops' names end; empty: the desktop's own address
	Port          int                                         // in desktops' URLs, and of their own addresses; 8443
	Roots         func() *x509.CertPool                       // whom a browser trusts, asked each time; nil, or a nil pool: the system's store
	Front         *Front                                      // of desktops below one address; nil: desktops have names
	HasRoute      func(netip.Addr) bool                       // whether this machine has a way to an address; nil: the kernel is asked
	Timeout       time.Duration                               // of a whole probe; 10 s
}

// Prober takes proofs. It may be used by many at once.
type Prober struct{ o Options }

// New returns a prober.
func New(o Options) *Prober {
	o.Port = cmp.Or(o.Port, greenroom.DesktopPort)
	o.Timeout = cmp.Or(o.Timeout, 10*time.Second)
	if o.HasRoute == nil {
		o.HasRoute = HasRoute
	}
	return &Prober{o: o}
}

// Probe looks whether a browser would reach the desktop of that name, which has these addresses, one or one of each family, within
// the prober's timeout. The steps are "dns", "tls" and "page", and with a Front "tls", if it speaks TLS, and "page"; the first that fails is the last. The proof is lost if no answer
// came in time. The name must have all the addresses, and the first must answer. Of a second one the step "ipv6" tells: the proof
// holds without it, and is Narrow.
func (p *Prober) Probe(ctx context.Context, hostname string, addresses ...netip.Addr) greenroom.Proof {
	if len(addresses) == 0 {
		addresses = []netip.Addr{{}}
	}
	ctx, cancel := context.WithTimeout(ctx, p.o.Timeout)
	defer cancel()
	a := attempt{Prober: p, hostname: hostname, addresses: addresses}
	a.instance, _, _ = strings.Cut(hostname, ".")
	defer a.close()

	proof := greenroom.Proof{OK: true}
	for _, step := range a.steps() {
		began := time.Now()
		detail, ok := step.look(ctx)
		proof.Steps = append(proof.Steps, greenroom.ProofStep{Name: step.name, OK: ok, Took: greenroom.Duration(time.Since(began)), Detail: detail})
		if !ok {
			proof.OK, proof.Lost = false, a.lost
			break
		}
	}
	proof.Untried = proof.OK && a.untried
	if proof.OK && a.direct() && len(addresses) > 1 {
		began := time.Now()
		detail, ok := a.second(ctx, addresses[1])
		proof.Steps = append(proof.Steps, greenroom.ProofStep{Name: "ipv6", OK: ok, Took: greenroom.Duration(time.Since(began)), Detail: detail})
		proof.Narrow = !ok
	}
	proof.At = time.Now().UTC()
	return proof
}

// step is one look: ok, and what was seen.
type step struct {
	name string
	look func(context.Context) (detail string, ok bool)
}

func (a *attempt) steps() []step {
	if a.o.Front != nil {
		return a.frontSteps()
	}
	return []step{{"dns", a.dns}, {"tls", a.tls}, {"page", a.page}}
}

func (p *Prober) roots() *x509.CertPool {
	if p.o.Roots == nil {
		return nil
	}
	return p.o.Roots()
}

// target is where a browser's connection to the desktop's name ends. Without a listener in between that is the
// desktop's own address: the zone's servers have just given it, and asking a resolver for the name before anybody
// else does would only risk that it remembers a "no such name".
func (a *attempt) target() string {
	if a.proxy.IsValid() {
		return net.JoinHostPort(a.proxy.String(), strconv.Itoa(a.o.Port))
	}
	return cmp.Or(a.o.DesktopAddr, net.JoinHostPort(a.addresses[0].String(), strconv.Itoa(a.o.Port)))
}
