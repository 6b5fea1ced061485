package sniproxy

import (
	"io"
	"net"
	"time"
)

// keepAlive finds out in under two minutes that the other end is no more. There is no limit on silence:
// somebody may look at a screen on which nothing moves.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 15 * time.Second, Count: 5}

// join passes bytes both ways until both have ended, or one fails. When one side has said all it had to say, the
// other is told, and may go on.
func join(client, desktop *net.TCPConn) {
	_ = client.SetKeepAliveConfig(keepAlive) // without it the system's own, slower one
	_ = desktop.SetKeepAliveConfig(keepAlive)
	done := make(chan struct{})
	go func() {
		defer close(done)
		pass(desktop, client)
	}()
	pass(client, desktop)
	<-done
}

// pass copies to the end. Both are plain TCP connections, so that Linux moves the bytes without showing them to us.
func pass(to, from *net.TCPConn) {
	if _, err := io.Copy(to, from); err == nil && to.CloseWrite() == nil {
		return
	}
	to.Close()
	from.Close()
}
