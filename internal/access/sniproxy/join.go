package sniproxy

import (
	"io"
	"net"

	"greenroom/internal/access/connlimit"
)

// join passes bytes both ways until both have ended, or one fails. When one side has said all it had to say, the
// other is told, and may go on.
func join(client, desktop *net.TCPConn) {
	_ = desktop.SetKeepAliveConfig(connlimit.KeepAlive) // without it the system's own, slower one
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
