package novncagent

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/coder/websocket"

	"greenroom"
	"greenroom/internal/agent/agentapi"
	"greenroom/internal/logkey"
)

const (
	pingEvery = 20 * time.Second
	pongTime  = 12 * time.Second // a peer that is gone is noticed at the latest after both
	maxReason = 120              // bytes of a close frame's reason
	maxFrame  = 16 << 20         // of the participant: a big clipboard; it is streamed, never held
)

// dialRFB connects to the screen.
func dialRFB(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "unix", rfbSocket)
}

// websockify carries RFB between the page and the screen, for sessions and from this very host's pages only.
func (s *server) websockify(w http.ResponseWriter, r *http.Request) {
	session, ended := s.sessions.find(r)
	if ended == nil {
		http.Error(w, "this needs the session that the desktop's page has", http.StatusUnauthorized)
		return
	}
	if r.Header.Get("Origin") != "https://"+r.Host {
		http.Error(w, "this is for the desktop's own page", http.StatusForbidden)
		return
	}
	m := mode(r.URL.Query().Get("mode"))
	if !m.known() {
		http.Error(w, "mode is ask, takeover or watch", http.StatusBadRequest)
		return
	}
	sock := &socket{session: session, ended: ended,
		Connection: agentapi.Connection{ID: greenroom.NewSecret()[:16], Client: clientOf(r.RemoteAddr), ConnectedAt: time.Now().UTC()}}
	answer, other := s.sockets.enter(sock, m)
	switch answer {
	case isFull, isClosing:
		http.Error(w, "this desktop has as many connections as it can serve", http.StatusServiceUnavailable)
		return
	case isOccupied:
		s.occupied(w, r, m, other)
		return
	case isIn:
	}
	defer s.sockets.leave(sock)
	if other != nil {
		s.dismiss(other, closeTakenOver, place{Client: sock.Client, At: sock.ConnectedAt, Same: other.session == session}.reason())
	}
	s.carry(w, r, sock)
}

// occupied tells who comes second that the screen is another browser's: the page so that it can ask, everybody else at once.
func (s *server) occupied(w http.ResponseWriter, r *http.Request, m mode, owner *socket) {
	if m != modeAsk {
		http.Error(w, "the desktop is open in another browser: ask with mode=takeover, or mode=watch", http.StatusConflict)
		return
	}
	conn, err := accept(w, r)
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), goodbyeTime)
	defer cancel()
	refused := &socket{conn: conn, abort: func() { cut(r.Context()) }}
	refused.goodbye(ctx, closeOccupied, place{Client: owner.Client, At: owner.ConnectedAt}.reason())
}

// accept makes the connection a WebSocket; on an error the answer is written.
func accept(w http.ResponseWriter, r *http.Request) (*websocket.Conn, error) {
	return websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"binary"}, CompressionMode: websocket.CompressionDisabled})
}

// carry is the life of a connection that has a place.
func (s *server) carry(w http.ResponseWriter, r *http.Request, sock *socket) {
	rfb, err := dialRFB(r.Context())
	if err != nil {
		http.Error(w, "the screen is not up", http.StatusServiceUnavailable)
		return
	}
	defer rfb.Close()
	conn, err := accept(w, r)
	if err != nil {
		return
	}
	defer func() { _ = conn.CloseNow() }()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	// The library's own close waits for the peer's answer, for seconds and whatever its context says: the end of
	// a desktop cuts the wire.
	if code, reason := s.sockets.begin(sock, conn, func() { cancel(); cut(ctx) }); code != 0 {
		ctx, cancel := context.WithTimeout(ctx, goodbyeTime)
		defer cancel()
		sock.goodbye(ctx, code, reason)
		return
	}
	s.logger.Info("participant connected", logkey.Connection, sock.ID, logkey.Client, sock.Client)
	relay(ctx, conn, rfb, sock.Role == agentapi.Watcher)
	s.logger.Info("participant disconnected", logkey.Connection, sock.ID)
}

// present reports who is connected now.
func (s *server) present(now []agentapi.Connection) {
	if r, _ := s.report.Get(); slices.Equal(r.Connections, now) {
		return
	}
	s.report.Update(func(r *agentapi.Report) { r.Connections = now })
}

// relay copies both ways until either side ends or the participant answers no ping any more. A side that
// does not read stops the other: nothing is queued.
func relay(ctx context.Context, conn *websocket.Conn, rfb net.Conn, watching bool) {
	ctx, cancel := context.WithCancel(ctx)
	stream := websocket.NetConn(ctx, conn, websocket.MessageBinary)
	conn.SetReadLimit(maxFrame)
	var wg sync.WaitGroup
	ended := func() { cancel(); rfb.Close() }
	wg.Go(func() {
		defer ended()
		if watching {
			if watch(rfb, stream) != nil {
				_ = conn.Close(websocket.StatusPolicyViolation, "who watches cannot say that")
			}
			return
		}
		_, _ = io.Copy(rfb, stream)
	})
	wg.Go(func() {
		defer ended()
		if _, err := io.Copy(stream, rfb); err == nil { // the screen closed it
			_ = conn.Close(websocket.StatusGoingAway, "The screen closed the connection.")
		}
	})
	wg.Go(func() {
		defer ended()
		for ping(ctx, conn) == nil {
		}
	})
	wg.Wait()
}

// ping waits a while, and then for the answer to a ping.
func ping(ctx context.Context, conn *websocket.Conn) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(pingEvery):
	}
	ctx, cancel := context.WithTimeoutCause(ctx, pongTime, errors.New("no answer to a ping"))
	defer cancel()
	return conn.Ping(ctx)
}
