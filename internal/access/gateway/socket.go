package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"greenroom/internal/access/backend"
)

// errTaken says that the answer to a request is a session of its own now.
var errTaken = errors.New("the connection is a WebSocket's")

// take answers the client with the desktop's consent to speak WebSocket, and lets the two speak until both have ended, one
// fails, or base ends. Then it tells the gateway. An error says that it did not begin.
func (g *Gateway) take(base context.Context, w http.ResponseWriter, resp *http.Response) error {
	desktop, ok := resp.Body.(io.ReadWriteCloser)
	if !ok || !strings.EqualFold(resp.Header.Get("Upgrade"), "websocket") {
		return errors.New("the desktop switches to something else than WebSocket")
	}
	client, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return fmt.Errorf("take over the connection: %w", err)
	}
	resp.Body = nil
	defer func() { resp.Body = http.NoBody }()            // the proxy closes it
	early, _ := buffered.Peek(buffered.Reader.Buffered()) // never more than there is
	early = append([]byte(nil), early...)
	if err := errors.Join(resp.Write(buffered), buffered.Flush()); err != nil {
		client.Close() // the session ends as it begins
	}
	session, cut := context.WithCancel(base)
	left := g.guard.Watch(targetOf(resp.Request.Context()).Way, cut)
	backend.Relay(session, client, desktop, early, func() {
		left()
		cut()
		g.sockets.Leave()
	})
	return nil
}
