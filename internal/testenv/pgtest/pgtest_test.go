package pgtest_test

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"greenroom/internal/testenv/pgtest"
)

func open(t *testing.T, url string) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func TestServerIsRestartedPausedAndKilled(t *testing.T) {
	t.Parallel()
	s := pgtest.NewServer(t)
	db := open(t, s.NewDatabase(t))
	if _, err := db.Exec("create table kept (n int)"); err != nil {
		t.Fatal(err)
	}
	answers := func(within time.Duration) bool {
		ctx, cancel := context.WithTimeout(t.Context(), within)
		defer cancel()
		_, err := db.ExecContext(ctx, "insert into kept values (1)")
		return err == nil
	}
	s.Pause()
	if answers(200 * time.Millisecond) {
		t.Error("it answers while it is paused")
	}
	s.Continue()
	if !answers(time.Minute) {
		t.Error("it does not answer after the pause")
	}
	s.Stop()
	if answers(time.Minute) {
		t.Error("it answers though it was killed")
	}
	s.Run(t)
	if !answers(time.Minute) {
		t.Error("it does not answer when it was started again")
	}
	s.Restart(t)
	if !answers(time.Minute) {
		t.Error("it does not answer after a restart")
	}
}

// TestKilledWhileManyConnect kills a server that forks all the time: a child that nobody killed would keep the next one from
// starting.
func TestKilledWhileManyConnect(t *testing.T) {
	t.Parallel()
	s := pgtest.NewServer(t)
	url := s.NewDatabase(t)
	ctx, cancel := context.WithCancel(t.Context())
	var callers sync.WaitGroup
	for range 8 {
		db := open(t, url)
		db.SetMaxIdleConns(-1)
		callers.Go(func() {
			for ctx.Err() == nil {
				_ = db.PingContext(ctx)
			}
		})
	}
	for range 5 {
		s.Stop()
		s.Run(t)
	}
	cancel()
	callers.Wait()
}

func TestNothingIsLeft(t *testing.T) { //nolint:paralleltest // it sets the environment
	dir := t.TempDir()
	for d := dir; d != os.TempDir(); d = filepath.Dir(d) { // the server may run as somebody else
		if err := os.Chmod(d, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("TMPDIR", dir)
	t.Run("Used", func(t *testing.T) { open(t, pgtest.NewServer(t).NewDatabase(t)) })
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left in the temporary directory: %v, %v", left, err)
	}
}

func TestDatabasesAreApart(t *testing.T) {
	t.Parallel()
	one, two := pgtest.Start(t), pgtest.Start(t)
	pgtest.Exec(t, one, "create table t (n int)")
	pgtest.Exec(t, two, "create table t (n int)")
}
