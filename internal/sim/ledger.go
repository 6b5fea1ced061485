package sim

import (
	"context"
	"fmt"
	"slices"
	"time"

	"greenroom"
	"greenroom/internal/store"
)

// ledger is a process's view of the store, which is the real one in memory: every call takes a moment, and may fail
// before or after the write took effect.
type ledger struct{ l *life }

const (
	before = "store error before the effect"
	after  = "store error after the effect"
)

func (s *ledger) unavailable(fault string) error {
	if s.l.hit(s.l.rates.Store, fault) {
		s.l.cur.sleep(s.l.between(0, time.Second))
		return fmt.Errorf("the database does not answer: %w", greenroom.ErrUnavailable)
	}
	return nil
}

func (s *ledger) Create(ctx context.Context, m greenroom.Meeting, events []greenroom.Event, idem store.Idempotency) (greenroom.Meeting, bool, error) {
	s.l.call()
	if err := s.unavailable(before); err != nil {
		return m, false, err
	}
	b := s.l.cur.book
	s.l.byID[m.ID] = b
	saved, created, err := s.l.store.Create(ctx, m, events, idem)
	if err != nil || !created {
		delete(s.l.byID, m.ID)
	} else if b.id != "" {
		s.l.fail("meeting %s was made a second time, as %s", b.id, m.ID)
	} else {
		b.id = m.ID
		s.l.committed(b, events)
	}
	s.l.call()
	if err2 := s.unavailable(after); err == nil && err2 != nil {
		return m, false, err2
	}
	return saved, created, err
}

func (s *ledger) First(ctx context.Context, idem store.Idempotency) (greenroom.Meeting, error) {
	s.l.call()
	return s.l.store.First(ctx, idem)
}

func (s *ledger) Meeting(ctx context.Context, id string) (greenroom.Meeting, error) {
	s.l.call()
	if err := s.unavailable(before); err != nil {
		return greenroom.Meeting{}, err
	}
	return s.l.store.Meeting(ctx, id)
}

func (s *ledger) Update(ctx context.Context, m greenroom.Meeting, events []greenroom.Event) (greenroom.Meeting, error) {
	s.l.call()
	if err := s.unavailable(before); err != nil {
		return m, err
	}
	saved, err := s.l.store.Update(ctx, m, events)
	if err == nil {
		s.l.committed(s.l.byID[m.ID], events)
	}
	s.l.call()
	if err2 := s.unavailable(after); err == nil && err2 != nil {
		return m, err2
	}
	return saved, err
}

func (s *ledger) List(ctx context.Context, f store.Filter) ([]greenroom.Meeting, string, error) {
	s.l.call()
	if err := s.unavailable(before); err != nil {
		return nil, "", err
	}
	return s.l.store.List(ctx, f)
}

// Live hands out one meeting at a time: a world has few, and faults happen between two pages.
func (s *ledger) Live(ctx context.Context, cursor string) ([]greenroom.Meeting, string, error) {
	s.l.call()
	if s.l.hit(s.l.rates.Torn, "torn reading") {
		s.l.untilTurn(10 * time.Minute)
	}
	if err := s.unavailable(before); err != nil {
		return nil, "", err
	}
	page, _, err := s.l.store.Live(ctx, cursor)
	if s.l.hit(s.l.rates.LateIndex, "late index") {
		page = slices.DeleteFunc(page, func(m greenroom.Meeting) bool { return s.l.now-s.l.byID[m.ID].live < 3*time.Second })
	}
	if len(page) < 2 {
		return page, "", err
	}
	return page[:1], page[0].ID, nil
}

func (s *ledger) Events(ctx context.Context, id string, after int64, limit int) ([]greenroom.Event, error) {
	s.l.call()
	return s.l.store.Events(ctx, id, after, limit)
}

// RecentEvents does not wait: the use cases call it under a lock.
func (s *ledger) RecentEvents(ctx context.Context, kind greenroom.EventKind, limit int) ([]greenroom.Event, error) {
	return s.l.store.RecentEvents(ctx, kind, limit)
}

// Forget drops nothing: a life is shorter than the memory of idempotency keys.
func (s *ledger) Forget(context.Context, time.Time) error { return nil }

func (s *ledger) Due(ctx context.Context, before time.Time, limit int) ([]store.Wake, error) {
	s.l.call()
	return s.l.store.Due(ctx, before, limit)
}
