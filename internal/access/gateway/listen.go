package gateway

import (
	"net"
	"net/netip"
	"sync"
	"time"

	"greenroom/internal/access/connlimit"
)

// keepAlive finds out in under two minutes that the other end is no more. There is no limit on silence:
// somebody may look at a screen on which nothing moves.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 15 * time.Second, Count: 5}

// limited is a listener whose connections count.
type limited struct {
	net.Listener
	gateway *Gateway
}

// Accept closes what is too much, and returns the next connection that is not.
func (l *limited) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		client := connlimit.Client(conn.RemoteAddr())
		if !l.gateway.limits.Take(client) {
			l.gateway.counts.limited.Add(1)
			conn.Close()
			continue
		}
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetKeepAliveConfig(keepAlive) // without it the system's own, slower one
		}
		return &counted{Conn: conn, limits: l.gateway.limits, client: client}, nil
	}
}

// counted gives its place back when it is closed.
type counted struct {
	net.Conn
	limits *connlimit.Limits
	client netip.Prefix
	once   sync.Once
}

func (c *counted) Close() error {
	c.once.Do(func() { c.limits.Give(c.client) })
	return c.Conn.Close()
}
