package novncagent

import (
	"context"
	"encoding/json"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"greenroom/internal/agent/agentapi"
)

// Codes with which a connection to the screen is refused or closed, beside those of WebSocket itself. The page knows them.
const (
	closeOccupied     websocket.StatusCode = 4409 // somebody else has the desktop open: the reason is a place
	closeTakenOver    websocket.StatusCode = 4410 // by another connection: the reason is a place
	closeDisconnected websocket.StatusCode = 4403 // by the organiser, or because the link was replaced: the reason is a sentence
)

// Sentences for those whose connection the control plane had closed.
const (
	disconnected = "The organiser disconnected this browser."
	relinked     = "The link of this seat was replaced by a new one."
)

// place is the other connection, for the page: where it comes from, and since when it is there or when it took over.
type place struct {
	Client string    `json:"client"`
	At     time.Time `json:"at"`
	Same   bool      `json:"same,omitempty"` // it is of the same browser
}

// reason writes a place so that it fits in a close frame.
func (p place) reason() string {
	p.At = p.At.UTC().Truncate(time.Second)
	text, _ := json.Marshal(p) // a plain struct
	return string(text)
}

// mode is what a page wants that opens a connection to the screen.
type mode string

const (
	modeNone     mode = ""         // to own the screen, and HTTP's 409 if that is not free
	modeAsk      mode = "ask"      // the same, and closeOccupied
	modeTakeover mode = "takeover" // to own the screen; who did is closed
	modeWatch    mode = "watch"    // to see it
)

func (m mode) known() bool {
	return slices.Contains([]mode{modeNone, modeAsk, modeTakeover, modeWatch}, m)
}

// socket is one connection to the screen.
type socket struct {
	agentapi.Connection
	session string // the id of its browser's
	ended   <-chan struct{}
	conn    *websocket.Conn    // nil while it is being opened
	abort   context.CancelFunc // ends it without a goodbye
}

// sockets are those that are open or being opened. One of them at most owns the screen.
type sockets struct {
	mu     sync.Mutex
	open   []*socket // in the order in which they came
	places int       // taken; who was taken over leaves its own a little later
	reason string    // why all are being closed; empty until then
	all    sync.WaitGroup
	told   func([]agentapi.Connection) // of every change, under the lock
}

// entry is the answer to who wants in.
type entry int

const (
	isIn entry = iota
	isFull
	isClosing
	isOccupied
)

// enter gives a connection its place. If that takes the screen from another that is open, it returns that one, which is to be
// closed. Where the screen is another browser's and is not taken over, it returns whose.
func (s *sockets) enter(sock *socket, m mode) (entry, *socket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	owner := s.owner()
	switch {
	case s.reason != "":
		return isClosing, nil
	case s.places >= maxSockets:
		return isFull, nil
	case m == modeWatch:
		sock.Role, owner = agentapi.Watcher, nil
	case owner != nil && owner.session != sock.session && m != modeTakeover:
		return isOccupied, owner
	default:
		sock.Role = agentapi.Owner
	}
	s.places++
	s.all.Add(1)
	s.open = append(slices.DeleteFunc(s.open, func(o *socket) bool { return o == owner }), sock)
	if owner != nil && owner.conn == nil { // it learns of it when it has been opened
		owner = nil
	}
	return isIn, owner
}

// owner is the connection that owns the screen, or nil.
func (s *sockets) owner() *socket {
	if i := slices.IndexFunc(s.open, func(o *socket) bool { return o.Role == agentapi.Owner }); i >= 0 {
		return s.open[i]
	}
	return nil
}

// begin notes that the connection is open, and reports it. It returns why it is to be closed at once, if it is.
func (s *sockets) begin(sock *socket, conn *websocket.Conn, abort context.CancelFunc) (websocket.StatusCode, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sock.conn, sock.abort = conn, abort
	select {
	case <-sock.ended:
		return closeDisconnected, relinked
	default:
	}
	switch {
	case s.reason != "":
		return websocket.StatusGoingAway, s.reason
	case !slices.Contains(s.open, sock): // while it was being opened
		return closeTakenOver, place{At: time.Now()}.reason()
	}
	s.tell()
	return 0, ""
}

// leave gives the place back.
func (s *sockets) leave(sock *socket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = slices.DeleteFunc(s.open, func(o *socket) bool { return o == sock })
	s.places--
	s.tell()
	s.all.Done()
}

// tell reports those that are open.
func (s *sockets) tell() {
	var now []agentapi.Connection
	for _, sock := range s.open {
		if sock.conn != nil {
			now = append(now, sock.Connection)
		}
	}
	s.told(now)
}

// which returns the open connections for which ok holds.
func (s *sockets) which(ok func(*socket) bool) []*socket {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []*socket
	for _, sock := range s.open {
		if sock.conn != nil && ok(sock) {
			found = append(found, sock)
		}
	}
	return found
}

// closeAll says goodbye to all, lets no more in, and returns when they are gone. What is left when ctx ends
// goes without a goodbye.
func (s *sockets) closeAll(ctx context.Context, reason string) {
	s.mu.Lock()
	s.reason = reason
	s.mu.Unlock()
	goodbye(ctx, s.which(func(*socket) bool { return true }), websocket.StatusGoingAway, reason)
	s.all.Wait()
}

// goodbye closes connections at once and returns when that is done.
func goodbye(ctx context.Context, all []*socket, code websocket.StatusCode, reason string) {
	var wg sync.WaitGroup
	for _, sock := range all {
		wg.Go(func() { sock.goodbye(ctx, code, reason) })
	}
	wg.Wait()
}

// goodbye closes the connection with the reason, and at the latest when ctx ends.
func (s *socket) goodbye(ctx context.Context, code websocket.StatusCode, reason string) {
	stop := context.AfterFunc(ctx, s.abort)
	defer stop()
	_ = s.conn.Close(code, strings.ToValidUTF8(reason[:min(len(reason), maxReason)], ""))
	s.abort()
}

// clientOf is the address without its port.
func clientOf(remote string) string {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return remote
	}
	return host
}
