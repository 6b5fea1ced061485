package probe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// delegationFor is how long a zone's servers are remembered.
const delegationFor = 5 * time.Minute

// Delegation finds the servers that a zone is delegated to. It asks the system's resolver for the zone and its servers only,
// never for a desktop's name.
type Delegation struct {
	Resolver *net.Resolver // finds them; nil: the system's
	Port     string        // of all of them; empty: 53

	zone string

	mu      sync.Mutex
	servers []string
	found   time.Time
}

// NewDelegation returns that of the zone, or of the nearest one above it that has servers.
func NewDelegation(zone string) *Delegation { return &Delegation{zone: zone} }

// Servers returns host:port of every address of every server.
func (d *Delegation) Servers(ctx context.Context) ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if time.Since(d.found) < delegationFor {
		return d.servers, nil
	}
	resolver, port := cmp.Or(d.Resolver, net.DefaultResolver), cmp.Or(d.Port, "53")
	for zone := d.zone; strings.Contains(zone, "."); _, zone, _ = strings.Cut(zone, ".") {
		names, err := resolver.LookupNS(ctx, zone+".")
		if missing, ok := errors.AsType[*net.DNSError](err); ok && missing.IsNotFound {
			continue
		}
		if err != nil {
			return nil, err
		}
		var servers []string
		for _, ns := range names {
			addresses, err := resolver.LookupNetIP(ctx, "ip", ns.Host)
			if err != nil {
				return nil, err
			}
			// A server is asked over IPv4 where it can be: what it says over IPv6 is the same, and fewer machines have a way there.
			if isIPv4 := func(a netip.Addr) bool { return a.Unmap().Is4() }; slices.ContainsFunc(addresses, isIPv4) {
				addresses = slices.DeleteFunc(addresses, func(a netip.Addr) bool { return !isIPv4(a) })
			}
			for _, address := range addresses {
				servers = append(servers, net.JoinHostPort(address.Unmap().String(), port))
			}
		}
		d.servers, d.found = servers, time.Now()
		return servers, nil
	}
	return nil, fmt.Errorf("nobody serves %s: delegate it", d.zone)
}
