// Package sniproxy is the listener that participants' browsers reach desktops through: it reads the server
// name of a TLS connection, looks it up in the zone, and passes the bytes to that desktop. TLS is not opened
// on the way; the key is on the desktop alone.
package sniproxy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pires/go-proxyproto"

	"greenroom"
	"greenroom/internal/access/connlimit"
)

// Options of a Proxy. Zero values stand for the defaults.
type Options struct {
	Lookup func(name string) (netip.Addr, bool) // the zone's records; the name is lower case, without the final dot
	Zone   string                               // only names below it are looked up
	Port   int                                  // of the desktops; 8443
	Logger *slog.Logger

	MaxConns     int           // at once; 4096
	MaxPerClient int           // of one IPv4 address or IPv6 network of 64 bits, at once; 256
	HelloTimeout time.Duration // until the server name must have come; 10 s
	DialTimeout  time.Duration // until the desktop must have accepted; 2 s
	Drain        time.Duration // that connections are given to end by themselves when the proxy stops; 1 s
}

// Proxy passes connections to desktops.
type Proxy struct {
	o      Options
	limits *connlimit.Limits
	counts counts
}

// Stats counts connections since the start.
type Stats struct {
	Open        int    // now
	Passed      uint64 // to a desktop
	Limited     uint64 // closed at once: too many, of all or of one client
	Unreadable  uint64 // closed: nothing, too much, or no TLS came in time
	Unknown     uint64 // refused: no server name, or one that has no record
	Unreachable uint64 // closed: the desktop did not accept
}

type counts struct{ passed, limited, unreadable, unknown, unreachable atomic.Uint64 }

// New returns a proxy.
func New(o Options) *Proxy {
	o.Port = cmp.Or(o.Port, greenroom.DesktopPort)
	o.MaxConns = cmp.Or(o.MaxConns, 4096)
	o.MaxPerClient = cmp.Or(o.MaxPerClient, 256)
	o.HelloTimeout = cmp.Or(o.HelloTimeout, 10*time.Second)
	o.DialTimeout = cmp.Or(o.DialTimeout, 2*time.Second)
	o.Drain = cmp.Or(o.Drain, time.Second)
	return &Proxy{o: o, limits: connlimit.New(o.MaxConns, o.MaxPerClient)}
}

// Stats returns the counts.
func (p *Proxy) Stats() Stats {
	return Stats{
		Open: p.limits.Count(), Passed: p.counts.passed.Load(), Limited: p.counts.limited.Load(),
		Unreadable: p.counts.unreadable.Load(), Unknown: p.counts.unknown.Load(), Unreachable: p.counts.unreachable.Load(),
	}
}

// Serve passes the listener's connections on until ctx ends. Then it closes the listener, gives open connections
// Drain to end, cuts the rest and returns nil. If the listener fails it does the same and returns that error.
func (p *Proxy) Serve(ctx context.Context, l net.Listener) error {
	conns, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	var open sync.WaitGroup
	err := p.accept(ctx, l, func(client *net.TCPConn) {
		open.Go(func() { p.handle(conns, client) })
	})
	drained := time.AfterFunc(p.o.Drain, cut)
	defer drained.Stop()
	open.Wait()
	return err
}

// accept hands each connection that is within the limits to serve, until ctx ends or the listener fails.
func (p *Proxy) accept(ctx context.Context, l net.Listener, serve func(*net.TCPConn)) error {
	defer l.Close()
	defer context.AfterFunc(ctx, func() { l.Close() })()
	const pause = 50 * time.Millisecond
	for {
		conn, err := l.Accept()
		switch {
		case err == nil:
			serve(conn.(*net.TCPConn)) // anything else cannot be half closed
		case ctx.Err() != nil:
			return nil
		case isTemporary(err): // no file is left: some will be when others end
			p.o.Logger.WarnContext(ctx, "desktop connection not accepted", "err", err)
			wait(ctx, pause)
		default:
			return fmt.Errorf("accept desktop connection: %w", err)
		}
	}
}

// isTemporary reports whether accepting may work again later. The method is deprecated for being vague
// elsewhere; for accept it is what the standard library itself goes by.
func isTemporary(err error) bool {
	var t interface{ Temporary() bool }
	return errors.As(err, &t) && t.Temporary()
}

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// handle serves one connection from its first byte to its last, and closes it. The end of ctx cuts it.
func (p *Proxy) handle(ctx context.Context, client *net.TCPConn) {
	defer client.Close()
	defer context.AfterFunc(ctx, func() { client.Close() })()

	network := connlimit.Client(client.RemoteAddr())
	if !p.limits.Take(network) {
		p.counts.limited.Add(1)
		return
	}
	defer p.limits.Give(network)

	hello, name, err := readHello(ctx, client, p.o.HelloTimeout)
	if err != nil {
		p.counts.unreadable.Add(1)
		return
	}
	address, ok := p.find(name)
	if !ok {
		p.counts.unknown.Add(1)
		p.o.Logger.DebugContext(ctx, "desktop name refused", "name", name)
		refuse(client, p.o.DialTimeout)
		return
	}
	desktop, err := p.dial(ctx, client, netip.AddrPortFrom(address, uint16(p.o.Port)), hello)
	if err != nil {
		p.counts.unreachable.Add(1)
		p.o.Logger.WarnContext(ctx, "desktop not reached", "name", name, "address", address, "err", err)
		return
	}
	defer desktop.Close()
	defer context.AfterFunc(ctx, func() { desktop.Close() })()
	p.counts.passed.Add(1)
	join(client, desktop)
}

// find returns the desktop's address; a name that is not below the zone has none.
func (p *Proxy) find(name string) (netip.Addr, bool) {
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	if !strings.HasSuffix(name, "."+p.o.Zone) {
		return netip.Addr{}, false
	}
	return p.o.Lookup(name)
}

// dial connects to the desktop, tells it whom it is for (PROXY protocol, version 2) and says what the client said.
func (p *Proxy) dial(ctx context.Context, client net.Conn, to netip.AddrPort, hello []byte) (*net.TCPConn, error) {
	d := net.Dialer{Timeout: p.o.DialTimeout}
	conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort(to.Addr().String(), strconv.Itoa(int(to.Port()))))
	if err != nil {
		return nil, err
	}
	header, err := proxyproto.HeaderProxyFromAddrs(2, client.RemoteAddr(), client.LocalAddr()).Format()
	if err == nil {
		_, err = conn.Write(append(header, hello...))
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn.(*net.TCPConn), nil
}
