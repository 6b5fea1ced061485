package pgnotify_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"greenroom/internal/notify/pgnotify"
	"greenroom/internal/testenv/pgtest"
)

// patience is long enough for a loaded machine.
const patience = 30 * time.Second

// replica is a channel with what it has heard.
type replica struct {
	*pgnotify.Channel
	mu     sync.Mutex
	heard  map[string]int64
	missed int
	stop   context.CancelFunc
}

func start(t *testing.T, url string) *replica {
	t.Helper()
	r := &replica{heard: map[string]int64{}}
	r.Channel = pgnotify.New(pgnotify.Options{Dial: func(ctx context.Context) (*pgx.Conn, error) { return pgx.Connect(ctx, url) }, Logger: slog.New(slog.DiscardHandler),
		Hear: func(h pgnotify.Hint) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.heard[h.Meeting] = max(r.heard[h.Meeting], h.Rev)
		},
		Missed: func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.missed++
		}})
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = r.Run(ctx)
	}()
	r.stop = func() { cancel(); <-ended }
	t.Cleanup(r.stop)
	r.until(t, "listen", func() bool { return r.missed > 0 })
	return r
}

// until waits for what the replica will know.
func (r *replica) until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); ; {
		r.mu.Lock()
		ok := holds()
		r.mu.Unlock()
		if ok {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("waited %s in vain: %s", patience, what)
		}
		time.Sleep(5 * time.Millisecond) // between two looks
	}
}

func TestHintsReachTheOthers(t *testing.T) {
	t.Parallel()
	url := pgtest.Start(t)
	a, b, c := start(t, url), start(t, url), start(t, url)
	const many = 2000 // more than one message holds
	for i := range many {
		a.Tell(pgnotify.Hint{Meeting: fmt.Sprint("meeting-", i), Rev: int64(i + 1)})
	}
	a.Tell(pgnotify.Hint{Meeting: "meeting-0", Rev: 7})
	a.Tell(pgnotify.Hint{})
	for _, r := range []*replica{b, c} {
		r.until(t, "every hint, the zone's too", func() bool {
			return len(r.heard) == many+1 && r.heard["meeting-0"] == 7 && r.heard["meeting-1999"] == 2000
		})
	}
	if len(a.heard) != 0 {
		t.Errorf("a replica heard itself: %v", a.heard)
	}
}

// TestForeignPayloads sends what no replica sends: it is left alone, and what follows is heard.
func TestForeignPayloads(t *testing.T) {
	t.Parallel()
	url := pgtest.Start(t)
	a := start(t, url)
	pgtest.Exec(t, url, `select pg_notify('greenroom', '')`, `select pg_notify('greenroom', 'x a b:c d: :e')`, `select pg_notify('greenroom', 'someone m:3')`)
	a.until(t, "the good hint", func() bool { return a.heard["m"] == 3 })
	if len(a.heard) != 1 {
		t.Errorf("heard %v", a.heard)
	}
}

// TestDatabaseRestarts kills the server: both ends come back, say that they may have missed something, and hear again.
func TestDatabaseRestarts(t *testing.T) {
	t.Parallel()
	server := pgtest.NewServer(t)
	url := server.NewDatabase(t)
	a, b := start(t, url), start(t, url)
	server.Stop()
	server.Run(t)
	b.until(t, "listen again", func() bool { return b.missed > 1 })
	b.until(t, "a hint after the restart", func() bool {
		a.Tell(pgnotify.Hint{Meeting: "after", Rev: 1}) // one may be lost with the old connection
		return b.heard["after"] == 1
	})
}
