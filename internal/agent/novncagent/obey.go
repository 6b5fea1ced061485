package novncagent

import (
	"context"
	"slices"

	"github.com/coder/websocket"

	"greenroom/internal/agent/agentapi"
	"greenroom/internal/logkey"
)

// obey ends sessions and connections as the control plane says. It does not wait for those who are told.
func (s *server) obey(o agentapi.Orders) {
	s.sessions.relinked(o.Links)
	closed := map[string]bool{} // sessions
	for _, sock := range s.sockets.which(func(c *socket) bool { return slices.Contains(o.Close, c.ID) }) {
		s.logger.Info("connection closed by the organiser", logkey.Connection, sock.ID)
		closed[sock.session] = true
		s.sessions.end(sock.session)
	}
	for _, sock := range s.sockets.which(func(c *socket) bool { return isClosed(c.ended) }) {
		reason := relinked
		if closed[sock.session] {
			reason = disconnected
		}
		s.dismiss(sock, closeDisconnected, reason)
	}
	if o.Ending != "" && s.ending.CompareAndSwap(false, true) {
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), goodbyeTime)
			defer cancel()
			s.sockets.closeAll(ctx, o.Ending)
		}()
	}
}

// dismiss closes a connection in the background.
func (s *server) dismiss(sock *socket, code websocket.StatusCode, reason string) {
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), goodbyeTime)
		defer cancel()
		sock.goodbye(ctx, code, reason)
	}()
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
