package web

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"greenroom"
)

// Times of the live stream.
const (
	settle    = 100 * time.Millisecond // changes closer together than this are one reason to look again
	heartbeat = 20 * time.Second       // keeps proxies from closing a quiet stream
	longLive  = time.Hour              // then the browser connects again, and its right to watch is checked anew
)

// live tells an open meeting page whenever it should ask for its live part again. It carries no content: the
// page renders from the store, so that a lost event costs nothing but time.
func (w *Web) live(rw http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	if _, err := w.service.Meeting(r.Context(), id); err != nil {
		return err
	}
	if w.hub == nil {
		return greenroom.ErrNotFound // the page's script falls back to asking now and then
	}
	s := stream{rw: rw, control: http.NewResponseController(rw)}
	rw.Header().Set("Content-Type", "text/event-stream")
	rw.Header().Set("Cache-Control", "no-store")
	rw.Header().Set("X-Accel-Buffering", "no")
	hints := w.hub.Subscribe(r.Context(), id)
	_ = s.pass(r, hints) // the reader went away: nobody to tell
	return nil
}

// stream writes server-sent events, each under a deadline of its own.
type stream struct {
	rw      http.ResponseWriter
	control *http.ResponseController
}

func (s stream) pass(r *http.Request, hints <-chan struct{}) error {
	if err := s.send("retry: 3000\nevent: changed\ndata:\n\n"); err != nil { // what changed before the stream was open
		return err
	}
	beat, end := time.NewTicker(heartbeat), time.NewTimer(longLive)
	defer beat.Stop()
	defer end.Stop()
	var quiet <-chan time.Time
	for {
		var err error
		select {
		case <-r.Context().Done():
			return nil
		case <-end.C:
			return nil
		case <-beat.C:
			err = s.send(": still here\n\n")
		case _, ok := <-hints:
			if !ok {
				return nil
			}
			if quiet == nil {
				quiet = time.After(settle)
			}
		case <-quiet:
			quiet = nil
			err = s.send("event: changed\ndata:\n\n")
		}
		if err != nil {
			return err
		}
	}
}

func (s stream) send(text string) error {
	if err := s.control.SetWriteDeadline(time.Now().Add(10 * time.Second)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := fmt.Fprint(s.rw, text); err != nil {
		return err
	}
	return s.control.Flush()
}
