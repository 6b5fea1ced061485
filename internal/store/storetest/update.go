package storetest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/store"
)

func missingIsNotFound(t *testing.T, s store.Store) {
	create(t, s, Meeting(start))
	nobody := Meeting(start)
	_, err := s.Meeting(t.Context(), nobody.ID)
	wantKind(t, err, greenroom.ErrNotFound)
	nobody.Rev = 1
	_, err = s.Update(t.Context(), nobody, nil)
	wantKind(t, err, greenroom.ErrNotFound)
	_, err = s.Events(t.Context(), nobody.ID, 0, 10)
	wantKind(t, err, greenroom.ErrNotFound)
}

func updateThenGet(t *testing.T, s store.Store) {
	m := create(t, s, Meeting(start))
	m.Title, m.Version, m.StartsAt = "Geometry", 2, start.Add(time.Minute)
	m.Seats[0].Desktop.Timings[greenroom.Launching] = start
	updated := update(t, s, m)
	m.Rev++
	same(t, "updated", m, updated)
	same(t, "read", m, get(t, s, m.ID))
}

func staleUpdateConflicts(t *testing.T, s store.Store) {
	old := create(t, s, Meeting(start), event(greenroom.EventScheduled, start))
	stale := old.Clone()
	old.Title = "Newer"
	current := update(t, s, old)
	stale.Title, stale.WakeAt = "Stale", start.Add(-time.Hour)
	for _, rev := range []int64{stale.Rev, current.Rev + 1, 0} {
		stale.Rev = rev
		_, err := s.Update(t.Context(), stale, []greenroom.Event{event(greenroom.EventChanged, start)})
		wantKind(t, err, greenroom.ErrConflict)
	}
	same(t, "read", current, get(t, s, current.ID))
	events, err := s.Events(t.Context(), current.ID, 0, 10)
	if err != nil || len(events) != 1 {
		t.Errorf("%d events, want the first alone; %v", len(events), err)
	}
	due, err := s.Due(t.Context(), start.Add(time.Hour), 10)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "due", []store.Wake{{Meeting: current.ID, At: current.WakeAt}}, due)
}

func oneOfManyUpdatesWins(t *testing.T, s store.Store) {
	const writers, rounds = 16, 8
	m := create(t, s, Meeting(start))
	for range rounds {
		var mu sync.Mutex
		var winners []greenroom.Meeting
		crowd(writers, func(i int) {
			mine := m.Clone()
			mine.Title = fmt.Sprint("writer ", i)
			updated, err := s.Update(t.Context(), mine, nil)
			switch {
			case err == nil:
				mu.Lock()
				defer mu.Unlock()
				winners = append(winners, updated)
			case !errors.Is(err, greenroom.ErrConflict):
				t.Error(err)
			}
		})
		if len(winners) != 1 {
			t.Fatalf("%d writers won, want one", len(winners))
		}
		same(t, "read", winners[0], get(t, s, m.ID))
		m = winners[0]
	}
}

// readsSeeEveryAnsweredWrite would catch a cache that a slow reader fills with what was true before.
func readsSeeEveryAnsweredWrite(t *testing.T, s store.Store) {
	m := create(t, s, Meeting(start))
	id := m.ID
	ctx, cancel := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	defer readers.Wait() // also where a write fails
	defer cancel()
	for range 8 {
		readers.Go(func() {
			var last int64
			for ctx.Err() == nil {
				got, err := s.Meeting(t.Context(), id)
				if err != nil || got.Rev < last {
					t.Errorf("revision %d after %d, %v", got.Rev, last, err)
					return
				}
				last = got.Rev
			}
		})
	}
	for range 200 {
		m = update(t, s, m)
		if got := get(t, s, m.ID); got.Rev != m.Rev {
			t.Errorf("revision %d was answered, %d is read", m.Rev, got.Rev)
			break
		}
	}
}

func cancelledContextWritesNothing(t *testing.T, s store.Store) {
	m := create(t, s, Meeting(start))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	other := Meeting(start)
	if _, _, err := s.Create(ctx, other, nil, store.Idempotency{Key: "k", Fingerprint: "f", At: start}); !errors.Is(err, context.Canceled) {
		t.Errorf("create: %v", err)
	}
	changed := m.Clone()
	changed.Title = "Changed"
	if _, err := s.Update(ctx, changed, []greenroom.Event{event(greenroom.EventChanged, start)}); !errors.Is(err, context.Canceled) {
		t.Errorf("update: %v", err)
	}
	if err := s.PutRecords(ctx, []store.Record{{Name: "a.example", Address: netip.MustParseAddr("127.0.0.1")}}); !errors.Is(err, context.Canceled) {
		t.Errorf("put records: %v", err)
	}
	_, err := s.Meeting(t.Context(), other.ID)
	wantKind(t, err, greenroom.ErrNotFound)
	same(t, "read", m, get(t, s, m.ID))
	if records, err := s.Records(t.Context()); err != nil || len(records) != 0 {
		t.Errorf("records: %v, %v", records, err)
	}
}
