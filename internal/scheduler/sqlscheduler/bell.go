package sqlscheduler

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/riverqueue/river"

	"greenroom"
	"greenroom/internal/store"
)

const (
	bellQueue = "wakes"
	// bellDelay is from a wake to its second bell. River looks five seconds ahead for jobs to make ready: with a
	// shorter delay it would handle each job that is about to be deleted.
	bellDelay = 10 * time.Second
	// bellAgain is how long a bell waits to see whether it was heard.
	bellAgain = 30 * time.Second
	bellHands = 16 // bells at once; each is one read
	// hangTime bounds a question to the database before River starts, which would wait for its answer without end.
	hangTime = 5 * time.Second
)

// bell is the second bell of one wake: a job that rings after the alarm should have.
type bell struct {
	Meeting string `json:"meeting"`
}

// Kind implements river.JobArgs.
func (bell) Kind() string { return "wake" }

type ringer struct {
	river.WorkerDefaults[bell]
	scheduler *Scheduler
}

// Work looks whether the wake was answered, and tells the alarm if not. The pass itself is the alarm's: so it is
// exclusive and backs off in one place. The job stays until the meeting has moved on; its save deletes the job.
func (r *ringer) Work(ctx context.Context, job *river.Job[bell]) error {
	m, err := r.scheduler.Store.Meeting(ctx, job.Args.Meeting)
	switch {
	case errors.Is(err, greenroom.ErrNotFound):
		return nil
	case err != nil:
		return fmt.Errorf("look at meeting %s: %w", job.Args.Meeting, err)
	case m.Closed || m.WakeAt.IsZero() || m.WakeAt.After(time.Now()):
		return nil
	}
	r.scheduler.alarm.remind(store.Wake{Meeting: m.ID, At: m.WakeAt})
	return river.JobSnooze(bellAgain)
}

// NextRetry spreads the tries of a bell that could not read its meeting.
func (r *ringer) NextRetry(job *river.Job[bell]) time.Time {
	return time.Now().Add(retries.Spread(job.Attempt))
}

// hangBell starts the second bell as soon as the database answers, and returns what stops it. The program has told people by
// then that it serves: a database that is away for a moment is waited for, as at any other time.
func (s *Scheduler) hangBell(ctx, passes context.Context) (stop func()) {
	stop = func() {}
	ctx, hung := context.WithCancel(ctx)
	defer hung()
	every(ctx, func() time.Duration {
		started, err := s.tryBell(ctx, passes)
		if err == nil {
			stop = started
			hung()
		} else if ctx.Err() == nil {
			s.Logger.Warn("the second bell cannot be started yet", "err", err)
		}
		return lookAgainAfter
	})
	return stop
}

func (s *Scheduler) tryBell(ctx, passes context.Context) (func(), error) {
	ctx, cancel := context.WithTimeout(ctx, hangTime)
	defer cancel()
	if err := s.DB.PingContext(ctx); err != nil {
		return nil, err
	}
	return s.startBell(passes)
}

// startBell starts River and returns what stops it.
func (s *Scheduler) startBell(ctx context.Context) (func(), error) {
	workers := river.NewWorkers()
	river.AddWorker(workers, &ringer{scheduler: s})
	client, err := river.NewClient(riverOn(s.DB, s.DB), &river.Config{
		Logger:  slog.New(warnings{s.Logger.Handler()}),
		Queues:  map[string]river.QueueConfig{bellQueue: {MaxWorkers: bellHands}},
		Workers: workers,
		// Listening in SQLite is polling twenty times a second, on the connection that everybody writes with; in PostgreSQL
		// it is a connection more for a bell that is late on purpose.
		PollOnly:                    true,
		FetchPollInterval:           time.Second,
		JobTimeout:                  10 * time.Second,
		RescueStuckJobsAfter:        time.Minute,
		CompletedJobRetentionPeriod: time.Minute,
		DiscardedJobRetentionPeriod: time.Hour,
		ReindexerIndexNames:         []string{}, // SQLite's indexes do not bloat, and PostgreSQL vacuums its own
	})
	if err != nil {
		return nil, err
	}
	if err := client.Start(ctx); err != nil {
		return nil, err
	}
	return func() { stopBell(ctx, client) }, nil
}

func stopBell(ctx context.Context, client *river.Client[*sql.Tx]) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if client.Stop(ctx) != nil {
		_ = client.StopAndCancel(context.WithoutCancel(ctx)) // the jobs are kept in the database: nothing is lost
	}
}

// warnings passes on what somebody should know: River tells at the level of information what it does all day.
type warnings struct{ slog.Handler }

// Enabled implements slog.Handler.
func (w warnings) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && w.Handler.Enabled(ctx, level)
}

// WithAttrs implements slog.Handler.
func (w warnings) WithAttrs(attrs []slog.Attr) slog.Handler {
	return warnings{w.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (w warnings) WithGroup(name string) slog.Handler { return warnings{w.Handler.WithGroup(name)} }
