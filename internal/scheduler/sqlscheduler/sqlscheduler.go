// Package sqlscheduler answers wakes in a process that runs all the time.
//
// The wake is a column of the meeting's row: durable with the save, and indexed. The alarm, a queue in memory, makes it
// punctual: it is told of every commit of this process. What it was not told of, because another process saved it or died,
// it finds by looking at the index: all that is near at the start and every minute, and every second what is overdue.
// Advancing a meeting once too often is harmless, once too rarely is not.
package sqlscheduler

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"greenroom"
	"greenroom/internal/logkey"
	"greenroom/internal/scheduler"
	"greenroom/internal/store"
)

// meetings is what the scheduler needs of the store.
type meetings interface {
	Meeting(ctx context.Context, id string) (greenroom.Meeting, error)
	Due(ctx context.Context, before time.Time, limit int) ([]store.Wake, error)
}

// Options are what a Scheduler is made of.
type Options struct {
	// Wakes is the one the store was opened with. It is told of every commit.
	Wakes *Wakes
	Store meetings
	// Advance moves one meeting. It is never called for a meeting while it still runs for it.
	Advance func(ctx context.Context, meetingID string) error
	Logger  *slog.Logger

	// Shared says that other processes have schedulers on the same database. Each rings what it saved itself at its time;
	// what no living process seems to look after, all look for, and one of them answers.
	Shared bool

	// TakeOver says that nobody else is at work on the database: what a process was busy with when it died goes on at once.
	TakeOver bool

	// Now is the wall clock, which may be set forward and back; nil is time.Now.
	Now func() time.Time

	// Workers bounds the passes at once; 0 is DefaultWorkers.
	Workers int
	// StopTimeout is how long running passes may go on when the scheduler is stopped, before their context ends; 0 is 10 s.
	StopTimeout time.Duration
	// Lateness, if set, is told how long after its wake each pass began. It is called from many goroutines.
	Lateness func(late time.Duration)
}

// DefaultWorkers bounds the passes at once. It is large because a pass mostly waits, for a provider or for the
// writer of the database: were it small, the slow meetings of a full hour would hold up the others.
const DefaultWorkers = 10_000

// How far the scheduler looks ahead, how often, and how much it takes in at once.
const (
	lookEvery      = time.Minute
	lookAgainAfter = time.Second // when there was more than it could take in, or the store did not answer
	lookLimit      = 20_000
	// A wake that is this late has lost its process, and is looked for this often. Processes that share a database
	// spread over this time when they find it; the first of them answers.
	overdueAfter = 2 * time.Second
	overdueEvery = time.Second
	overdueLimit = 1000
	spread       = 800 * time.Millisecond
	// A process that was killed while it was busy with a meeting has left it a wake as near as this. Who knows that
	// nobody else is there need not wait for it.
	leftBehind = 5 * time.Second
	// A timer does not advance while the machine sleeps and knows nothing of a clock that is set: it never runs longer.
	readClockEvery = 5 * time.Second
)

// Scheduler calls Advance. Make one with New.
type Scheduler struct {
	Options
	alarm *alarm
}

// New returns a scheduler; Run starts it.
func New(o Options) *Scheduler {
	if o.Workers <= 0 {
		o.Workers = DefaultWorkers
	}
	if o.StopTimeout <= 0 {
		o.StopTimeout = 10 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Wakes.alarm.read(o.Now)
	return &Scheduler{Options: o, alarm: o.Wakes.alarm}
}

// Kick asks for a pass of the meeting as soon as possible. It never blocks. Kicks are hints: many before a pass
// are one, and one during a pass is another pass afterwards.
func (s *Scheduler) Kick(meetingID string) { s.alarm.kick(meetingID) }

// HandedOver says that another process has saved the meeting with that revision, and looks after it now. Like a
// kick it is a hint.
func (s *Scheduler) HandedOver(meetingID string, rev int64) { s.alarm.handedOver(meetingID, rev) }

// Run advances meetings until ctx ends. Then it begins no more passes, lets the running ones finish within
// StopTimeout, and returns when all have ended.
func (s *Scheduler) Run(ctx context.Context) error {
	passes, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	var services, running sync.WaitGroup
	if s.TakeOver {
		s.takeOver(ctx)
	}
	services.Go(func() { s.look(ctx) })
	services.Go(func() { s.lookForOverdue(ctx) })
	s.ring(ctx, passes, &running)
	services.Wait()
	s.finish(&running, cancel)
	return nil
}

var errStopping = errors.New("the scheduler is stopping")

func (s *Scheduler) finish(running *sync.WaitGroup, cancel context.CancelCauseFunc) {
	deadline := time.AfterFunc(s.StopTimeout, func() { cancel(errStopping) })
	defer deadline.Stop()
	running.Wait()
}

// ring starts passes at their times.
func (s *Scheduler) ring(ctx, passes context.Context, running *sync.WaitGroup) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-s.alarm.changed:
		}
		calls, next := s.alarm.take(s.Workers)
		for _, c := range calls {
			running.Go(func() { s.pass(passes, c) })
		}
		timer.Reset(min(next, readClockEvery))
	}
}

func (s *Scheduler) pass(ctx context.Context, c call) {
	if s.answered(ctx, c) {
		s.alarm.finished(c.meeting, true)
		return
	}
	if s.Lateness != nil && !c.wake.IsZero() {
		s.Lateness(s.Now().Sub(c.wake))
	}
	err := scheduler.Guarded(ctx, s.Advance, c.meeting)
	if errors.Is(err, greenroom.ErrNotFound) {
		err = nil // nobody is there to be moved; if somebody is, the next look finds them
	}
	if wait := s.alarm.finished(c.meeting, err == nil); wait > 0 && ctx.Err() == nil {
		s.Logger.Warn("pass failed", logkey.Meeting, c.meeting, logkey.Err, err, logkey.Again, wait)
	}
}

// answered reports whether another process has already answered the wake.
func (s *Scheduler) answered(ctx context.Context, c call) bool {
	if !s.Shared || c.ours || c.wake.IsZero() {
		return false
	}
	m, err := s.Store.Meeting(ctx, c.meeting)
	return err == nil && (m.Closed || m.WakeAt.IsZero() || m.WakeAt.After(s.Now()))
}

// look tells the alarm what is due soon: at the start everything that was missed, later what came near since.
func (s *Scheduler) look(ctx context.Context) {
	every(ctx, func() time.Duration {
		found, err := s.remind(ctx, s.Now().Add(horizon), lookLimit)
		if err != nil || found == lookLimit {
			return lookAgainAfter
		}
		return lookEvery
	})
}

// takeOver begins at once with what the process before this one was busy with when it died.
func (s *Scheduler) takeOver(ctx context.Context) {
	due, err := s.Store.Due(ctx, s.Now().Add(leftBehind), lookLimit)
	if err != nil {
		return // the first look says so
	}
	for _, w := range due {
		s.Kick(w.Meeting)
	}
}

// lookForOverdue tells the alarm what should have been answered: by another process, or by this one.
func (s *Scheduler) lookForOverdue(ctx context.Context) {
	every(ctx, func() time.Duration {
		_, _ = s.remind(ctx, s.Now().Add(-overdueAfter), overdueLimit)
		return overdueEvery
	})
}

// remind tells the alarm what is due before a time, and returns how much that is.
func (s *Scheduler) remind(ctx context.Context, before time.Time, limit int) (int, error) {
	due, err := s.Store.Due(ctx, before, limit)
	if err != nil && ctx.Err() == nil {
		s.Logger.Warn("cannot list due wakes", logkey.Err, err)
	}
	now := s.Now()
	for _, w := range due {
		if s.Shared { // all processes know it by now, and one is enough
			w.At = later(w.At, now).Add(rand.N(spread)) //nolint:gosec // no secret
		}
		s.alarm.remind(w)
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
