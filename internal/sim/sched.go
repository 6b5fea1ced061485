package sim

import (
	"iter"
	"runtime/debug"
	"slices"
	"time"
)

// event is something that happens at an instant: a thread goes on, or f is called.
type event struct {
	at  time.Duration
	seq int
	t   *thread
	gen int
	f   func()
}

func (e *event) before(o *event) bool { return e.at < o.at || e.at == o.at && e.seq < o.seq }

// queue is a binary heap of events. The order of equal instants is that of their making, so that a life replays.
type queue struct {
	heap []event
	made int
}

func (q *queue) push(e event) {
	q.made++
	e.seq = q.made
	q.heap = append(q.heap, e)
	i := len(q.heap) - 1
	for i > 0 {
		up := (i - 1) / 2
		if !e.before(&q.heap[up]) {
			break
		}
		q.heap[i] = q.heap[up]
		i = up
	}
	q.heap[i] = e
}

func (q *queue) pop() event {
	top := q.heap[0]
	n := len(q.heap) - 1
	last := q.heap[n]
	q.heap[n] = event{}
	q.heap = q.heap[:n]
	i := 0
	for {
		down := 2*i + 1
		if down+1 < n && q.heap[down+1].before(&q.heap[down]) {
			down++
		}
		if down >= n || !q.heap[down].before(&last) {
			break
		}
		q.heap[i] = q.heap[down]
		i = down
	}
	if n > 0 {
		q.heap[i] = last
	}
	return top
}

// thread is one activity: a pass, an effect, a sweep, a request to a process; or a person, an agent. It is a
// coroutine that runs until it waits for something, so that whatever can happen in between may.
type thread struct {
	l       *life
	p       *process // whose thread it is; nil for people and machines
	kind    kind
	name    string
	f       func(t *thread)
	c       *coroutine // nil before its first step
	dying   bool       // it unwinds
	gen     int
	waiting bool
	over    bool

	looked   time.Duration // when a pass began its step
	planning bool          // it is in it
	book     *book         // that a request is about
	onEnd    func()        // called when it has ended or was dropped
}

type kind uint8

const (
	aClient kind = iota
	aPass
	anEffect
	aSweep
	aRequest
)

// killed unwinds a thread whose process died.
type killed struct{}

// forever is a wait that only a wake ends; finished is what a coroutine says when its thread is over.
const (
	forever  = time.Duration(-1)
	finished = time.Duration(-2)
)

// coroutine runs one thread after another: its stack has grown once, and serves many.
type coroutine struct {
	next  func() (time.Duration, bool)
	stop  func()
	yield func(time.Duration) bool
	job   func()
}

// pool keeps coroutines that have nothing to do. It is one worker's, over many lives.
type pool struct{ idle []*coroutine }

func (p *pool) get() *coroutine {
	if n := len(p.idle); n > 0 {
		c := p.idle[n-1]
		p.idle = p.idle[:n-1]
		return c
	}
	c := &coroutine{}
	c.next, c.stop = iter.Pull(func(yield func(time.Duration) bool) {
		c.yield = yield
		for {
			c.job()
			if !yield(finished) {
				return
			}
		}
	})
	return c
}

// close ends the coroutines.
func (p *pool) close() {
	for _, c := range p.idle {
		c.stop()
	}
}

// spawn starts a thread after a moment.
func (l *life) spawn(p *process, k kind, name string, after time.Duration, f func(t *thread)) *thread {
	t := &thread{l: l, p: p, kind: k, name: name, f: f}
	if p != nil {
		p.threads = append(p.threads, t)
	}
	l.threads[t] = struct{}{}
	l.queue.push(event{at: l.now + after, t: t})
	return t
}

// run is what a coroutine does for a thread. A panic is a broken promise.
func (t *thread) run() {
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(killed); !ok {
				t.l.fail("panic: %v\n%s", r, debug.Stack())
			}
		}
	}()
	t.f(t)
}

// sleep lets d pass.
func (t *thread) sleep(d time.Duration) {
	if !t.c.yield(max(d, 0)) || t.dying {
		panic(killed{})
	}
}

// until sleeps until an instant.
func (t *thread) until(at time.Duration) { t.sleep(at - t.l.now) }

// wait sleeps until somebody wakes it, or d has passed.
func (t *thread) wait(d time.Duration) {
	t.waiting = true
	ok := t.c.yield(d)
	t.waiting = false
	if !ok || t.dying {
		panic(killed{})
	}
}

// wake ends a wait.
func (t *thread) wake() {
	if t.waiting && !t.over {
		t.waiting = false
		t.gen++
		t.l.queue.push(event{at: t.l.now, t: t, gen: t.gen})
	}
}

// resume runs a thread until it waits again.
func (l *life) resume(t *thread) {
	if t.p != nil && t.p.stopped > l.now {
		l.queue.push(event{at: t.p.stopped, t: t, gen: t.gen})
		return
	}
	switch d := t.step(); d {
	case finished:
		t.end()
	case forever:
	default:
		l.queue.push(event{at: l.now + d, t: t, gen: t.gen})
	}
	l.flushKicks()
}

// step lets the thread run until it waits, and gives how long.
func (t *thread) step() time.Duration {
	if t.c == nil {
		t.c = t.l.pool.get()
		t.c.job = t.run
	}
	before := t.l.cur
	t.l.cur = t
	d, _ := t.c.next()
	t.l.cur = before
	return d
}

// drop ends a thread where it is.
func (t *thread) drop() {
	if t.over {
		return
	}
	if t.c != nil && !t.dying {
		t.dying = true
		for t.step() != finished { // a thread that waits while it unwinds is not waited for
		}
	}
	t.end()
}

func (t *thread) end() {
	if t.over {
		return
	}
	t.over = true
	if t.c != nil {
		t.l.pool.idle = append(t.l.pool.idle, t.c)
		t.c = nil
	}
	delete(t.l.threads, t)
	if t.p != nil {
		t.p.threads = slices.DeleteFunc(t.p.threads, func(o *thread) bool { return o == t })
	}
	if t.onEnd != nil {
		t.onEnd()
	}
}
