package connlimit

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/pires/go-proxyproto"
)

// KeepAlive finds out in under two minutes that the other end is no more. There is no limit on silence: somebody may
// look at a screen on which nothing moves.
var KeepAlive = net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 15 * time.Second, Count: 5}

// maxPending bounds the connections whose PROXY header is being read.
const maxPending = 1024

// Listener accepts connections that have a place in a pool. It may wrap a proxyproto.Listener: then a connection's client is
// the one that its header names, and the connection is accepted when the header has come.
type Listener struct {
	net.Listener
	Pool *Pool

	// Proxies says that a peer who may send a PROXY header and sends none is a proxy that speaks for many clients by other
	// means: its connections do not make way for strangers'.
	Proxies bool

	start  sync.Once
	named  chan net.Conn // whose client is known
	failed chan struct{} // closed when nothing more is accepted
	err    error
}

// Accept closes what has no place, and returns the next connection that has one. The connection is a *Conn.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		conn, err := l.next()
		if err != nil {
			return nil, err
		}
		c := &Conn{Conn: conn}
		if c.place = l.Pool.Enter(Client(conn.RemoteAddr()), c.cut); c.place == nil {
			_ = conn.Close() // it is a stranger's: there is nobody to tell
			continue
		}
		if p, ok := conn.(*proxyproto.Conn); ok && l.Proxies && p.ProxyHeader() == nil {
			c.place.Trust()
		}
		if tcp, ok := c.wire().(*net.TCPConn); ok {
			_ = tcp.SetKeepAliveConfig(KeepAlive) // without it the system's own, slower one
		}
		return c, nil
	}
}

// next is the next connection whose client is known.
func (l *Listener) next() (net.Conn, error) {
	if _, headers := l.Listener.(*proxyproto.Listener); !headers {
		return l.Listener.Accept()
	}
	l.start.Do(func() {
		l.named, l.failed = make(chan net.Conn), make(chan struct{})
		go l.readHeaders()
	})
	select {
	case c := <-l.named:
		return c, nil
	case <-l.failed:
		return nil, l.err
	}
}

// readHeaders waits for the headers of all connections at once: who sends none delays nobody. Those that wait longest make way.
func (l *Listener) readHeaders() {
	defer close(l.failed)
	pending := NewPool(Limits{All: maxPending})
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			l.err = err
			return
		}
		c, ok := conn.(*proxyproto.Conn)
		if !ok { // of a peer that may send no header
			l.pass(conn)
			continue
		}
		place := pending.Enter(Client(c.Raw().RemoteAddr()), func() { _ = c.Close() })
		go func() {
			_ = c.ProxyHeader() // its errors are those of the first Read
			place.Leave()
			l.pass(c)
		}()
	}
}

// pass hands a connection to Accept, or closes it if nobody accepts any more.
func (l *Listener) pass(c net.Conn) {
	select {
	case l.named <- c:
	case <-l.failed:
		_ = c.Close()
	}
}

// Conn is a connection with a place. Closing it gives the place back.
type Conn struct {
	net.Conn
	place *Place
}

// wire is the connection as it was accepted, below any PROXY header.
func (c *Conn) wire() net.Conn {
	if p, ok := c.Conn.(*proxyproto.Conn); ok {
		return p.Raw()
	}
	return c.Conn
}

// TCP is the plain connection, nil if there is none or if what was read of it is buffered elsewhere.
func (c *Conn) TCP() *net.TCPConn {
	tcp, _ := c.Conn.(*net.TCPConn)
	return tcp
}

// Place is the connection's place.
func (c *Conn) Place() *Place { return c.place }

// Close closes the connection and gives the place back.
func (c *Conn) Close() error {
	c.place.Leave()
	return c.Conn.Close()
}

// cut closes the connection below everything that would say goodbye first.
func (c *Conn) cut() { _ = c.wire().Close() }

// of is the place of a connection that a Listener accepted, with or without TLS on it; nil for any other.
func of(conn net.Conn) *Place {
	for {
		switch c := conn.(type) {
		case *Conn:
			return c.place
		case interface{ NetConn() net.Conn }: // as of *tls.Conn
			conn = c.NetConn()
		default:
			return nil
		}
	}
}

type placeKey struct{}

// Context is http.Server's ConnContext: it lets Prove find the connection of a request.
func Context(ctx context.Context, conn net.Conn) context.Context {
	if place := of(conn); place != nil {
		return context.WithValue(ctx, placeKey{}, place)
	}
	return ctx
}

// State is http.Server's ConnState: a connection between two requests makes way before one that is in use.
func State(conn net.Conn, s http.ConnState) {
	if s == http.StateIdle || s == http.StateActive {
		of(conn).Idle(s == http.StateIdle)
	}
}

// Prove says that the request with this context has shown a right credential: proof names whose. Without a Listener it does nothing.
func Prove(ctx context.Context, proof string) {
	place, _ := ctx.Value(placeKey{}).(*Place)
	place.Prove(proof)
}
