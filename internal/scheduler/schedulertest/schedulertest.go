// Package schedulertest is the suite that every scheduler passes: a wake is answered. What that means is said by package
// scheduler. It runs in fake time, so that hours take moments and lateness is exact.
package schedulertest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"greenroom"
	"greenroom/internal/store"
	"greenroom/internal/store/storetest"
)

// Advance is what the scheduler of a process calls, with the store as that process has it.
type Advance func(ctx context.Context, s store.Store, meeting string) error

// Process is one that saves meetings and has a scheduler. Kill ends it as SIGKILL would: what it does later has no effect.
// Kill may be called by a pass.
type Process interface {
	Store() *Store
	Kick(ctx context.Context, meeting string) error
	Kill()
}

// World is where meetings and time are kept for processes. It ends with its test, with all processes in it.
type World interface {
	Start(advance Advance) Process
}

// Conditions are how things are in a World.
type Conditions struct {
	Now   func() time.Time // everybody's wall clock; it may be set
	Twice bool             // everything that is told or delivered is told twice
}

// Options say what is tested and what it promises.
type Options struct {
	// Prepare makes what needs real time, such as a database server, and returns what makes a World. That is called in a
	// bubble of fake time.
	Prepare func(t *testing.T) func(t *testing.T, c Conditions) World

	Others int           // processes that are at work beside the one that saves
	Early  time.Duration // how early an answer may be
	Late   time.Duration // how late it may be while nothing fails
	Found  time.Duration // how late after the clock was set, or after somebody is there who can answer
	Retry  time.Duration // how long after a failed pass the next begins at most
}

// ErrDown is what a store answers that is down.
var ErrDown = &greenroom.UserError{Message: "The store is down.", Cause: greenroom.ErrUnavailable}

// Store is a store that can fail, as one process has it.
type Store struct {
	store.Store
	fault atomic.Pointer[error]
}

// Fail lets every call fail from now on; nil ends that.
func (s *Store) Fail(err error) {
	if err == nil {
		s.fault.Store(nil)
		return
	}
	s.fault.Store(&err)
}

func (s *Store) failed() error {
	if err := s.fault.Load(); err != nil {
		return *err
	}
	return nil
}

// Meeting implements store.Store.
func (s *Store) Meeting(ctx context.Context, id string) (greenroom.Meeting, error) {
	if err := s.failed(); err != nil {
		return greenroom.Meeting{}, err
	}
	return s.Store.Meeting(ctx, id)
}

// Due implements store.Store.
func (s *Store) Due(ctx context.Context, before time.Time, limit int) ([]store.Wake, error) {
	if err := s.failed(); err != nil {
		return nil, err
	}
	return s.Store.Due(ctx, before, limit)
}

// Create implements store.Store.
func (s *Store) Create(ctx context.Context, m greenroom.Meeting, events []greenroom.Event, idem store.Idempotency) (greenroom.Meeting, bool, error) {
	if err := s.failed(); err != nil {
		return greenroom.Meeting{}, false, err
	}
	return s.Store.Create(ctx, m, events, idem)
}

// Update implements store.Store.
func (s *Store) Update(ctx context.Context, m greenroom.Meeting, events []greenroom.Event) (greenroom.Meeting, error) {
	if err := s.failed(); err != nil {
		return greenroom.Meeting{}, err
	}
	return s.Store.Update(ctx, m, events)
}

// rig is a world with processes in it, and what their passes did.
type rig struct {
	t     *testing.T
	o     Options
	world World
	clock clock
	began time.Time
	saver Process
	all   []Process
	pass  Advance // what a pass does; nil is answer

	mu      sync.Mutex
	answers map[string][]time.Time // saves that took a due wake away, by meeting
	calls   map[string][]time.Time // of Advance
}

// clock is a wall clock that can be set.
type clock struct{ offset atomic.Int64 }

func (c *clock) now() time.Time         { return time.Now().Add(time.Duration(c.offset.Load())) }
func (c *clock) step(off time.Duration) { c.offset.Add(int64(off)) }

// in runs a case in a world of its own.
func (o Options) in(t *testing.T, twice bool, do func(r *rig)) {
	t.Helper()
	world := o.Prepare(t)
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, o: o, answers: map[string][]time.Time{}, calls: map[string][]time.Time{}}
		r.world = world(t, Conditions{Now: r.clock.now, Twice: twice})
		r.saver = r.start()
		for range o.Others {
			r.start()
		}
		time.Sleep(3 * time.Second) // what a process looks at when it starts is another case
		r.began = r.clock.now()
		do(r)
	})
}

// start starts one more process.
func (r *rig) start() Process {
	p := r.world.Start(func(ctx context.Context, s store.Store, id string) error {
		r.mu.Lock()
		r.calls[id] = append(r.calls[id], r.clock.now())
		pass := r.pass
		r.mu.Unlock()
		if pass == nil {
			return r.answer(ctx, s, id)
		}
		return pass(ctx, s, id)
	})
	r.all = append(r.all, p)
	return p
}

// passes sets what a pass does from now on.
func (r *rig) passes(do Advance) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pass = do
}

// answer takes away a wake whose time has come.
func (r *rig) answer(ctx context.Context, s store.Store, id string) error {
	m, err := s.Meeting(ctx, id)
	if err != nil {
		return err
	}
	if m.Closed || m.WakeAt.IsZero() || m.WakeAt.After(r.clock.now().Add(r.o.Early)) {
		return nil
	}
	m.WakeAt = time.Time{}
	if _, err := s.Update(ctx, m, nil); errors.Is(err, greenroom.ErrConflict) {
		return nil // another has answered, or the meeting has moved on, and has its next wake
	} else if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answers[id] = append(r.answers[id], r.clock.now())
	return nil
}

// killSaver ends the process that saved, and lets another answer if nobody else is there.
func (r *rig) killSaver() {
	r.saver.Kill()
	if r.o.Others == 0 {
		r.start()
	}
}

// everybody does something to the store of each process.
func (r *rig) everybody(do func(s *Store)) {
	for _, p := range r.all {
		do(p.Store())
	}
}

// create saves a new meeting that wants to be woken so long after the beginning.
func (r *rig) create(after time.Duration) string {
	r.t.Helper()
	m := storetest.Meeting(r.began)
	m.WakeAt = r.began.Add(after)
	if _, _, err := r.saver.Store().Create(r.t.Context(), m, nil, store.Idempotency{}); err != nil {
		r.t.Fatal(err)
	}
	return m.ID
}

// change saves a change of a meeting.
func (r *rig) change(id string, change func(m *greenroom.Meeting)) {
	r.t.Helper()
	m, err := r.saver.Store().Meeting(r.t.Context(), id)
	if err == nil {
		change(&m)
		_, err = r.saver.Store().Update(r.t.Context(), m, nil)
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// move saves another wake of a meeting.
func (r *rig) move(id string, after time.Duration) {
	r.t.Helper()
	r.change(id, func(m *greenroom.Meeting) { m.WakeAt = r.began.Add(after) })
}

// until sleeps until so long after the beginning, by the time that passes.
func (r *rig) until(after time.Duration) {
	time.Sleep(time.Until(r.began.Add(after)))
	synctest.Wait()
}

// want wants one answer of the meeting's wake, in [due - early, due + late] after the beginning, by the wall clock.
func (r *rig) want(what, id string, due, late time.Duration) {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	got := r.answers[id]
	if len(got) != 1 {
		r.t.Errorf("%s: %s, want one", what, r.told(got))
		return
	}
	if at := got[0].Sub(r.began); at < due-r.o.Early || at > due+late {
		r.t.Errorf("%s: answered at %s, want it %s after the beginning, at most %s late", what, at, due, late)
	}
}

// none wants no answer.
func (r *rig) none(what, id string) {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if got := r.answers[id]; len(got) != 0 {
		r.t.Errorf("%s: %s, want none", what, r.told(got))
	}
}

func (r *rig) told(times []time.Time) string {
	var at []time.Duration
	for _, t := range times {
		at = append(at, t.Sub(r.began))
	}
	return fmt.Sprintf("%d answers, at %v", len(at), at)
}

// called returns when Advance was called for the meeting, since the beginning.
func (r *rig) called(id string) []time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	var at []time.Duration
	for _, t := range r.calls[id] {
		at = append(at, t.Sub(r.began))
	}
	return at
}
