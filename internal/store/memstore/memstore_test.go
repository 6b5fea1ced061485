package memstore_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"greenroom/internal/store"
	"greenroom/internal/store/memstore"
	"greenroom/internal/store/storetest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) store.Store { return memstore.New() })
}

func TestWakesAreTold(t *testing.T) {
	t.Parallel()
	s := memstore.New()
	var told []store.Wake
	s.OnWake = func(w store.Wake) { told = append(told, w) }
	m, _, err := s.Create(t.Context(), storetest.Meeting(time.Now().UTC().Truncate(time.Second)), nil, store.Idempotency{})
	if err != nil {
		t.Fatal(err)
	}
	want := []store.Wake{{Meeting: m.ID, At: m.WakeAt}, {Meeting: m.ID}}
	m.Closed = true
	if _, err := s.Update(t.Context(), m, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Update(t.Context(), m, nil); err == nil {
		t.Error("a stale update succeeded")
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Error(diff)
	}
}

func TestWhatWasPeekedAtStays(t *testing.T) {
	t.Parallel()
	s := memstore.New()
	m, _, err := s.Create(t.Context(), storetest.Meeting(time.Now().UTC().Truncate(time.Second)), nil, store.Idempotency{})
	if err != nil {
		t.Fatal(err)
	}
	peeked, want := s.Peek(m.ID), m.Clone()
	m.Seats[0].Name = "another"
	clear(m.Seats[0].Desktop.Timings)
	if _, err := s.Update(t.Context(), m, nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, peeked); diff != "" {
		t.Error(diff)
	}
	if now := s.Peek(m.ID); now.Rev != 2 || now.Seats[0].Name != "another" {
		t.Errorf("after the save: revision %d, %q", now.Rev, now.Seats[0].Name)
	}
}

func BenchmarkStore(b *testing.B) {
	storetest.Bench(b, func(*testing.B) store.Store { return memstore.New() })
}
