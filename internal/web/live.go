package web

import (
	"net/http"
	"time"

	"greenroom"
	"greenroom/internal/sse"
)

// Times of the live stream.
const (
	settle    = 100 * time.Millisecond // changes closer together than this are one reason to look again
	heartbeat = 20 * time.Second       // keeps proxies from closing a quiet stream
	reconnect = 3 * time.Second        // what a browser that lost the stream waits
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
	hints := w.hub.Subscribe(r.Context(), id)
	s, err := sse.Start(rw, reconnect)
	if err == nil {
		err = pass(r, s, hints)
	}
	_ = err // the reader went away: nobody to tell
	return nil
}

// pass tells of changes until the reader goes, the hub ends or longLive is over.
func pass(r *http.Request, s *sse.Stream, hints <-chan struct{}) error {
	changed := sse.Event{Kind: "changed"}
	if err := s.Send(changed); err != nil { // what changed before the stream was open
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
			err = s.Beat()
		case _, ok := <-hints:
			if !ok {
				return nil
			}
			if quiet == nil {
				quiet = time.After(settle)
			}
		case <-quiet:
			quiet = nil
			err = s.Send(changed)
		}
		if err != nil {
			return err
		}
	}
}
