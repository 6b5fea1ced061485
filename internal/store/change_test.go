package store_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"greenroom"
	"greenroom/internal/store"
	"greenroom/internal/store/memstore"
	"greenroom/internal/store/storetest"
)

var begins = time.Date(2026, 12, 1, 15, 0, 0, 0, time.UTC)

func created(t *testing.T) (*memstore.Store, greenroom.Meeting) {
	t.Helper()
	s := memstore.New()
	m, _, err := s.Create(t.Context(), storetest.Meeting(begins), nil, store.Idempotency{})
	if err != nil {
		t.Fatal(err)
	}
	return s, m
}

// rude saves the meeting itself before each of the first times that somebody else does.
type rude struct {
	*memstore.Store
	times  int
	before func()
}

func (r *rude) Update(ctx context.Context, m greenroom.Meeting, events []greenroom.Event) (greenroom.Meeting, error) {
	ctx = context.WithoutCancel(ctx) // this store answers all the same
	if r.times > 0 {
		r.times--
		if r.before != nil {
			r.before()
		}
		if now, err := r.Meeting(ctx, m.ID); err != nil {
			return m, err
		} else if _, err := r.Store.Update(ctx, now, nil); err != nil {
			return m, err
		}
	}
	return r.Store.Update(ctx, m, events)
}

func title(s string) func(*greenroom.Meeting) ([]greenroom.Event, error) {
	return func(m *greenroom.Meeting) ([]greenroom.Event, error) {
		m.Title += s
		return []greenroom.Event{{At: begins, Kind: greenroom.EventChanged, Message: m.Title}}, nil
	}
}

func TestChangeLosesNothing(t *testing.T) {
	t.Parallel()
	s, m := created(t)
	const writers = 8
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			_, err := store.Change(t.Context(), s, m.ID, title(strconv.Itoa(i)))
			if err != nil {
				t.Errorf("writer %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	got, err := s.Meeting(t.Context(), m.ID)
	if err != nil || len(got.Title) != len(m.Title)+writers || got.Rev != m.Rev+writers {
		t.Errorf("after %d changes the title is %q at revision %d: %v", writers, got.Title, got.Rev, err)
	}
}

func TestChangeBeginsAgainFromWhatIsStored(t *testing.T) {
	t.Parallel()
	s, m := created(t)
	calls := 0
	got, err := store.ChangeFrom(t.Context(), &rude{Store: s, times: 3}, m, func(n *greenroom.Meeting) ([]greenroom.Event, error) {
		if want := m.Rev + int64(calls); n.Rev != want || n.Title != m.Title {
			t.Errorf("call %d sees revision %d with the title %q, want %d with %q", calls, n.Rev, n.Title, want, m.Title)
		}
		calls++
		return title("!")(n)
	})
	if err != nil || calls != 4 || got.Title != m.Title+"!" {
		t.Errorf("%d calls, title %q: %v", calls, got.Title, err)
	}
	events, err := s.Events(t.Context(), m.ID, 0, 100)
	if err != nil || len(events) != 1 {
		t.Errorf("a change that was begun four times is told %d times: %v", len(events), err)
	}
}

func TestChangeFromLeavesTheCallersMeeting(t *testing.T) {
	t.Parallel()
	s, m := created(t)
	before := m.Clone()
	if _, err := store.ChangeFrom(t.Context(), s, m, func(n *greenroom.Meeting) ([]greenroom.Event, error) {
		n.Seats[0].Name, n.Title = "changed", "changed"
		return nil, nil
	}); err != nil {
		t.Fatal(err)
	}
	if m.Title != before.Title || m.Seats[0].Name != before.Seats[0].Name {
		t.Errorf("the caller's meeting was changed: %q, %q", m.Title, m.Seats[0].Name)
	}
}

func TestChangeIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // it pauses between tries
		s, m := created(t)
		r := &rude{Store: s, times: 10 * store.MaxRaces}
		calls := 0
		_, err := store.Change(t.Context(), r, m.ID, func(*greenroom.Meeting) ([]greenroom.Event, error) { calls++; return nil, nil })
		if !errors.Is(err, greenroom.ErrConflict) || calls != store.MaxRaces {
			t.Errorf("%d tries, %v", calls, err)
		}
	})
}

func TestChangeEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s, m := created(t)
	gone := errors.New("the caller is gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	calls := 0
	_, err := store.Change(ctx, &rude{Store: s, times: store.MaxRaces, before: func() { cancel(gone) }}, m.ID,
		func(*greenroom.Meeting) ([]greenroom.Event, error) { calls++; return nil, nil })
	if !errors.Is(err, gone) || calls != 1 {
		t.Errorf("%d tries, %v", calls, err)
	}
}

func TestChangeThatIsNone(t *testing.T) {
	t.Parallel()
	s, m := created(t)
	for name, c := range map[string]struct{ say, want error }{"unchanged": {store.ErrUnchanged, nil}, "refused": {greenroom.ErrForbidden, greenroom.ErrForbidden}} {
		got, err := store.Change(t.Context(), s, m.ID, func(n *greenroom.Meeting) ([]greenroom.Event, error) {
			n.Title = "as it was left"
			return nil, c.say
		})
		if !errors.Is(err, c.want) || got.Title != "as it was left" {
			t.Errorf("%s: %q, %v", name, got.Title, err)
		}
	}
	if now, err := s.Meeting(t.Context(), m.ID); err != nil || now.Rev != m.Rev {
		t.Errorf("revision %d was saved: %v", now.Rev, err)
	}
	if _, err := store.Change(t.Context(), s, "nosuchmeeting", title("")); !errors.Is(err, greenroom.ErrNotFound) {
		t.Errorf("no such meeting: %v", err)
	}
}
