package lambda

import (
	"context"
	"sync"
)

// lazy is a part that is opened when it is first wanted. An opening that failed is tried again by the next who wants it.
type lazy[T any] struct {
	open func(ctx context.Context) (T, error)

	mu     sync.Mutex
	opened bool
	part   T
}

func (l *lazy[T]) get(ctx context.Context) (T, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.opened {
		return l.part, nil
	}
	part, err := l.open(ctx)
	if err == nil {
		l.part, l.opened = part, true
	}
	return part, err
}
