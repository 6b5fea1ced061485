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

// Run advances meetings until ctx ends. Then it begins no more passes, lets the running ones finish within
// StopTimeout, and returns when all have ended.
func (e *Engine) Run(ctx context.Context) error {
	passes, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	if e.DB != nil {
		stop, err := e.startBell(passes)
		if err != nil {
			return fmt.Errorf("start the second bell: %w", err)
		}
		defer stop()
	}
	var services, running sync.WaitGroup
	services.Go(func() { e.look(ctx) })
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
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		due, err := e.Store.Due(ctx, time.Now().Add(horizon), lookLimit)
		for _, w := range due {
			e.alarm.remind(w)
		}
		again := lookEvery
		if err != nil && ctx.Err() == nil {
			e.Logger.Warn("cannot look for what is due", "err", err)
		}
		if err != nil || len(due) == lookLimit {
			again = lookAgainAfter
		}
		timer.Reset(again)
	}
}
