package scheduler

import (
	"context"
	"fmt"
	"runtime/debug"
)

// Guarded calls advance and turns a panic of it into an error: the fault of one meeting is not the others'.
func Guarded(ctx context.Context, advance func(ctx context.Context, meeting string) error, meeting string) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("advance %s: panic: %v\n%s", meeting, r, debug.Stack())
		}
	}()
	return advance(ctx, meeting)
}
