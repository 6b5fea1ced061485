package sim

import (
	"iter"
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

func (e event) before(o event) bool { return e.at < o.at || e.at == o.at && e.seq < o.seq }

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
		if !q.heap[i].before(q.heap[up]) {
			break
		}
		q.heap[i], q.heap[up] = q.heap[up], q.heap[i]
		i = up
	}
}

func (q *queue) pop() event {
	top := q.heap[0]
	n := len(q.heap) - 1
	q.heap[0], q.heap[n] = q.heap[n], event{}
	q.heap = q.heap[:n]
	for i := 0; ; {
		down := 2*i + 1
		if down >= n {
			return top
		}
		if down+1 < n && q.heap[down+1].before(q.heap[down]) {
			down++
		}
		if !q.heap[down].before(q.heap[i]) {
			return top
		}
		q.heap[i], q.heap[down] = q.heap[down], q.heap[i]
		i = down
	}
}

// thread is one activity: a pass, an effect, a sweep, a request to a process; or a person, an agent. It is a
// coroutine that runs until it waits for something, so that whatever can happen in between may.
type thread struct {
	l       *life
	p       *process // whose thread it is; nil for people and machines
	kind    kind
	name    string
	next    func() (time.Duration, bool)
	stop    func()
	yield   func(time.Duration) bool
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

// forever is a wait that only a wake ends.
const forever = time.Duration(-1)

// spawn starts a thread after a moment.
func (l *life) spawn(p *process, k kind, name string, after time.Duration, f func(t *thread)) *thread {
	t := &thread{l: l, p: p, kind: k, name: name}
	t.next, t.stop = iter.Pull(func(yield func(time.Duration) bool) {
		defer func() {
			if r := recover(); r != nil {
				if _, ok := r.(killed); !ok {
					panic(r)
				}
			}
		}()
		t.yield = yield
		f(t)
	})
	if p != nil {
		p.threads = append(p.threads, t)
	}
	l.threads[t] = struct{}{}
	l.queue.push(event{at: l.now + after, t: t})
	return t
}

// sleep lets d pass.
func (t *thread) sleep(d time.Duration) {
	if !t.yield(max(d, 0)) {
		panic(killed{})
	}
}

// until sleeps until an instant.
func (t *thread) until(at time.Duration) { t.sleep(at - t.l.now) }

// wait sleeps until somebody wakes it, or d has passed.
func (t *thread) wait(d time.Duration) {
	t.waiting = true
	ok := t.yield(d)
	t.waiting = false
	if !ok {
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
	l.cur = t
	d, ok := t.next()
	l.cur = nil
	switch {
	case !ok:
		t.end()
	case d != forever:
		l.queue.push(event{at: l.now + d, t: t, gen: t.gen})
	}
	l.flushKicks()
}

// drop ends a thread where it is.
func (t *thread) drop() {
	if !t.over {
		t.over = true // before it unwinds, so that it is dropped once
		t.stop()
		t.over = false
		t.end()
	}
}

func (t *thread) end() {
	if t.over {
		return
	}
	t.over = true
	delete(t.l.threads, t)
	if t.p != nil {
		t.p.threads = slices.DeleteFunc(t.p.threads, func(o *thread) bool { return o == t })
	}
	if t.onEnd != nil {
		t.onEnd()
	}
}
