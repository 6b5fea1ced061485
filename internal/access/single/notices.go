package single

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"greenroom/internal/logkey"
	"greenroom/internal/meetings"
	"greenroom/internal/sse"
)

// Bounds of an event stream.
const (
	keepAlive = 15 * time.Second // between two events, so that a dead stream is noticed
	settle    = 100 * time.Millisecond
)

// standing is what the page shows beside the screen. It is greenroom's own knowledge: what the agent says of it is not asked.
type standing struct {
	Now       time.Time `json:"now"` // which the page counts by: the clock of the person's computer may be wrong
	EndsAt    time.Time `json:"ends_at,omitzero"`
	Ending    string    `json:"ending,omitempty"` // the desktop is about to go: a sentence
	ReturnURL string    `json:"return_url"`       // where to go then
}

// standing returns it, and whether the desktop is gone for good.
func (h *Handler) standing(ctx context.Context, way meetings.Way) (standing, bool, error) {
	o, err := h.o.Desktops.Outlook(ctx, way)
	return standing{Now: time.Now().UTC(), EndsAt: o.EndsAt, Ending: o.Ending, ReturnURL: way.LobbyURL}, o.Retired, err
}

// entitled is the way for a request of the page's own script that has a pass. What else is the case is answered.
func (h *Handler) entitled(w http.ResponseWriter, r *http.Request) (way meetings.Way, pass string, ok bool) {
	if way, ok = h.find(w, r); !ok {
		return way, "", false
	}
	h.secured(w, "")
	if pass, ok = h.holds(r, way); !ok || foreign(r) {
		http.Error(w, "this needs the cookie that the desktop's page has", http.StatusForbidden)
		return way, "", false
	}
	return way, pass, true
}

// status is the standing, once.
func (h *Handler) status(w http.ResponseWriter, r *http.Request) {
	way, _, ok := h.entitled(w, r)
	if !ok {
		return
	}
	now, _, err := h.standing(r.Context(), way)
	if err != nil {
		http.Error(w, "the meeting cannot be looked up just now", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(now); err != nil {
		h.o.Logger.Debug("status not sent", logkey.Err, err)
	}
}

// streamNotices is the standing now and at every change, as server-sent events, as long as the pass is good.
func (h *Handler) streamNotices(w http.ResponseWriter, r *http.Request) {
	way, pass, ok := h.entitled(w, r)
	if !ok {
		return
	}
	if !h.notices.take(way.InstanceID) {
		http.Error(w, "too many pages of this desktop are open", http.StatusServiceUnavailable)
		return
	}
	defer h.notices.give(way.InstanceID)
	ctx := r.Context()
	changed := h.o.Hub.Subscribe(ctx, way.Meeting())
	out, err := sse.Start(w, 0)
	alive := time.NewTicker(keepAlive)
	defer alive.Stop()
	for err == nil {
		now, gone, failed := h.standing(ctx, way)
		if failed == nil { // else the next look says more
			if err = out.Send(sse.Event{Kind: "standing", Data: now}); err != nil || gone {
				return
			}
		}
		if current, failed := h.o.Desktops.WayByInstance(ctx, way.InstanceID); failed == nil && current.Open && !h.o.Desktops.Holds(current, pass) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case _, ok := <-changed:
			if !ok {
				return
			}
			select { // changes close together are one
			case <-ctx.Done():
				return
			case <-time.After(settle):
			}
		case <-alive.C:
			if failed != nil {
				err = out.Beat()
			}
		}
	}
}

// slots bound the event streams of each desktop.
type slots struct {
	mu   sync.Mutex
	open map[string]int
}

func (s *slots) take(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[id] >= maxNotices {
		return false
	}
	if s.open == nil {
		s.open = map[string]int{}
	}
	s.open[id]++
	return true
}

func (s *slots) give(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[id]--; s.open[id] == 0 {
		delete(s.open, id)
	}
}
