package sqlstore

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/store"
)

func TestCancelledWhileQueuedIsSkipped(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), Options{Path: filepath.Join(t.TempDir(), "greenroom.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	until := func(what string, ok func() bool) {
		t.Helper()
		for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("still not: %s", what)
			}
		}
	}
	create := func(ctx context.Context, id string) chan error {
		answer := make(chan error, 1)
		go func() {
			_, _, err := s.Create(ctx, greenroom.Meeting{ID: id}, nil, store.Idempotency{})
			answer <- err
		}()
		return answer
	}

	held, err := s.writer.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	taken := create(ctx, "taken")
	until("the writer has the first and waits", func() bool { return s.writer.Stats().WaitCount > 0 })
	queued, patient := create(ctx, "queued"), create(t.Context(), "patient")
	until("two are queued", func() bool { return len(s.queue) == 2 })
	cancel()
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}

	for id, answer := range map[string]chan error{"taken": taken, "queued": queued} {
		if err := <-answer; !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", id, err)
		}
		if _, err := s.Meeting(t.Context(), id); !errors.Is(err, greenroom.ErrNotFound) {
			t.Errorf("%s was written: %v", id, err)
		}
	}
	if err := <-patient; err != nil {
		t.Error(err)
	}
}

// TestNobodyIsToldOfAnothersFault lets a transaction run out of time in the moment in which one of its writes finds that it is
// too late. That is this write's own; the others have a database that does not answer.
func TestNobodyIsToldOfAnothersFault(t *testing.T) {
	t.Parallel()
	for _, fault := range []error{greenroom.ErrConflict, greenroom.ErrNotFound, errors.New("a fault of no kind")} {
		t.Run(fault.Error(), func(t *testing.T) {
			t.Parallel()
			s, err := Open(t.Context(), Options{Path: filepath.Join(t.TempDir(), "greenroom.db")})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
			hurried := *s.dialect
			hurried.batchTime = 50 * time.Millisecond
			s.dialect = &hurried
			batch := []*write{
				{ctx: t.Context(), what: "another", run: func(ctx context.Context, _ *turn) error {
					<-ctx.Done()
					return fault
				}},
				{ctx: t.Context(), what: "mine", run: func(context.Context, *turn) error { return nil }},
			}
			if err := s.commit(batch, nil); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, fault) {
				t.Errorf("everybody was told %v", err)
			}
		})
	}
}
