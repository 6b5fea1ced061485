package localcompute

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"

	"greenroom"
)

// addresses hands out loopback addresses, 127.0.1.1 to 127.0.254.254. An address is reserved by listening on
// it: nothing else can then have it, be it of another greenroom on this machine, and nothing need be released.
type addresses struct {
	mu   sync.Mutex
	last int // a fresh address is preferred to one that was just given back
}

const perBlock, blocks = 254, 254

func address(n int) netip.Addr {
	return netip.AddrFrom4([4]byte{127, 0, byte(1 + n/perBlock), byte(1 + n%perBlock)})
}

func (a *addresses) reserve(port int) (*net.TCPListener, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for range perBlock * blocks {
		n := a.last
		a.last = (a.last + 1) % (perBlock * blocks)
		ln, err := listen(address(n), port)
		if err == nil || !errors.Is(err, syscall.EADDRINUSE) {
			return ln, err
		}
	}
	return nil, &greenroom.UserError{Cause: greenroom.ErrCapacity, Message: fmt.Sprintf(
		"No loopback address is free for a desktop on port %d. Does another program listen on it on all addresses?", port)}
}

func listen(ip netip.Addr, port int) (*net.TCPListener, error) {
	ln, err := net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(netip.AddrPortFrom(ip, uint16(port))))
	if err != nil {
		return nil, fmt.Errorf("reserve %s: %w", ip, err)
	}
	return ln, nil
}
