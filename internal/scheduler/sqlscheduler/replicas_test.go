package sqlscheduler_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/testenv/pgtest"
)

// The process that saved is dead, and the replica that is left has not looked: River's job, made with the save, rings there.
func TestSecondBellRingsOnAnotherReplica(t *testing.T) {
	t.Parallel()
	o := rigOptions{url: pgtest.Start(t)}
	first, second := openRig(t, o), openRig(t, o)
	second.scheduler.Store = blind{second.store}
	passes := make(chan string, 10)
	second.advance = quietly(second, passes)
	second.start(t)
	m := first.create(t, wakingIn(time.Second))
	first.stop(t) // its alarm rings no more
	receive(t, passes, m.ID)
}

// A replica says that it serves before its scheduler runs: a database that goes away in between does not end it, and its second
// bell rings once the database is back.
func TestEngineWaitsForADatabaseThatWentAway(t *testing.T) {
	t.Parallel()
	server := pgtest.NewServer(t)
	r := openRig(t, rigOptions{url: server.NewDatabase(t), deaf: true})
	const wanted = "the second bell cannot be started yet"
	refused := make(chan string, 1)
	r.scheduler.Logger = slog.New(listens{wanted, refused})
	r.scheduler.Store = blind{r.store}
	passes := make(chan string, 10)
	r.advance = quietly(r, passes)
	m := r.create(t, wakingIn(-time.Hour))
	server.Stop()
	r.start(t)
	receive(t, refused, wanted)
	server.Run(t)
	receive(t, passes, m.ID)
}

// listens hears one message of a log, and passes it on if somebody waits for it.
type listens struct {
	message string
	heard   chan<- string
}

func (listens) Enabled(context.Context, slog.Level) bool { return true }

func (l listens) Handle(_ context.Context, r slog.Record) error {
	if r.Message == l.message {
		select {
		case l.heard <- r.Message:
		default:
		}
	}
	return nil
}

func (l listens) WithAttrs([]slog.Attr) slog.Handler { return l }
func (l listens) WithGroup(string) slog.Handler      { return l }

// Replicas that start at once migrate once, and between them they answer every wake. No job is left for a meeting
// that is over.
func TestReplicasShareTheWork(t *testing.T) {
	t.Parallel()
	o := rigOptions{url: pgtest.Start(t)}
	replicas := make([]*rig, 3)
	var opening sync.WaitGroup
	for i := range replicas {
		opening.Go(func() { replicas[i] = openRig(t, o) })
	}
	opening.Wait()
	if t.Failed() {
		return
	}
	var mu sync.Mutex
	ended := map[string]bool{}
	for _, r := range replicas {
		r.advance = func(ctx context.Context, id string) error {
			m, err := r.store.Meeting(ctx, id)
			if err != nil || m.Closed {
				return err
			}
			m.Closed = true
			if _, err = r.store.Update(ctx, m, []greenroom.Event{{At: time.Now(), Kind: greenroom.EventEnded}}); err == nil {
				mu.Lock()
				defer mu.Unlock()
				ended[id] = true
			}
			return err
		}
		r.start(t)
	}
	const n = 60
	for i := range n {
		replicas[i%len(replicas)].create(t, wakingIn(time.Duration(i%10)*50*time.Millisecond))
	}
	eventually(t, "all meetings are over", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(ended) == n
	})
	eventually(t, "no job is left", func() bool { return len(jobs(t, replicas[0].store)) == 0 })
	var leaders int
	eventually(t, "one replica leads River's upkeep", func() bool {
		return replicas[1].store.DB().QueryRowContext(t.Context(), `select count(*) from river_leader`).Scan(&leaders) == nil && leaders == 1
	})
}

func TestPostgreSQLHasTheIndexOfWhatIsDue(t *testing.T) {
	t.Parallel()
	r := openRig(t, rigOptions{url: pgtest.Start(t)})
	var valid bool
	err := r.store.DB().QueryRowContext(t.Context(), `select i.indisvalid and pg_get_expr(i.indpred, i.indrelid) <> '' from pg_index i where indexrelid = 'greenroom_jobs_due'::regclass`).Scan(&valid)
	if err != nil || !valid {
		t.Errorf("the index is valid and partial: %v, %v", valid, err)
	}
}
