package lambda

import (
	"context"
	"sync"
)

// Lazy is a part that is opened when it is first wanted. An opening that failed is tried again by the next who wants it.
type Lazy[T any] struct {
	Open func(ctx context.Context) (T, error)

	mu     sync.Mutex
	opened bool
	part   T
}

// Get returns the part, or the error of its opening.
func (l *Lazy[T]) Get(ctx context.Context) (T, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.opened {
		return l.part, nil
	}
	part, err := l.Open(ctx)
	if err == nil {
		l.part, l.opened = part, true
	}
	return part, err
}
