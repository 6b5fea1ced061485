package gateway

import (
	"net"
	"net/netip"
	"sync"
)

// limits counts open connections, of all and of each client. Its memory is bounded by the former.
type limits struct {
	all, each int

	mu    sync.Mutex
	total int
	open  map[netip.Prefix]int
}

// take counts one more of the client, unless that is too many.
func (l *limits) take(client netip.Prefix) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.total >= l.all || l.open[client] >= l.each {
		return false
	}
	l.total++
	l.open[client]++
	return true
}

// give counts one fewer.
func (l *limits) give(client netip.Prefix) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total--
	if l.open[client]--; l.open[client] == 0 {
		delete(l.open, client)
	}
}

func (l *limits) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total
}

// clientNetwork is what counts as one client: an IPv4 address, or an IPv6 network of 64 bits, since one client
// has all of that.
func clientNetwork(a net.Addr) netip.Prefix {
	ip := a.(*net.TCPAddr).AddrPort().Addr().Unmap().WithZone("")
	bits := 64
	if ip.Is4() {
		bits = 32
	}
	network, _ := ip.Prefix(bits) // fails for more bits than an address has
	return network
}
