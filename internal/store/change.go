package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"greenroom"
	"greenroom/internal/backoff"
)

// Meetings is what a change needs of a Store.
type Meetings interface {
	Meeting(ctx context.Context, id string) (greenroom.Meeting, error)
	Update(ctx context.Context, m greenroom.Meeting, events []greenroom.Event) (greenroom.Meeting, error)
}

// MaxRaces bounds how often Change begins again because somebody else saved the meeting meanwhile.
const MaxRaces = 128

// hurried is how often Change begins again without a pause. Who loses more often than that races with many.
const hurried = 4

// ErrUnchanged is returned by a change that finds nothing to save.
var ErrUnchanged = errors.New("unchanged")

// Change loads a meeting, lets f change it, and saves it with the events that f returns; it begins again when somebody else was
// faster. f may be called several times, each time with a meeting of its own, and only what its last call did counts. An error of
// f ends the change and is returned with the meeting as f left it; ErrUnchanged is no error. ErrConflict if others were faster
// MaxRaces times.
func Change(ctx context.Context, s Meetings, id string, f func(*greenroom.Meeting) ([]greenroom.Event, error)) (greenroom.Meeting, error) {
	m, err := s.Meeting(ctx, id)
	if err != nil {
		return m, err
	}
	return change(ctx, s, m, f)
}

// ChangeFrom is Change for who has loaded the meeting already. m stays as it is.
func ChangeFrom(ctx context.Context, s Meetings, m greenroom.Meeting, f func(*greenroom.Meeting) ([]greenroom.Event, error)) (greenroom.Meeting, error) {
	return change(ctx, s, m.Clone(), f)
}

func change(ctx context.Context, s Meetings, m greenroom.Meeting, f func(*greenroom.Meeting) ([]greenroom.Event, error)) (greenroom.Meeting, error) {
	id := m.ID
	pause := backoff.Every(time.Millisecond, 50*time.Millisecond)
	for races := 1; ; races++ {
		events, err := f(&m)
		if errors.Is(err, ErrUnchanged) {
			return m, nil
		}
		if err != nil {
			return m, err
		}
		saved, err := s.Update(ctx, m, m.Bound(events))
		if !errors.Is(err, greenroom.ErrConflict) {
			return saved, err
		}
		if races == MaxRaces {
			return m, fmt.Errorf("change meeting %s: %w", id, err)
		}
		if ctx.Err() != nil || races > hurried && !pause.Wait(ctx) {
			return m, fmt.Errorf("change meeting %s: %w", id, context.Cause(ctx))
		}
		if m, err = s.Meeting(ctx, id); err != nil {
			return m, err
		}
	}
}
