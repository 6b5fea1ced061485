package sqlscheduler

import (
	"container/heap"
	"math"
	"sync"
	"time"

	"greenroom/internal/backoff"
	"greenroom/internal/store"
)

// horizon is how far ahead the alarm knows wakes: it bounds memory by what is near, not by what is scheduled.
const horizon = 5 * lookEvery

// Pauses of a meeting whose passes fail.
var retries = backoff.Schedule{First: 500 * time.Millisecond, Most: time.Minute}

// never is longer than anything that is waited for.
const never = time.Duration(math.MaxInt64)

// alarm knows which meetings want a pass and when: one entry for each that is near, runs or failed. It calls
// nobody; its methods do not block.
type alarm struct {
	changed chan struct{} // holds a token when take may give something new

	mu      sync.Mutex
	now     func() time.Time
	entries map[string]*entry
	queue   queue
	running int
}

type entry struct {
	meeting  string
	rev      int64     // of the save that promised, 0 if it was learned by looking
	wake     time.Time // the promise; zero: there is no wake, or it is beyond the horizon
	kicked   time.Time // first of the kicks that no pass has answered
	retry    time.Time // when failures > 0
	failures int       // passes in a row that failed
	running  bool
	place    int // in the queue
}

// call is a pass to be made. wake is what it answers, zero if it answers a kick or is a retry.
type call struct {
	meeting string
	wake    time.Time
	ours    bool // the promise was saved here; another process may have answered any other meanwhile
}

func newAlarm() *alarm {
	return &alarm{changed: make(chan struct{}, 1), now: time.Now, entries: map[string]*entry{}}
}

// read lets the alarm have its time from a clock.
func (a *alarm) read(clock func() time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.now = clock
}

// promised takes note of what the save with that revision promised; a zero At is nothing.
func (a *alarm) promised(w store.Wake, rev int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if w.At.After(a.now().Add(horizon)) {
		w.At = time.Time{}
	}
	if a.entries[w.Meeting] == nil && w.At.IsZero() {
		return
	}
	e := a.entry(w.Meeting)
	e.wake, e.rev = w.At, rev
	a.arrange(e)
}

// handedOver drops a promise that another process has replaced by its own.
func (a *alarm) handedOver(meeting string, rev int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if e := a.entries[meeting]; e != nil && e.rev < rev {
		e.wake, e.rev = time.Time{}, 0
		a.arrange(e)
	}
}

// remind adds a promise that may be out of date: what the alarm knows of the meeting already is newer.
func (a *alarm) remind(w store.Wake) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.entries[w.Meeting] != nil {
		return
	}
	e := a.entry(w.Meeting)
	e.wake, e.rev = w.At, 0
	a.arrange(e)
}

func (a *alarm) kick(meeting string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	e := a.entry(meeting)
	if e.kicked.IsZero() {
		e.kicked = a.now()
	}
	a.arrange(e)
}

// take gives what is due, earliest first, so that at most limit passes run at once, and in how long to ask again:
// never, if only a change can make a difference.
func (a *alarm) take(limit int) ([]call, time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	var calls []call
	for len(a.queue) > 0 && a.running < limit {
		e := a.queue[0]
		if at := e.due(); at.After(now) {
			return calls, at.Sub(now)
		}
		c := call{meeting: e.meeting}
		if e.kicked.IsZero() && e.failures == 0 {
			c.wake, c.ours = e.wake, e.rev > 0
		}
		e.wake, e.kicked, e.running = time.Time{}, time.Time{}, true
		a.running++
		a.arrange(e)
		calls = append(calls, c)
	}
	return calls, never
}

// finished ends a pass. It returns how long the meeting is left alone if the pass failed, else 0.
func (a *alarm) finished(meeting string, well bool) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	e := a.entries[meeting]
	e.running = false
	a.running--
	var wait time.Duration
	if well {
		e.failures = 0
	} else {
		wait = retries.Spread(e.failures)
		e.failures++
		e.retry = a.now().Add(wait)
	}
	a.arrange(e)
	a.tell() // there is room for another pass
	return wait
}

func (a *alarm) entry(meeting string) *entry {
	e := a.entries[meeting]
	if e == nil {
		e = &entry{meeting: meeting, place: -1}
		a.entries[meeting] = e
	}
	return e
}

// arrange puts e where it belongs after a change: into the queue, out of it, or away.
func (a *alarm) arrange(e *entry) {
	wanted := !e.running && !e.due().IsZero()
	switch {
	case wanted && e.place < 0:
		heap.Push(&a.queue, e)
	case wanted:
		heap.Fix(&a.queue, e.place)
	case e.place >= 0:
		heap.Remove(&a.queue, e.place)
	}
	if !wanted && !e.running {
		delete(a.entries, e.meeting)
	}
	if e.place == 0 {
		a.tell()
	}
}

func (a *alarm) tell() {
	select {
	case a.changed <- struct{}{}:
	default:
	}
}

// due is when e wants a pass; zero is never. A kick is obeyed at once even while the meeting is left alone after a
// failure: it may tell that the trouble is over. A wake is not.
func (e *entry) due() time.Time {
	switch {
	case !e.kicked.IsZero():
		return e.kicked
	case e.failures > 0:
		return e.retry
	}
	return e.wake
}

// queue is a heap of entries, the earliest due first.
type queue []*entry

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].due().Before(q[j].due()) }

func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}

// Push implements heap.Interface.
func (q *queue) Push(x any) {
	e := x.(*entry)
	e.place = len(*q)
	*q = append(*q, e)
}

// Pop implements heap.Interface.
func (q *queue) Pop() any {
	old := *q
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	e.place = -1
	return e
}
