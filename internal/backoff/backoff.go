// Package backoff gives the pauses between tries: they double from a first to a longest one, and chance spreads them, so that
// those who failed together do not come back together.
package backoff

import (
	"context"
	"math/rand/v2"
	"time"
)

// Schedule is how pauses grow. First must be positive and Most at least First.
type Schedule struct{ First, Most time.Duration }

// After is the longest pause before the next try, after so many earlier pauses in a row: First after none, then twice as much
// each time, and at most Most.
func (s Schedule) After(earlier int) time.Duration {
	d := s.First
	for range earlier {
		if d >= s.Most/2 {
			return s.Most
		}
		d *= 2
	}
	return min(d, s.Most)
}

// Spread is After, shortened by chance to no less than its half.
func (s Schedule) Spread(earlier int) time.Duration {
	d := s.After(earlier)
	return d - rand.N(d/2+1) //nolint:gosec // no secret
}

// Delay is Spread in the form that the AWS SDK asks for.
func (s Schedule) Delay(earlier int, _ error) (time.Duration, error) { return s.Spread(earlier), nil }

// Pause waits between the tries of one caller. It is not safe for use by several goroutines.
type Pause struct {
	Schedule
	earlier int
}

// Every returns a Pause that grows from first to most.
func Every(first, most time.Duration) Pause { return Pause{Schedule: Schedule{first, most}} }

// Wait pauses, longer each time, and reports whether ctx has not ended.
func (p *Pause) Wait(ctx context.Context) bool {
	timer := time.NewTimer(p.Spread(p.earlier))
	defer timer.Stop()
	p.earlier++
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return ctx.Err() == nil
	}
}

// Reset begins anew, after a success.
func (p *Pause) Reset() { p.earlier = 0 }
