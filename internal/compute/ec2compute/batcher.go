package ec2compute

import (
	"context"
	"sync"
	"time"
)

// batcher lets calls that come within a moment of each other, or while another is under way, share one.
type batcher[Q, R any] struct {
	run func(ctx context.Context, questions []Q) (R, error)

	mu   sync.Mutex
	next *shared[Q, R] // what new calls join; nil if there is none
	busy chan struct{} // holds a token while one is under way
}

func newBatcher[Q, R any](run func(context.Context, []Q) (R, error)) *batcher[Q, R] {
	return &batcher[Q, R]{run: run, busy: make(chan struct{}, 1)}
}

type shared[Q, R any] struct {
	questions []Q
	done      chan struct{}
	result    R
	err       error
}

// batchTimeout bounds what is shared: it must not depend on one caller's patience.
const batchTimeout = 18 * time.Second

func (b *batcher[Q, R]) do(ctx context.Context, question Q) (R, error) {
	b.mu.Lock()
	s := b.next
	if s == nil {
		s = &shared[Q, R]{done: make(chan struct{})}
		b.next = s
		go b.work(context.WithoutCancel(ctx), s)
	}
	s.questions = append(s.questions, question)
	b.mu.Unlock()
	select {
	case <-s.done:
		return s.result, s.err
	case <-ctx.Done():
		var none R
		return none, context.Cause(ctx)
	}
}

func (b *batcher[Q, R]) work(ctx context.Context, s *shared[Q, R]) {
	<-time.After(window)
	b.busy <- struct{}{}
	defer func() { <-b.busy }()
	b.mu.Lock()
	b.next = nil
	b.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, batchTimeout)
	defer cancel()
	s.result, s.err = b.run(ctx, s.questions)
	close(s.done)
}
