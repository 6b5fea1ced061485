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
	"strings"
	"time"

	"greenroom"
	"greenroom/internal/access"
	"greenroom/internal/access/connlimit"
	"greenroom/internal/logkey"
)

// Options of a Proxy. Zero values stand for the defaults.
type Options struct {
	Lookup func(name string) []netip.Addr // the zone's records, the first to be tried first; the name is lower case, without the final dot
	Zone   string                         // only names below it are looked up
	Port   int                            // of the desktops; 8443
	Logger *slog.Logger

	MaxConns     int           // at once; 4096. A quarter is kept for those that asked for a desktop
	MaxPerClient int           // of one IPv4 address or IPv6 network of 64 bits, at once; 256
	ProofTime    time.Duration // for which a desktop keeps a connection that has shown it a token; 20 s
	HelloTimeout time.Duration // until the server name must have come; 10 s
	DialTimeout  time.Duration // until the desktop must have accepted; 2 s
	Drain        time.Duration // that connections are given to end by themselves when the proxy stops; 1 s
}

// Proxy passes connections to desktops.
type Proxy struct {
	o        Options
	pool     *connlimit.Pool
	sessions access.Sessions // connections under way
	counts   access.Counts
}

// New returns a proxy.
func New(o Options) *Proxy {
	o.Port = cmp.Or(o.Port, greenroom.DesktopPort)
	o.MaxConns = cmp.Or(o.MaxConns, 4096)
	o.MaxPerClient = cmp.Or(o.MaxPerClient, 256)
	o.HelloTimeout = cmp.Or(o.HelloTimeout, 10*time.Second)
	o.DialTimeout = cmp.Or(o.DialTimeout, 2*time.Second)
	o.Drain = cmp.Or(o.Drain, time.Second)
	o.ProofTime = cmp.Or(o.ProofTime, 20*time.Second)
	return &Proxy{o: o, pool: connlimit.NewPool(connlimit.Limits{All: o.MaxConns, Each: o.MaxPerClient, PerProof: o.MaxPerClient, Reserve: o.MaxConns / 4})}
}

// Stats returns the counts.
func (p *Proxy) Stats() access.Stats { return p.counts.Stats(p.pool, &p.sessions) }

// Serve passes the listener's connections on until ctx ends. Then it closes the listener, gives open connections
// Drain to end, cuts the rest and returns nil. If the listener fails it does the same and returns that error.
func (p *Proxy) Serve(ctx context.Context, l net.Listener) error {
	conns, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	err := p.accept(ctx, &connlimit.Listener{Listener: l, Pool: p.pool}, func(client *connlimit.Conn) {
		if !p.sessions.Enter() {
			client.Close()
			return
		}
		go func() {
			defer p.sessions.Leave()
			p.handle(conns, client)
		}()
	})
	p.sessions.Drain(p.o.Drain, cut)
	return err
}

// accept hands each connection that has a place to serve, until ctx ends or the listener fails.
func (p *Proxy) accept(ctx context.Context, l net.Listener, serve func(*connlimit.Conn)) error {
	defer l.Close()
	defer context.AfterFunc(ctx, func() { l.Close() })()
	const pause = 50 * time.Millisecond
	for {
		conn, err := l.Accept()
		switch {
		case err == nil:
			serve(conn.(*connlimit.Conn)) // it is what a connlimit.Listener accepts
		case ctx.Err() != nil:
			return nil
		case isTemporary(err): // no file is left: some will be when others end
			p.o.Logger.WarnContext(ctx, "desktop connection not accepted", logkey.Err, err)
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
func (p *Proxy) handle(ctx context.Context, client *connlimit.Conn) {
	defer client.Close()
	defer context.AfterFunc(ctx, func() { client.Close() })()
	hello, name, err := readHello(ctx, client, p.o.HelloTimeout)
	if err != nil {
		p.counts.Refuse(access.Unreadable)
		return
	}
	addresses := p.find(name)
	if len(addresses) == 0 {
		p.counts.Refuse(access.Unknown)
		p.o.Logger.DebugContext(ctx, "desktop name refused", logkey.Name, name)
		refuse(client, p.o.DialTimeout)
		return
	}
	client.Place().Know()
	desktop, err := p.dial(ctx, client, addresses, hello)
	if err != nil {
		p.counts.Refuse(access.Unreachable)
		p.o.Logger.WarnContext(ctx, "desktop not reached", logkey.Name, name, logkey.Address, addresses, logkey.Err, err)
		return
	}
	defer desktop.Close()
	defer context.AfterFunc(ctx, func() { desktop.Close() })()
	p.counts.Pass()
	// Tokens and cookies are inside of TLS: what proves a connection is that its desktop, which sees them, keeps it.
	defer time.AfterFunc(p.o.ProofTime, func() { client.Place().Prove(name) }).Stop()
	join(client.TCP(), desktop)
}

// find returns the desktop's addresses; a name that is not below the zone has none.
func (p *Proxy) find(name string) []netip.Addr {
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	if !strings.HasSuffix(name, "."+p.o.Zone) {
		return nil
	}
	return p.o.Lookup(name)
}

// dial connects to the desktop, tells it whom it is for (PROXY protocol, version 2) and says what the client said.
func (p *Proxy) dial(ctx context.Context, client net.Conn, to []netip.Addr, hello []byte) (*net.TCPConn, error) {
	ctx, cancel := context.WithTimeout(ctx, p.o.DialTimeout)
	defer cancel()
	conn, err := access.Dial(ctx, to, p.o.Port)
	if err != nil {
		return nil, err
	}
	header, err := access.Header(client.RemoteAddr(), client.LocalAddr())
	if err == nil {
		_, err = conn.Write(append(header, hello...))
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn.(*net.TCPConn), nil
}
