package sqlscheduler_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/scheduler/schedulertest"
	"greenroom/internal/scheduler/sqlscheduler"
	"greenroom/internal/store"
	"greenroom/internal/store/memstore"
	"greenroom/internal/store/sqlstore"
	"greenroom/internal/testenv/pgtest"
)

// world is a database with processes on it.
type world struct {
	t      *testing.T
	c      schedulertest.Conditions
	shared bool
	open   func(onCommit func(m greenroom.Meeting)) (s store.Store, shut func() error)
}

// process is put together as the program does it.
type process struct {
	store     schedulertest.Store
	scheduler *sqlscheduler.Scheduler
	kill      func()
}

func (p *process) Store() *schedulertest.Store { return &p.store }
func (p *process) Kill()                       { p.kill() }

func (p *process) Kick(_ context.Context, id string) error {
	p.scheduler.Kick(id)
	return nil
}

func (w *world) Start(advance schedulertest.Advance) schedulertest.Process {
	wakes := sqlscheduler.NewWakes()
	inner, shut := w.open(func(m greenroom.Meeting) {
		wakes.Committed(m)
		if w.c.Twice {
			wakes.Committed(m)
		}
	})
	p := &process{}
	p.store.Store = inner
	p.scheduler = sqlscheduler.New(sqlscheduler.Options{
		Wakes: wakes, Store: &p.store, Shared: w.shared, TakeOver: !w.shared, Logger: slog.New(slog.DiscardHandler), Now: w.c.Now, StopTimeout: time.Nanosecond,
		Advance: func(ctx context.Context, id string) error { return advance(ctx, &p.store, id) },
	})
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.t.Context()))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = p.scheduler.Run(ctx)
	}()
	p.kill = sync.OnceFunc(func() {
		p.store.Fail(errors.New("the process is dead"))
		cancel()
		if err := shut(); err != nil {
			w.t.Error(err)
		}
	})
	w.t.Cleanup(func() { p.kill(); <-ended })
	return p
}

// memory is a store in memory, which outlives processes.
func memory(*testing.T) func() func(onCommit func(m greenroom.Meeting)) (store.Store, func() error) {
	return func() func(onCommit func(m greenroom.Meeting)) (store.Store, func() error) {
		kept := memstore.New()
		return func(onCommit func(m greenroom.Meeting)) (store.Store, func() error) {
			return &telling{Store: kept, told: onCommit}, func() error { return nil }
		}
	}
}

// telling tells of the saves of one process.
type telling struct {
	*memstore.Store
	told func(m greenroom.Meeting)
}

func (s *telling) Create(ctx context.Context, m greenroom.Meeting, events []greenroom.Event, idem store.Idempotency) (greenroom.Meeting, bool, error) {
	m, isNew, err := s.Store.Create(ctx, m, events, idem)
	if err == nil && isNew {
		s.told(m)
	}
	return m, isNew, err
}

func (s *telling) Update(ctx context.Context, m greenroom.Meeting, events []greenroom.Event) (greenroom.Meeting, error) {
	m, err := s.Store.Update(ctx, m, events)
	if err == nil {
		s.told(m)
	}
	return m, err
}

// database opens the same database for each process.
func database(options func(t *testing.T) sqlstore.Options) func(t *testing.T) func() func(onCommit func(m greenroom.Meeting)) (store.Store, func() error) {
	return func(t *testing.T) func() func(onCommit func(m greenroom.Meeting)) (store.Store, func() error) {
		o := options(t)
		return func() func(onCommit func(m greenroom.Meeting)) (store.Store, func() error) {
			return func(onCommit func(m greenroom.Meeting)) (store.Store, func() error) {
				o := o
				o.OnCommit = onCommit
				s, err := sqlstore.Open(context.WithoutCancel(t.Context()), o)
				if err != nil {
					t.Fatal(err)
				}
				return s, s.Close
			}
		}
	}
}

// TestAWakeIsAnswered holds the scheduler to its promise on every database, alone and beside others.
func TestAWakeIsAnswered(t *testing.T) {
	t.Parallel()
	sqlite := database(func(t *testing.T) sqlstore.Options {
		return sqlstore.Options{Path: filepath.Join(t.TempDir(), "greenroom.db")}
	})
	postgres := database(func(t *testing.T) sqlstore.Options { return sqlstore.Options{URL: pgtest.Start(t)} })
	for name, c := range map[string]struct {
		prepare func(t *testing.T) func() func(onCommit func(m greenroom.Meeting)) (store.Store, func() error)
		shared  bool
		others  int
	}{
		"Memory": {memory, false, 0}, "SQLite": {sqlite, false, 0},
		"ReplicasInMemory": {memory, true, 2}, "ReplicasOnPostgreSQL": {postgres, true, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			late := time.Duration(0)
			if c.shared { // what was learned by looking is answered within a spread, so that one process answers
				late = 800 * time.Millisecond
			}
			schedulertest.Run(t, schedulertest.Options{
				Prepare: func(t *testing.T) func(t *testing.T, c schedulertest.Conditions) schedulertest.World {
					open := c.prepare(t)
					return func(t *testing.T, conditions schedulertest.Conditions) schedulertest.World {
						return &world{t: t, c: conditions, shared: c.shared, open: open()}
					}
				},
				// A wake that another process saved is looked for when it is two seconds late, each second, and answered within one more.
				Others: c.others, Late: late, Found: 5 * time.Second, Retry: time.Minute,
			})
		})
	}
}
