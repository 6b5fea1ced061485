package novncagent

import (
	"encoding/json"
	"net/http"
	"time"

	"greenroom/internal/logkey"
	"greenroom/internal/sse"
)

// keepAlive is how often an idle event stream shows that it lives, so that a dead one is noticed.
const keepAlive = 15 * time.Second

// standing is what the page shows beside the screen.
type standing struct {
	Now       time.Time `json:"now"` // by the desktop's clock, which the page counts by: that of the person's computer may be wrong
	EndsAt    time.Time `json:"ends_at,omitzero"`
	Ending    string    `json:"ending,omitempty"` // the desktop is about to go: a sentence
	ReturnURL string    `json:"return_url"`       // where to go then
}

func (s *server) standing() (standing, <-chan struct{}) {
	n, changed := s.notice.Get()
	return standing{Now: time.Now().UTC(), EndsAt: n.EndsAt, Ending: n.Ending, ReturnURL: s.returnURL()}, changed
}

// status is the standing, once.
func (s *server) status(w http.ResponseWriter, r *http.Request) {
	if !s.sessions.of(r) {
		http.Error(w, "this needs the session that the desktop's page has", http.StatusUnauthorized)
		return
	}
	now, _ := s.standing()
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(now); err != nil {
		s.logger.Debug("status not sent", logkey.Err, err)
	}
}

// streamNotices is the standing now and at every change, as server-sent events.
func (s *server) streamNotices(w http.ResponseWriter, r *http.Request) {
	_, ended := s.sessions.find(r)
	if ended == nil {
		http.Error(w, "this needs the session that the desktop's page has", http.StatusUnauthorized)
		return
	}
	select {
	case s.notices <- struct{}{}:
		defer func() { <-s.notices }()
	default:
		http.Error(w, "too many pages of this desktop are open", http.StatusServiceUnavailable)
		return
	}
	out, err := sse.Start(w, 0)
	alive := time.NewTicker(keepAlive)
	defer alive.Stop()
	for last := false; err == nil; {
		now, changed := s.standing()
		if err = out.Send(sse.Event{Kind: "standing", Data: now}); err != nil || last {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-ended:
			return
		case <-s.closing: // the reason is noted before
			last = true
		case <-changed:
		case <-alive.C: // shows that the stream lives, and what time it is
		}
	}
}
