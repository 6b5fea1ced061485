// Package connlimit bounds how many connections are open at once, of all and of each client, for whatever
// listens to strangers.
package connlimit

import (
	"net"
	"net/netip"
	"sync"
)

// Limits counts open connections. Its memory is bounded by the limit of all.
type Limits struct {
	all, each int

	mu    sync.Mutex
	total int
	open  map[netip.Prefix]int
}

// New allows all connections at once, and each of one client.
func New(all, each int) *Limits {
	return &Limits{all: all, each: each, open: map[netip.Prefix]int{}}
}

// Take counts one more of the client, unless that is too many.
func (l *Limits) Take(client netip.Prefix) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.total >= l.all || l.open[client] >= l.each {
		return false
	}
	l.total++
	l.open[client]++
	return true
}

// Give counts one fewer.
func (l *Limits) Give(client netip.Prefix) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total--
	if l.open[client]--; l.open[client] == 0 {
		delete(l.open, client)
	}
}

// Count is how many are open now.
func (l *Limits) Count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total
}

// Client is what counts as one client of a TCP address: an IPv4 address, or an IPv6 network of 64 bits, since one
// client has all of that.
func Client(a net.Addr) netip.Prefix {
	ip := a.(*net.TCPAddr).AddrPort().Addr().Unmap().WithZone("")
	bits := 64
	if ip.Is4() {
		bits = 32
	}
	network, _ := ip.Prefix(bits) // fails for more bits than an address has
	return network
}
