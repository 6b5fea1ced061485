package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	miekg "github.com/miekg/dns"
)

// secondTime bounds the look at a desktop's second address: the first alone is enough to get in.
const secondTime = 3 * time.Second

// TypeOf is the type of the record that holds the address.
func TypeOf(a netip.Addr) uint16 {
	if a.Is6() {
		return miekg.TypeAAAA
	}
	return miekg.TypeA
}

// AddressOf is the address that a record holds, if it holds one.
func AddressOf(rr miekg.RR) (netip.Addr, bool) {
	switch rr := rr.(type) {
	case *miekg.A:
		return netip.AddrFromSlice(rr.A.To4())
	case *miekg.AAAA:
		return netip.AddrFromSlice(rr.AAAA)
	}
	return netip.Addr{}, false
}

// Addresses are those of an answer.
func Addresses(m *miekg.Msg) []netip.Addr {
	var all []netip.Addr
	for _, rr := range m.Answer {
		if a, ok := AddressOf(rr); ok {
			all = append(all, a)
		}
	}
	return all
}

// HasRoute reports whether this machine knows a way to an IPv6 address, without sending anything. What is wrong with the way to an
// IPv4 address shows when it is used.
func HasRoute(a netip.Addr) bool {
	if !a.Is6() {
		return true
	}
	const discard = 9
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, discard)))
	if err != nil {
		for _, none := range []error{syscall.ENETUNREACH, syscall.EHOSTUNREACH, syscall.EADDRNOTAVAIL, syscall.EAFNOSUPPORT} {
			if errors.Is(err, none) {
				return false
			}
		}
		return true
	}
	conn.Close()
	return true
}

// direct reports whether connections end at the desktop's own addresses.
func (a *attempt) direct() bool { return a.o.DesktopAddr == "" && !a.o.Proxied }

// noRoute is what is said where this machine cannot look.
func noRoute(address netip.Addr) string {
	return fmt.Sprintf("%s was not tried: this machine has no IPv6 route", address)
}

// second looks at the desktop's other address as at its first. What it says counts beside the proof and not against it.
func (a *attempt) second(ctx context.Context, address netip.Addr) (detail string, ok bool) {
	if !a.o.HasRoute(address) {
		return noRoute(address), true
	}
	ctx, cancel := context.WithTimeout(ctx, secondTime)
	defer cancel()
	b := attempt{Prober: a.Prober, hostname: a.hostname, addresses: []netip.Addr{address}}
	defer b.close()
	for _, look := range []func(context.Context) (string, bool){b.tls, b.page} {
		if detail, ok = look(ctx); !ok {
			return detail, false
		}
	}
	return fmt.Sprintf("certificate and page at %s are as good", address), true
}
