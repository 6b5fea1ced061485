package link

import "sync"

// Watched is a value whose changes can be waited for. Who waits sees the last state, not every one.
type Watched[T any] struct {
	mu      sync.Mutex
	value   T
	changed chan struct{}
}

// NewWatched returns one that holds v.
func NewWatched[T any](v T) *Watched[T] { return &Watched[T]{value: v, changed: make(chan struct{})} }

// Get returns the value and a channel that is closed when it changes.
func (w *Watched[T]) Get() (T, <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.value, w.changed
}

// Update changes the value by f, which must replace slices and not write into them.
func (w *Watched[T]) Update(f func(*T)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f(&w.value)
	close(w.changed)
	w.changed = make(chan struct{})
}

// Quietly changes the value as Update does, and wakes nobody.
func (w *Watched[T]) Quietly(f func(*T)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f(&w.value)
}
