package access

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"
)

// Dial connects to a desktop at the first of its addresses that accepts, within ctx. Each gets an equal part of the time that is
// left, so that one that does not answer leaves some for the next.
func Dial(ctx context.Context, addresses []netip.Addr, port int) (net.Conn, error) {
	errs := []error{}
	for i, address := range addresses {
		conn, err := dialOne(ctx, netip.AddrPortFrom(address, uint16(port)), len(addresses)-i)
		if err == nil {
			return conn, nil
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
	}
	if len(addresses) == 0 {
		return nil, errors.New("the desktop has no address")
	}
	return nil, errors.Join(errs...)
}

func dialOne(ctx context.Context, to netip.AddrPort, left int) (net.Conn, error) {
	if deadline, ok := ctx.Deadline(); ok && left > 1 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/time.Duration(left))
		defer cancel()
	}
	var d net.Dialer
	return d.DialContext(ctx, "tcp", to.String())
}
