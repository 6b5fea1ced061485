package web

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/coder/websocket"

	"greenroom"
)

// Bounds of the sockets that open pages hold.
const (
	settle      = 100 * time.Millisecond // changes closer together than this are one reason to look again
	beat        = 20 * time.Second       // a page that hears nothing for twice as long connects again
	longLive    = time.Hour              // then the page connects again, and its right to listen is checked anew
	sendTime    = 10 * time.Second       // a page that takes longer is gone
	maxSockets  = 4096
	maxPerTopic = 64 // of one meeting's page, or of one seat's lobby
)

// live tells an open meeting page whenever it should ask for its live part again. It carries no content: the
// page renders from the store, so that a lost message costs nothing but time. It is a WebSocket because browsers let
// six connections of HTTP/1.1 be open to one server: a seventh page with a stream would load nothing more.
func (w *Web) live(rw http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	if _, err := w.service.Meeting(r.Context(), id); err != nil {
		return err
	}
	return w.follow(rw, r, id, id)
}

// lobbyLive is live for a lobby: a cancelled meeting or a replaced link reaches it at once, however rarely it asks.
func (w *Web) lobbyLive(rw http.ResponseWriter, r *http.Request) error {
	id, seat := r.PathValue("id"), r.PathValue("seat")
	key, _ := seatKey(r)
	err := w.joins.Ask(r, id, seat, func() error {
		_, err := w.service.Standing(r.Context(), id, seat, key)
		return err
	})
	if err != nil {
		return err
	}
	return w.follow(rw, r, id, id+"/"+seat)
}

// follow holds a socket and says on it that the meeting has changed, and what time it is.
func (w *Web) follow(rw http.ResponseWriter, r *http.Request, meeting, topic string) error {
	if w.hub == nil {
		return greenroom.ErrNotFound // the page's script asks now and then instead
	}
	if !w.sockets.take(topic) {
		return greenroom.ErrThrottled
	}
	defer w.sockets.give(topic)
	c, err := w.accept(rw, r)
	if err != nil {
		return nil // Accept has answered
	}
	defer func() { _ = c.CloseNow() }()
	ctx, cancel := context.WithTimeout(c.CloseRead(r.Context()), longLive)
	defer cancel()
	if tell(ctx, c, w.hub.Subscribe(ctx, meeting)) == nil {
		_ = c.Close(websocket.StatusGoingAway, "")
	}
	return nil
}

// accept makes a WebSocket of a request of our own pages; behind a proxy they may have another host than the request says.
func (w *Web) accept(rw http.ResponseWriter, r *http.Request) (*websocket.Conn, error) {
	return websocket.Accept(rw, r, &websocket.AcceptOptions{OriginPatterns: w.origins})
}

// tell writes until hints are over or the page has gone; the second is an error.
func tell(ctx context.Context, c *websocket.Conn, hints <-chan struct{}) error {
	if err := say(ctx, c, "changed"); err != nil { // what changed before the socket was open
		return err
	}
	ticks := time.NewTicker(beat)
	defer ticks.Stop()
	var quiet <-chan time.Time
	for {
		var err error
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return nil
			}
			return ctx.Err()
		case <-ticks.C:
			err = say(ctx, c, "beat")
		case _, ok := <-hints:
			if !ok {
				return nil
			}
			if quiet == nil {
				quiet = time.After(settle)
			}
		case <-quiet:
			quiet = nil
			err = say(ctx, c, "changed")
		}
		if err != nil {
			return err
		}
	}
}

// say sends a word and the time in milliseconds, which pages count by.
func say(ctx context.Context, c *websocket.Conn, word string) error {
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	return c.Write(ctx, websocket.MessageText, []byte(word+" "+strconv.FormatInt(time.Now().UnixMilli(), 10)))
}

// slots bound how many sockets are open, in all and for one topic.
type slots struct {
	mu    sync.Mutex
	open  map[string]int
	total int
}

func (s *slots) take(topic string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.total >= maxSockets || s.open[topic] >= maxPerTopic {
		return false
	}
	if s.open == nil {
		s.open = map[string]int{}
	}
	s.total++
	s.open[topic]++
	return true
}

func (s *slots) give(topic string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total--
	if s.open[topic]--; s.open[topic] == 0 {
		delete(s.open, topic)
	}
}
