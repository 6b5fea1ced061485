package observe

import (
	"context"

	"greenroom"
	"greenroom/internal/store"
)

// Store is a store whose changes are seen: those of people and desktops, which move no desktop to another phase.
type Store struct {
	store.Store
	Saves Saves
}

// Create implements store.Store.
func (s Store) Create(ctx context.Context, m greenroom.Meeting, events []greenroom.Event, idem store.Idempotency) (greenroom.Meeting, bool, error) {
	saved, created, err := s.Store.Create(ctx, m, events, idem)
	if err == nil && created {
		s.Saves(ctx, Saved{Meeting: saved, Events: events})
	}
	return saved, created, err
}

// Update implements store.Store.
func (s Store) Update(ctx context.Context, m greenroom.Meeting, events []greenroom.Event) (greenroom.Meeting, error) {
	saved, err := s.Store.Update(ctx, m, events)
	if err == nil && len(events) > 0 {
		s.Saves(ctx, Saved{Meeting: saved, Events: events})
	}
	return saved, err
}
