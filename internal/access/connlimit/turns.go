package connlimit

import (
	"context"
	"errors"
	"sync"
)

// ErrCrowded says that too many wait for their turn.
var ErrCrowded = errors.New("too many wait for their turn")

// Turns bounds how much is done at once. Clients take turns, so that one with much to ask delays itself: who waits, waits for one
// piece of work of every other client that waits, at most.
type Turns struct {
	atOnce, waiting int

	mu    sync.Mutex
	busy  int
	wait  int
	queue []*waiters // clients that wait, in the order of their turns
	by    map[string]*waiters
}

type waiters struct {
	client string
	turns  []chan bool // receives true when it is time, false when there is no room to wait any more
}

// NewTurns lets atOnce pieces of work be done at once, and as many as waiting wait.
func NewTurns(atOnce, waiting int) *Turns {
	return &Turns{atOnce: atOnce, waiting: waiting, by: map[string]*waiters{}}
}

// Take waits until it is client's turn; done must be called when the work is. When too many wait, the last of the client that
// has the most waiting gets ErrCrowded. When ctx ends before, its cause is the error.
func (t *Turns) Take(ctx context.Context, client string) (done func(), err error) {
	t.mu.Lock()
	if t.busy < t.atOnce {
		t.busy++
		t.mu.Unlock()
		return sync.OnceFunc(t.next), nil
	}
	turn := make(chan bool, 1)
	t.line(client, turn)
	t.mu.Unlock()
	select {
	case now := <-turn:
		if !now {
			return nil, ErrCrowded
		}
		return sync.OnceFunc(t.next), nil
	case <-ctx.Done():
		t.leave(client, turn)
		return nil, context.Cause(ctx)
	}
}

// line puts a turn at the end of its client's; t.mu is held.
func (t *Turns) line(client string, turn chan bool) {
	w := t.by[client]
	if w == nil {
		w = &waiters{client: client}
		t.by[client] = w
		t.queue = append(t.queue, w)
	}
	w.turns = append(w.turns, turn)
	if t.wait++; t.wait <= t.waiting {
		return
	}
	most := w
	for _, o := range t.queue {
		if len(o.turns) > len(most.turns) {
			most = o
		}
	}
	last := len(most.turns) - 1
	most.turns[last] <- false
	most.turns = most.turns[:last]
	t.wait--
	t.prune(most)
}

// prune forgets a client that does not wait any more; t.mu is held.
func (t *Turns) prune(w *waiters) {
	if len(w.turns) > 0 {
		return
	}
	delete(t.by, w.client)
	for i, o := range t.queue {
		if o == w {
			t.queue = append(t.queue[:i], t.queue[i+1:]...)
			return
		}
	}
}

// next ends a piece of work and begins the next one.
func (t *Turns) next() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.queue) == 0 {
		t.busy--
		return
	}
	w := t.queue[0]
	t.queue = append(t.queue[1:], w) // its next one comes after everybody else's
	w.turns[0] <- true
	w.turns = w.turns[1:]
	t.wait--
	t.prune(w)
}

// leave takes back a turn that is not waited for any more. If its time has come just now, the next one's has.
func (t *Turns) leave(client string, turn chan bool) {
	t.mu.Lock()
	if w := t.by[client]; w != nil {
		for i, o := range w.turns {
			if o == turn {
				w.turns = append(w.turns[:i], w.turns[i+1:]...)
				t.wait--
				t.prune(w)
				t.mu.Unlock()
				return
			}
		}
	}
	t.mu.Unlock()
	if <-turn {
		t.next()
	}
}
