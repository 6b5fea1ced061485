package meetings_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"greenroom"
	"greenroom/internal/meetings"
	"greenroom/internal/store"
)

// counted counts what is written.
type counted struct {
	store.Store
	writes atomic.Int64
}

func (c *counted) Update(ctx context.Context, m greenroom.Meeting, events []greenroom.Event) (greenroom.Meeting, error) {
	c.writes.Add(1)
	return c.Store.Update(ctx, m, events)
}

// TestManyChangesAtOnceAreEachWrittenOnce: none of them loses a race against another of the same process.
func TestManyChangesAtOnceAreEachWrittenOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := b.schedule()
	c := &counted{Store: b.store}
	b.Store = c
	const many = 100
	var all sync.WaitGroup
	for i := range many {
		all.Go(func() {
			name := fmt.Sprint("Name ", i)
			if _, err := b.EditSeat(t.Context(), m.ID, "teacher", meetings.SeatEdit{Name: &name}, 0); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	got, err := b.Meeting(t.Context(), m.ID)
	if err != nil || got.Version != m.Version+many || c.writes.Load() != many {
		t.Errorf("version %d after %d, written %d times, want %d more: %v", got.Version, m.Version, c.writes.Load(), many, err)
	}
}

// TestATurnIsNotWaitedForLongerThanTheCaller: a change behind a store that does not answer ends with its caller.
func TestATurnIsNotWaitedForLongerThanTheCaller(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := b.schedule()
	name := "Ada"
	held := &raced{b.store, func() {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := b.EditSeat(ctx, m.ID, "teacher", meetings.SeatEdit{Name: &name}, 0); err == nil {
			t.Error("a caller that is gone got a turn that another has")
		}
	}}
	b.Store = held
	if _, err := b.EditSeat(t.Context(), m.ID, "student", meetings.SeatEdit{Name: &name}, 0); err != nil {
		t.Error(err)
	}
}
