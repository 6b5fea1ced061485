package storetest

import (
	"slices"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/store"
)

func createThenGet(t *testing.T, s store.Store) {
	m := Meeting(start)
	created := create(t, s, m)
	m.Rev = 1
	same(t, "created", m, created)
	same(t, "read", m, get(t, s, m.ID))
}

func createTwiceConflicts(t *testing.T, s store.Store) {
	m := create(t, s, Meeting(start))
	again := m.Clone()
	again.Title = "Another"
	_, isNew, err := s.Create(t.Context(), again, []greenroom.Event{event(greenroom.EventScheduled, start)}, store.Idempotency{})
	wantKind(t, err, greenroom.ErrConflict)
	if isNew {
		t.Error("the second is new")
	}
	same(t, "the first", m, get(t, s, m.ID))
	if events, _ := s.Events(t.Context(), m.ID, 0, 10); len(events) != 0 {
		t.Errorf("the second left events: %v", events)
	}
}

func idempotencyKeyReturnsTheFirst(t *testing.T, s store.Store) {
	key := store.Idempotency{Key: "k", Fingerprint: "f", At: start}
	first, _, err := s.Create(t.Context(), Meeting(start), nil, key)
	if err != nil {
		t.Fatal(err)
	}
	first.Title = "As it is now"
	first = update(t, s, first)
	other := Meeting(start)
	got, isNew, err := s.Create(t.Context(), other, nil, key)
	if err != nil || isNew {
		t.Fatalf("second call: new %v, %v", isNew, err)
	}
	same(t, "second call", first, got)
	found, err := s.First(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "what the key made", first, found)
	_, err = s.First(t.Context(), store.Idempotency{Key: "another", Fingerprint: "f"})
	wantKind(t, err, greenroom.ErrNotFound)
	_, err = s.First(t.Context(), store.Idempotency{Key: "k", Fingerprint: "g"})
	wantKind(t, err, greenroom.ErrConflict)
	_, err = s.Meeting(t.Context(), other.ID)
	wantKind(t, err, greenroom.ErrNotFound)
}

func idempotencyKeyForAnotherRequestConflicts(t *testing.T, s store.Store) {
	if _, _, err := s.Create(t.Context(), Meeting(start), nil, store.Idempotency{Key: "k", Fingerprint: "f", At: start}); err != nil {
		t.Fatal(err)
	}
	other := Meeting(start)
	_, isNew, err := s.Create(t.Context(), other, nil, store.Idempotency{Key: "k", Fingerprint: "g", At: start})
	wantKind(t, err, greenroom.ErrConflict)
	if isNew {
		t.Error("the second is new")
	}
	_, err = s.Meeting(t.Context(), other.ID)
	wantKind(t, err, greenroom.ErrNotFound)
}

func failedCreateLeavesTheKeyFree(t *testing.T, s store.Store) {
	taken := create(t, s, Meeting(start))
	key := store.Idempotency{Key: "k", Fingerprint: "f", At: start}
	_, _, err := s.Create(t.Context(), taken, nil, key)
	wantKind(t, err, greenroom.ErrConflict)
	if _, isNew, err := s.Create(t.Context(), Meeting(start), nil, key); err != nil || !isNew {
		t.Errorf("after the failure: new %v, %v", isNew, err)
	}
}

func manyCallersOneKeyOneMeeting(t *testing.T, s store.Store) {
	const callers = 32
	ids, fresh := make([]string, callers), make([]bool, callers)
	crowd(callers, func(i int) {
		m, isNew, err := s.Create(t.Context(), Meeting(start), nil, store.Idempotency{Key: "k", Fingerprint: "f", At: start})
		if err != nil {
			t.Error(err)
		}
		ids[i], fresh[i] = m.ID, isNew
	})
	if n := len(slices.Compact(slices.Sorted(slices.Values(ids)))); n != 1 {
		t.Errorf("%d meetings came back, want one", n)
	}
	if n := len(slices.DeleteFunc(fresh, func(b bool) bool { return !b })); n != 1 {
		t.Errorf("%d callers were told that theirs is new, want one", n)
	}
	all, _, err := s.List(t.Context(), store.Filter{})
	if err != nil || len(all) != 1 {
		t.Errorf("%d meetings exist, want one; %v", len(all), err)
	}
}

func forgetDropsKeysOnly(t *testing.T, s store.Store) {
	old := store.Idempotency{Key: "old", Fingerprint: "f", At: start}
	young := store.Idempotency{Key: "young", Fingerprint: "f", At: start.Add(time.Hour)}
	for _, key := range []store.Idempotency{old, young} {
		if _, _, err := s.Create(t.Context(), Meeting(start), nil, key); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Forget(t.Context(), young.At); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[store.Idempotency]bool{old: true, young: false} {
		if _, isNew, err := s.Create(t.Context(), Meeting(start), nil, key); err != nil || isNew != want {
			t.Errorf("key %s: new %v, want %v; %v", key.Key, isNew, want, err)
		}
	}
	all, _, err := s.List(t.Context(), store.Filter{})
	if err != nil || len(all) != 3 {
		t.Errorf("%d meetings, want 3; %v", len(all), err)
	}
}
