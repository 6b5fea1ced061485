package advance

import (
	"context"
	"errors"
	"maps"
	"slices"

	"greenroom"
	"greenroom/internal/store"
)

// orphans are machines or names that belong to no desktop, by id, with the desktop that they were made for as far as that is known.
type orphans map[string]greenroom.Handle

func (o orphans) ids() []string { return slices.Sorted(maps.Keys(o)) }

// What orphans are called, here and in the log.
func machineOf(id string) string { return "instance " + id }
func nameOf(name string) string  { return "record " + name }

// tell puts on their meetings' timelines that orphans were removed, of each once.
func (s *Sweeper) tell(ctx context.Context, removed orphans, what func(string) string, seen map[string]bool) error {
	var errs []error
	for _, id := range removed.ids() {
		h, name := removed[id], what(id)
		if h.Meeting == "" || seen[name] {
			continue
		}
		err := s.tellOf(ctx, h, name)
		if seen[name] = err == nil; err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// tellOf adds one entry. A meeting that the store does not know has no timeline.
func (s *Sweeper) tellOf(ctx context.Context, h greenroom.Handle, what string) error {
	event := greenroom.Event{
		At: s.Now().UTC(), Kind: greenroom.EventSweptInstance, Seat: h.Seat, Attempt: h.Attempt,
		Message: "The sweep removed what belongs to no desktop any more: " + what + ".", Data: map[string]string{"what": what},
	}
	_, err := store.Change(ctx, s.Store, h.Meeting, func(*greenroom.Meeting) ([]greenroom.Event, error) {
		return []greenroom.Event{event}, nil
	})
	if errors.Is(err, greenroom.ErrNotFound) {
		return nil
	}
	return err
}
