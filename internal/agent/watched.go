package agent

import "sync"

// watched is a value whose changes can be waited for. Who waits sees the last state, not every one.
type watched[T any] struct {
	mu      sync.Mutex
	value   T
	changed chan struct{}
}

func newWatched[T any](v T) *watched[T] { return &watched[T]{value: v, changed: make(chan struct{})} }

// get returns the value and a channel that is closed when it changes.
func (w *watched[T]) get() (T, <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.value, w.changed
}

// update changes the value by f, which must replace slices and not write into them.
func (w *watched[T]) update(f func(*T)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f(&w.value)
	close(w.changed)
	w.changed = make(chan struct{})
}
