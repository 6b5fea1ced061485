// Package journal tells everybody who watches that a meeting has changed. What changed is read from the
// store: a hint that is lost, or two that are told as one, only cost time.
package journal

import (
	"context"
	"sync"
)

// Journal fans hints out to subscribers within this process. Its methods may be called at once.
type Journal struct {
	mu     sync.Mutex
	subs   map[string]map[chan struct{}]struct{} // by meeting id; "" hears of all
	closed bool
}

// New returns a Journal without subscribers.
func New() *Journal { return &Journal{subs: map[string]map[chan struct{}]struct{}{}} }

// Publish says that the meeting has changed. It never blocks: a subscriber that has not yet taken the last
// hint takes this one with it.
func (j *Journal) Publish(meetingID string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.hint(meetingID)
	if meetingID != "" {
		j.hint("")
	}
}

// PublishAll says that any meeting may have changed.
func (j *Journal) PublishAll() {
	j.mu.Lock()
	defer j.mu.Unlock()
	for id := range j.subs {
		j.hint(id)
	}
}

func (j *Journal) hint(meetingID string) {
	for ch := range j.subs[meetingID] {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}

// Subscribe returns a channel that holds one hint at most: look again, the meeting has changed since you last
// took one. "" subscribes to all meetings. The channel is closed when ctx ends or the journal is closed.
func (j *Journal) Subscribe(ctx context.Context, meetingID string) <-chan struct{} {
	ch := make(chan struct{}, 1)
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		close(ch)
		return ch
	}
	if j.subs[meetingID] == nil {
		j.subs[meetingID] = map[chan struct{}]struct{}{}
	}
	j.subs[meetingID][ch] = struct{}{}
	context.AfterFunc(ctx, func() { j.leave(meetingID, ch) })
	return ch
}

func (j *Journal) leave(meetingID string, ch chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if _, in := j.subs[meetingID][ch]; !in {
		return
	}
	delete(j.subs[meetingID], ch)
	if len(j.subs[meetingID]) == 0 {
		delete(j.subs, meetingID)
	}
	close(ch)
}

// Close ends every subscription, so that those who stream to clients stop. It may be called more than once.
func (j *Journal) Close() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.closed = true
	for _, subs := range j.subs {
		for ch := range subs {
			close(ch)
		}
	}
	clear(j.subs)
}
