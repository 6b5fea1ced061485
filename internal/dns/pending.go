package dns

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// PendingError says that a change was accepted and that not every server of the zone knows it yet. Nothing failed: the same change,
// asked for again, tells how far it is.
type PendingError struct {
	Until time.Time // when asking again is of use
}

func (e *PendingError) Error() string {
	return "accepted; not every server of the zone knows it yet; to be asked again at " + e.Until.UTC().Format(time.RFC3339)
}

// Await repeats do while what it asks for is pending, until ctx ends.
func Await(ctx context.Context, do func(context.Context) error) error {
	for {
		err := do(ctx)
		pending, ok := errors.AsType[*PendingError](err)
		if !ok {
			return err
		}
		timer := time.NewTimer(time.Until(pending.Until))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("not every server of the zone knows the change yet: %w", context.Cause(ctx))
		}
	}
}
