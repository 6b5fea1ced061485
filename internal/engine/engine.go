// Package engine keeps the promise of every wake: at its time, or soon after, the meeting is advanced.
//
// Two mechanisms share the work and need not know of each other. The alarm, a queue in memory, is punctual and
// dies with its process. The second bell, a River job made in the transaction of the save, is durable and a little
// later; in normal life the save that follows the alarm's pass deletes it before it is due. Advancing a meeting
// once too often is harmless, once too rarely is not.
package engine

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"

	"greenroom"
	"greenroom/internal/store"
)

// meetings is what the engine needs of the store.
type meetings interface {
	Meeting(ctx context.Context, id string) (greenroom.Meeting, error)
	Due(ctx context.Context, before time.Time, limit int) ([]store.Wake, error)
}

// Options are what an Engine is made of.
type Options struct {
	// Wakes is the one the store was opened with. It is told of every commit.
	Wakes *Wakes
	// DB is the database of the store, where Wakes keeps its jobs. Nil does without the second bell: that is for
	// stores in memory.
	DB    *sql.DB
	Store meetings
	// Advance moves one meeting. It is never called for a meeting while it still runs for it.
	Advance func(ctx context.Context, meetingID string) error
	Logger  *slog.Logger

	// Shared says that other processes have engines on the same database. Each rings what it saved itself at its time;
	// what no living process seems to look after, all look for, and one of them answers.
	Shared bool

	// TakeOver says that nobody else is at work on the database: what a process was busy with when it died goes on at once.
	TakeOver bool

	// Workers bounds the passes at once; 0 is DefaultWorkers.
	Workers int
	// StopTimeout is how long running passes may go on when the engine is stopped, before their context ends; 0 is 10 s.
	StopTimeout time.Duration
	// Lateness, if set, is told how long after its wake each pass began. It is called from many goroutines.
	Lateness func(late time.Duration)
}

// DefaultWorkers bounds the passes at once. It is large because a pass mostly waits, for a provider or for the
// writer of the database: were it small, the slow meetings of a full hour would hold up the others.
const DefaultWorkers = 10_000

// How far the engine looks ahead, how often, and how much it takes in at once.
const (
	lookEvery      = time.Minute
	lookAgainAfter = time.Second // when there was more than it could take in, or the store did not answer
	lookLimit      = 20_000
	// In a shared database: a wake that is this late has lost its process, and is looked for this often. Those that
	// find it spread over this time; the first of them answers.
	overdueAfter = 2 * time.Second
	overdueEvery = time.Second
	overdueLimit = 1000
	spread       = 800 * time.Millisecond
	// A process that was killed while it was busy with a meeting has left it a wake as near as this. Who knows that
	// nobody else is there need not wait for it.
	leftBehind = 5 * time.Second
	// A timer stands still while the machine sleeps and knows nothing of a clock that is set: it never runs longer.
	readClockEvery = 5 * time.Second
)

// Engine calls Advance. Make one with New.
type Engine struct {
	Options
	alarm *alarm
}

// New returns an engine; Run starts it.
func New(o Options) *Engine {
	if o.Workers <= 0 {
		o.Workers = DefaultWorkers
	}
	if o.StopTimeout <= 0 {
		o.StopTimeout = 10 * time.Second
	}
	return &Engine{Options: o, alarm: o.Wakes.alarm}
}

// Kick asks for a pass of the meeting as soon as possible. It never blocks. Kicks are hints: many before a pass
// are one, and one during a pass is another pass afterwards.
func (e *Engine) Kick(meetingID string) { e.alarm.kick(meetingID, time.Now()) }

// HandedOver says that another process has saved the meeting with that revision, and looks after it now. Like a
// kick it is a hint.
func (e *Engine) HandedOver(meetingID string, rev int64) { e.alarm.handedOver(meetingID, rev) }

// Run advances meetings until ctx ends. Then it begins no more passes, lets the running ones finish within
// StopTimeout, and returns when all have ended.
func (e *Engine) Run(ctx context.Context) error {
	passes, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	var services, running sync.WaitGroup
	stopBell := func() {}
	defer func() { stopBell() }()
	if e.DB != nil {
		services.Go(func() { stopBell = e.hangBell(ctx, passes) })
	}
	if e.TakeOver {
		e.takeOver(ctx)
	}
	services.Go(func() { e.look(ctx) })
	if e.Shared {
		services.Go(func() { e.lookForOverdue(ctx) })
	}
	e.ring(ctx, passes, &running)
	services.Wait()
	e.finish(&running, cancel)
	return nil
}

var errStopping = errors.New("the engine is stopping")

func (e *Engine) finish(running *sync.WaitGroup, cancel context.CancelCauseFunc) {
	deadline := time.AfterFunc(e.StopTimeout, func() { cancel(errStopping) })
	defer deadline.Stop()
	running.Wait()
}

// ring starts passes at their times.
func (e *Engine) ring(ctx, passes context.Context, running *sync.WaitGroup) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-e.alarm.changed:
		}
		now := time.Now()
		calls, next := e.alarm.take(now, e.Workers)
		for _, c := range calls {
			running.Go(func() { e.pass(passes, c) })
		}
		if !next.IsZero() {
			timer.Reset(min(time.Until(next), readClockEvery))
		}
	}
}

func (e *Engine) pass(ctx context.Context, c call) {
	if e.answered(ctx, c) {
		e.alarm.finished(c.meeting, true, time.Now())
		return
	}
	if e.Lateness != nil && !c.wake.IsZero() {
		e.Lateness(time.Since(c.wake))
	}
	err := e.advance(ctx, c.meeting)
	if errors.Is(err, greenroom.ErrNotFound) {
		err = nil // nobody is there to be moved; if somebody is, the next look finds them
	}
	if wait := e.alarm.finished(c.meeting, err == nil, time.Now()); wait > 0 && ctx.Err() == nil {
		e.Logger.Warn("pass went wrong", "meeting", c.meeting, "err", err, "again_in", wait)
	}
}

// answered reports whether another process has already answered the wake.
func (e *Engine) answered(ctx context.Context, c call) bool {
	if !e.Shared || c.ours || c.wake.IsZero() {
		return false
	}
	m, err := e.Store.Meeting(ctx, c.meeting)
	return err == nil && (m.Closed || m.WakeAt.IsZero() || m.WakeAt.After(time.Now()))
}

// advance turns a panic into an error: one meeting's trouble is not the others'.
func (e *Engine) advance(ctx context.Context, meetingID string) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("advance %s: panic: %v\n%s", meetingID, r, debug.Stack())
		}
	}()
	return e.Advance(ctx, meetingID)
}

// look tells the alarm what is due soon: at the start everything that was missed, later what came near since.
func (e *Engine) look(ctx context.Context) {
	every(ctx, func() time.Duration {
		found, err := e.remind(ctx, time.Now().Add(horizon), lookLimit)
		if err != nil || found == lookLimit {
			return lookAgainAfter
		}
		return lookEvery
	})
}

// takeOver begins at once with what the process before this one was busy with when it died.
func (e *Engine) takeOver(ctx context.Context) {
	due, err := e.Store.Due(ctx, time.Now().Add(leftBehind), lookLimit)
	if err != nil {
		return // the first look says so
	}
	for _, w := range due {
		e.Kick(w.Meeting)
	}
}

// lookForOverdue tells the alarm what other processes should have answered.
func (e *Engine) lookForOverdue(ctx context.Context) {
	every(ctx, func() time.Duration {
		_, _ = e.remind(ctx, time.Now().Add(-overdueAfter), overdueLimit)
		return overdueEvery
	})
}

// remind tells the alarm what is due before a time, and returns how much that is.
func (e *Engine) remind(ctx context.Context, before time.Time, limit int) (int, error) {
	due, err := e.Store.Due(ctx, before, limit)
	if err != nil && ctx.Err() == nil {
		e.Logger.Warn("cannot look for what is due", "err", err)
	}
	now := time.Now()
	for _, w := range due {
		if e.Shared { // all processes know it by now, and one is enough
			w.At = later(w.At, now).Add(rand.N(spread)) //nolint:gosec // no secret
		}
		e.alarm.remind(w)
	}
	return len(due), err
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// every calls f now and again after the time that it returns, until ctx ends.
func every(ctx context.Context, f func() time.Duration) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		timer.Reset(f())
	}
}
