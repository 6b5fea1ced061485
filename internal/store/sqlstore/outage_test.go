package sqlstore_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/store"
	"greenroom/internal/store/sqlstore"
	"greenroom/internal/store/storetest"
	"greenroom/internal/testenv/pgtest"
)

// promptly is how long a call may take while the database is away, with room for a loaded machine.
const promptly = 15 * time.Second

// everybody calls the store from many places at once, and returns the errors and the longest wait.
func everybody(t *testing.T, s *sqlstore.Store, m greenroom.Meeting) (errs map[string]error, longest time.Duration) {
	t.Helper()
	calls := map[string]func() error{
		"read": func() error { _, err := s.Meeting(t.Context(), m.ID); return err },
		"list": func() error { _, _, err := s.List(t.Context(), store.Filter{}); return err },
		"due":  func() error { _, err := s.Due(t.Context(), time.Now(), 10); return err },
		"ping": func() error { return s.Ping(t.Context()) },
	}
	for i := range 700 { // more than the queue and those who wait for it
		calls[fmt.Sprint("create ", i)] = func() error {
			_, _, err := s.Create(t.Context(), storetest.Meeting(time.Now()), nil, store.Idempotency{})
			return err
		}
	}
	errs = map[string]error{}
	began := time.Now()
	var mu sync.Mutex
	var wg sync.WaitGroup
	for name, call := range calls {
		wg.Go(func() {
			err := call()
			mu.Lock()
			defer mu.Unlock()
			errs[name], longest = err, time.Since(began)
		})
	}
	wg.Wait()
	return errs, longest
}

func wantAway(t *testing.T, s *sqlstore.Store, m greenroom.Meeting) {
	t.Helper()
	errs, longest := everybody(t, s, m)
	t.Logf("the last call was answered after %s", longest)
	for name, err := range errs {
		if !errors.Is(err, greenroom.ErrUnavailable) || greenroom.Sentence(err, "") == "" {
			t.Errorf("%s: %v, want one of kind %q with a sentence", name, err, greenroom.ErrUnavailable)
		}
	}
	if longest > promptly {
		t.Errorf("somebody waited for %s", longest)
	}
}

// wantBack wants all calls to work again, by themselves.
func wantBack(t *testing.T, s *sqlstore.Store, m greenroom.Meeting) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); s.Ping(t.Context()) != nil; {
		if time.Now().After(deadline) {
			t.Fatal("it does not come back")
		}
	}
	errs, _ := everybody(t, s, m)
	for name, err := range errs {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOutage(t *testing.T) {
	t.Parallel()
	for name, outage := range map[string]struct {
		begin func(s *pgtest.Server)
		end   func(t *testing.T, s *pgtest.Server)
	}{
		"Frozen": {(*pgtest.Server).Pause, func(_ *testing.T, s *pgtest.Server) { s.Continue() }},
		"Killed": {(*pgtest.Server).Stop, func(t *testing.T, s *pgtest.Server) { s.Run(t) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := pgtest.NewServer(t)
			s := open(t, sqlstore.Options{URL: server.NewDatabase(t)})
			m := create(t, s)
			outage.begin(server)
			wantAway(t, s, m)
			outage.end(t, server)
			wantBack(t, s, m)
		})
	}
}

func TestCallerWhoGivesUpIsToldSo(t *testing.T) {
	t.Parallel()
	server := pgtest.NewServer(t)
	s := open(t, sqlstore.Options{URL: server.NewDatabase(t)})
	m := create(t, s)
	server.Pause()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.Meeting(ctx, m.ID); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, greenroom.ErrUnavailable) {
		t.Errorf("a reader who gave up got %v", err)
	}
	server.Continue()
	if _, err := s.Meeting(t.Context(), m.ID); err != nil {
		t.Error(err)
	}
}

// Everything that was answered is there after the server was killed in the middle of the work, again and again, and
// nothing is there twice.
func TestAnsweredWritesSurviveCrashesOfTheServer(t *testing.T) {
	t.Parallel()
	server := pgtest.NewServer(t)
	s := open(t, sqlstore.Options{URL: server.NewDatabase(t)})
	ctx, cancel := context.WithCancel(t.Context())
	type saver struct {
		meeting greenroom.Meeting
		doubted bool
		saves   int
	}
	savers := make([]saver, 16)
	var wg sync.WaitGroup
	for i := range savers {
		own := &savers[i]
		own.meeting = create(t, s)
		wg.Go(func() {
			for ctx.Err() == nil {
				m := own.meeting.Clone()
				m.WakeAt = m.WakeAt.Add(time.Second)
				saved, err := s.Update(context.WithoutCancel(ctx), m, []greenroom.Event{{At: time.Now(), Kind: greenroom.EventPhase}})
				switch {
				case err == nil:
					own.meeting, own.doubted = saved, false
					own.saves++
				case errors.Is(err, greenroom.ErrUnavailable):
					own.doubted = true
				case errors.Is(err, greenroom.ErrConflict) && own.doubted: // the commit that nobody answered was done
					if saved, err = s.Meeting(t.Context(), m.ID); err == nil {
						if saved.Rev != m.Rev+1 {
							t.Errorf("revision %d became %d", m.Rev, saved.Rev)
							return
						}
						own.meeting, own.doubted = saved, false
					}
				default:
					t.Errorf("save: %v", err)
					return
				}
			}
		})
	}
	for range 3 {
		until := time.Now().Add(700 * time.Millisecond)
		for time.Now().Before(until) {
			_ = s.Ping(t.Context())
		}
		server.Stop()
		server.Run(t)
	}
	server.Restart(t)
	cancel()
	wg.Wait()
	total := 0
	for i := range savers {
		own := &savers[i]
		total += own.saves
		m, err := s.Meeting(t.Context(), own.meeting.ID)
		if err != nil || m.Rev < own.meeting.Rev || m.Rev > own.meeting.Rev+1 || m.Rev != own.meeting.Rev && !own.doubted {
			t.Errorf("answered revision %d, stored %d (doubted %v), %v", own.meeting.Rev, m.Rev, own.doubted, err)
		}
		if events, err := s.Events(t.Context(), m.ID, 0, 1_000_000); err != nil || int64(len(events)) != m.Rev-1 {
			t.Errorf("revision %d with %d events, %v", m.Rev, len(events), err)
		}
	}
	if total < 100 {
		t.Errorf("only %d saves were answered", total)
	}
}
