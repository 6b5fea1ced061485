// Package sse writes server-sent events: a stream that every reader's stall is bounded on, and that proxies neither collect nor
// close while it is quiet.
package sse

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// WriteTime is how long a client may take to receive what is written; one that takes longer is gone.
const WriteTime = 10 * time.Second

// ErrGone says that the client is gone: there is nobody to tell.
var ErrGone = errors.New("client gone")

// Stream writes events to one client. It is not safe for use by several goroutines.
type Stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

// Start answers with the header of a stream. A client that loses it comes back after retry; 0 leaves that to the client.
func Start(w http.ResponseWriter, retry time.Duration) (*Stream, error) {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // proxies must not collect a stream
	s := &Stream{w: w, control: http.NewResponseController(w)}
	if retry > 0 {
		return s, s.write("retry: " + strconv.FormatInt(retry.Milliseconds(), 10) + "\n\n")
	}
	return s, s.write(": stream\n\n")
}

// Event is one event. Kind and ID must not hold line breaks.
type Event struct {
	Kind string
	ID   string // what the client says in Last-Event-ID when it comes back; "" leaves the last one
	Data any    // written as JSON; nil: an event without data
}

// Send writes e. ErrGone if the client does not take it in time.
func (s *Stream) Send(e Event) error {
	var data []byte
	if e.Data != nil {
		var err error
		if data, err = json.Marshal(e.Data); err != nil {
			return err
		}
	}
	var b strings.Builder
	b.Grow(len(data) + 64)
	b.WriteString("event: " + e.Kind + "\n")
	if e.ID != "" {
		b.WriteString("id: " + e.ID + "\n")
	}
	b.WriteString("data: ")
	b.Write(data) // JSON has no line breaks
	b.WriteString("\n\n")
	return s.write(b.String())
}

// Beat shows that the stream lives: an idle connection is closed by proxies, and a dead one is noticed by writing alone.
func (s *Stream) Beat() error { return s.write(": still here\n\n") }

// write sends text at once. Writers without deadlines are written to without one.
func (s *Stream) write(text string) error {
	if err := s.control.SetWriteDeadline(time.Now().Add(WriteTime)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return ErrGone
	}
	if _, err := s.w.Write([]byte(text)); err != nil {
		return ErrGone
	}
	if s.control.Flush() != nil {
		return ErrGone
	}
	return nil
}
