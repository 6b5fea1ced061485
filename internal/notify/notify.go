// Package notify tells everybody who watches that a meeting has changed. What changed is read from the
// store: a hint that is lost, or two that are told as one, only cost time.
package notify

import (
	"context"
	"sync"
)

// Hub fans hints out to subscribers within this process. Its methods may be called at once.
type Hub struct {
	mu     sync.Mutex
	subs   map[string]map[chan struct{}]struct{} // by meeting id; "" hears of all
	closed bool
}

// New returns a Hub without subscribers.
func New() *Hub { return &Hub{subs: map[string]map[chan struct{}]struct{}{}} }

// Publish says that the meeting has changed. It never blocks: a subscriber that has not yet taken the last
// hint takes this one with it.
func (h *Hub) Publish(meetingID string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hint(meetingID)
	if meetingID != "" {
		h.hint("")
	}
}

// PublishAll says that any meeting may have changed.
func (h *Hub) PublishAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for id := range h.subs {
		h.hint(id)
	}
}

func (h *Hub) hint(meetingID string) {
	for ch := range h.subs[meetingID] {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}

// Subscribe returns a channel that holds one hint at most: look again, the meeting has changed since you last
// took one. "" subscribes to all meetings. The channel is closed when ctx ends or the hub is closed.
func (h *Hub) Subscribe(ctx context.Context, meetingID string) <-chan struct{} {
	ch := make(chan struct{}, 1)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		close(ch)
		return ch
	}
	if h.subs[meetingID] == nil {
		h.subs[meetingID] = map[chan struct{}]struct{}{}
	}
	h.subs[meetingID][ch] = struct{}{}
	context.AfterFunc(ctx, func() { h.leave(meetingID, ch) })
	return ch
}

func (h *Hub) leave(meetingID string, ch chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, in := h.subs[meetingID][ch]; !in {
		return
	}
	delete(h.subs[meetingID], ch)
	if len(h.subs[meetingID]) == 0 {
		delete(h.subs, meetingID)
	}
	close(ch)
}

// Close ends every subscription, so that those who stream to clients stop. It may be called more than once.
func (h *Hub) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for _, subs := range h.subs {
		for ch := range subs {
			close(ch)
		}
	}
	clear(h.subs)
}
