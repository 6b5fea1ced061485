package ec2compute

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"greenroom/internal/compute"
)

// Times of the queue.
const (
	comeEarly = 5 * time.Second  // before the turn, so that nobody has to be waited for
	turnKept  = 30 * time.Second // for who does not come when its turn was announced
)

// queue orders launches: who starts first goes first, as fast as the buckets allow. Whoever would have to wait too long is
// sent away and told when to come again, and keeps its place in the line.
type queue struct {
	mu        sync.Mutex
	requests  *bucket
	instances *bucket
	quiet
	line  []*turn // in order
	timer *time.Timer
}

// turn is one call's place in the line.
type turn struct {
	key      string        // the call's name
	startsAt time.Time     // of the meeting
	asked    time.Time     // first
	count    int           // of machines
	here     chan struct{} // closed when it is this one's turn; nil while nobody waits for it
	until    time.Time     // while nobody waits: it is given up then
}

func newQueue(requests, instances Rate) *queue {
	return &queue{requests: newBucket(requests), instances: newBucket(instances)}
}

// wait returns nil when it is the turn of the call, or a compute.QueuedError if that is
// not by last, the last moment that serves the caller.
func (q *queue) wait(ctx context.Context, want turn, last time.Time) error {
	q.mu.Lock()
	t := q.enter(want)
	q.serve()
	if at := q.turnOf(t); at.After(last) {
		err := q.leave(t, at)
		q.mu.Unlock()
		return err
	}
	q.mu.Unlock()
	timer := time.NewTimer(time.Until(last))
	defer timer.Stop()
	select {
	case <-t.here:
		return nil
	case <-timer.C:
	case <-ctx.Done():
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	select {
	case <-t.here:
		return nil
	default:
	}
	err := q.leave(t, q.turnOf(t))
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// enter takes the place that is kept for the call, or a new one.
func (q *queue) enter(want turn) *turn {
	now := time.Now()
	q.line = slices.DeleteFunc(q.line, func(t *turn) bool { return t.here == nil && now.After(t.until) })
	for _, t := range q.line {
		if t.key == want.key && t.here == nil {
			t.here = make(chan struct{})
			return t
		}
	}
	t := &want
	t.here = make(chan struct{})
	at, _ := slices.BinarySearchFunc(q.line, t, byTurn)
	q.line = slices.Insert(q.line, at, t)
	return t
}

func byTurn(a, b *turn) int {
	return cmp.Or(a.startsAt.Compare(b.startsAt), a.asked.Compare(b.asked), cmp.Compare(a.key, b.key))
}

// leave keeps t's place.
func (q *queue) leave(t *turn, at time.Time) error {
	now := time.Now()
	back := latest(at.Add(-comeEarly), now.Add(time.Second))
	t.here, t.until = nil, back.Add(turnKept)
	q.serve()
	return &compute.QueuedError{Until: back}
}

// turnOf is about when t's turn comes: now or earlier if it has come.
func (q *queue) turnOf(t *turn) time.Time {
	calls, machines := 0, 0
	for _, other := range q.line {
		calls, machines = calls+1, machines+other.count
		if other == t {
			return latest(latest(q.until, q.requests.after(calls)), q.instances.after(machines))
		}
	}
	return time.Time{}
}

// serve gives turns to those who wait, in order, as long as there are tokens, and comes again when there are more.
func (q *queue) serve() {
	for {
		i := slices.IndexFunc(q.line, func(t *turn) bool { return t.here != nil })
		if i < 0 {
			return
		}
		t, now := q.line[i], time.Now()
		at := latest(latest(q.until, q.requests.next(1)), q.instances.next(t.count))
		if at.After(now) {
			if q.timer != nil {
				q.timer.Stop()
			}
			q.timer = time.AfterFunc(at.Sub(now), func() {
				q.mu.Lock()
				defer q.mu.Unlock()
				q.serve()
			})
			return
		}
		q.requests.take(now, 1)
		q.instances.take(now, t.count)
		q.line = slices.Delete(q.line, i, i+1)
		close(t.here)
	}
}

// answered tells whether EC2 took a call for one too many.
func (q *queue) answered(throttled bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if throttled {
		q.throttled()
	} else {
		q.went()
	}
}
