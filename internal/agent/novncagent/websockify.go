package novncagent

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
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

// socket is one participant's connection to the screen.
type socket struct {
	conn  *websocket.Conn
	abort context.CancelFunc // ends it without a goodbye
}

// sockets are those that are open or being opened.
type sockets struct {
	mu     sync.Mutex
	places int // taken
	open   map[string]socket
	reason string // why all are being closed; empty until then
	all    sync.WaitGroup
}

// enter takes one of the few places, and reports whether there was one.
func (s *sockets) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reason != "" || s.places >= maxSockets {
		return false
	}
	s.places++
	s.all.Add(1)
	return true
}

// add puts a connection on its place. If all are being closed by now, it returns the reason.
func (s *sockets) add(id string, sock socket) (reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open[id] = sock
	return s.reason
}

// leave gives the place back.
func (s *sockets) leave(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, id)
	s.places--
	s.all.Done()
}

// closeAll says goodbye to all, lets no more in, and returns when they are gone. What is left when ctx ends
// goes without a goodbye.
func (s *sockets) closeAll(ctx context.Context, reason string) {
	s.mu.Lock()
	s.reason = reason
	open := slices.Collect(maps.Values(s.open))
	s.mu.Unlock()
	var wg sync.WaitGroup
	for _, sock := range open {
		wg.Go(func() { sock.goodbye(ctx, reason) })
	}
	wg.Wait()
	s.all.Wait()
}

// goodbye closes the connection with the reason, and at the latest when ctx ends.
func (s socket) goodbye(ctx context.Context, reason string) {
	stop := context.AfterFunc(ctx, s.abort)
	defer stop()
	short := strings.ToValidUTF8(reason[:min(len(reason), maxReason)], "")
	_ = s.conn.Close(websocket.StatusGoingAway, short)
	s.abort()
}

// websockify carries RFB between the page and the screen, for sessions and from this very host's pages only.
func (s *server) websockify(w http.ResponseWriter, r *http.Request) {
	if !s.sessions.of(r) {
		http.Error(w, "this needs the session that the desktop's page has", http.StatusUnauthorized)
		return
	}
	if r.Header.Get("Origin") != "https://"+r.Host {
		http.Error(w, "this is for the desktop's own page", http.StatusForbidden)
		return
	}
	if !s.sockets.enter() {
		http.Error(w, "this desktop has as many connections as it can serve", http.StatusServiceUnavailable)
		return
	}
	id := greenroom.NewSecret()[:16]
	defer s.sockets.leave(id)
	rfb, err := dialRFB(r.Context())
	if err != nil {
		http.Error(w, "the screen is not up", http.StatusServiceUnavailable)
		return
	}
	defer rfb.Close()
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"binary"}, CompressionMode: websocket.CompressionDisabled})
	if err != nil { // the answer is written
		return
	}
	defer func() { _ = conn.CloseNow() }()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	// The library's own close waits for the peer's answer, for seconds and whatever its context says: the end of
	// a desktop cuts the wire.
	sock := socket{conn: conn, abort: func() { cancel(); cut(ctx) }}
	if reason := s.sockets.add(id, sock); reason != "" {
		ctx, cancel := context.WithTimeout(ctx, goodbyeTime)
		defer cancel()
		sock.goodbye(ctx, reason)
		return
	}
	client, _, _ := net.SplitHostPort(r.RemoteAddr)
	s.connected(agentapi.Connection{ID: id, Client: client, ConnectedAt: time.Now().UTC()})
	defer s.disconnected(id)
	relay(ctx, conn, rfb)
}

func (s *server) connected(c agentapi.Connection) {
	s.logger.Info("participant connected", logkey.Connection, c.ID, logkey.Client, c.Client)
	s.report.Update(func(r *agentapi.Report) { r.Connections = append(slices.Clone(r.Connections), c) })
}

func (s *server) disconnected(id string) {
	s.logger.Info("participant disconnected", logkey.Connection, id)
	s.report.Update(func(r *agentapi.Report) {
		r.Connections = slices.DeleteFunc(slices.Clone(r.Connections), func(c agentapi.Connection) bool { return c.ID == id })
	})
}

// relay copies both ways until either side ends or the participant answers no ping any more. A side that
// does not read stops the other: nothing is queued.
func relay(ctx context.Context, conn *websocket.Conn, rfb net.Conn) {
	ctx, cancel := context.WithCancel(ctx)
	stream := websocket.NetConn(ctx, conn, websocket.MessageBinary)
	conn.SetReadLimit(maxFrame)
	var wg sync.WaitGroup
	ended := func() { cancel(); rfb.Close() }
	wg.Go(func() {
		defer ended()
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
