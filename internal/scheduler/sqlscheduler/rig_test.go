package sqlscheduler_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/scheduler/sqlscheduler"
	"greenroom/internal/store"
	"greenroom/internal/store/sqlstore"
	"greenroom/internal/testenv/pgtest"
)

// rig is a store in a file and a scheduler on it, put together as the program does.
type rig struct {
	store     *sqlstore.Store
	scheduler *sqlscheduler.Scheduler
	advance   func(ctx context.Context, id string) error // set before start

	cancel context.CancelFunc
	ended  chan error
}

type rigOptions struct {
	path     string // of SQLite; a temporary one if empty
	url      string // of PostgreSQL; goes before path
	deaf     bool   // the alarm is not told of commits
	lateness func(time.Duration)
}

func openRig(t testing.TB, o rigOptions) *rig {
	t.Helper()
	if o.path == "" {
		o.path = filepath.Join(t.TempDir(), "greenroom.db")
	}
	wakes := sqlscheduler.NewWakes()
	so := sqlstore.Options{Path: o.path, URL: o.url, OnCommit: wakes.Committed}
	if o.deaf {
		so.OnCommit = nil
	}
	r := &rig{ended: make(chan error, 1)}
	var err error
	if r.store, err = sqlstore.Open(t.Context(), so); err != nil {
		t.Fatal(err)
	}
	r.scheduler = sqlscheduler.New(sqlscheduler.Options{
		Wakes: wakes, Store: r.store, Logger: slog.New(slog.DiscardHandler), Lateness: o.lateness,
		Advance: func(ctx context.Context, id string) error { return r.advance(ctx, id) },
	})
	t.Cleanup(func() { r.stop(t) })
	return r
}

func (r *rig) start(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r.cancel = cancel
	go func() { r.ended <- r.scheduler.Run(ctx) }()
}

// stop ends the scheduler, if it runs, and the store. It may be called again.
func (r *rig) stop(t testing.TB) {
	t.Helper()
	if r.cancel != nil {
		r.cancel()
		r.cancel = nil
		if err := <-r.ended; err != nil {
			t.Error(err)
		}
	}
	if err := r.store.Close(); err != nil {
		t.Error(err)
	}
}

func (r *rig) create(t testing.TB, m greenroom.Meeting) greenroom.Meeting {
	t.Helper()
	created, _, err := r.store.Create(context.WithoutCancel(t.Context()), m, nil, store.Idempotency{})
	if err != nil {
		t.Error(err)
	}
	return created
}

// onEach runs a test on every database: two rigs opened with the same options are on the same one.
func onEach(t *testing.T, test func(t *testing.T, o rigOptions)) {
	t.Helper()
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		test(t, rigOptions{path: filepath.Join(t.TempDir(), "greenroom.db")})
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		test(t, rigOptions{url: pgtest.Start(t)})
	})
}
