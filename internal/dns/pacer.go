package dns

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Pacer keeps calls to one provider below its rate, and still when the provider has asked for silence.
type Pacer struct {
	limiter *rate.Limiter

	mu    sync.Mutex
	quiet time.Time
}

// NewPacer allows burst calls at once and perSecond from then on.
func NewPacer(perSecond float64, burst int) *Pacer {
	return &Pacer{limiter: rate.NewLimiter(rate.Limit(perSecond), burst)}
}

// Wait waits for the turn of one call. If ctx would end before that, it returns a ThrottledError at once.
func (p *Pacer) Wait(ctx context.Context) error {
	for {
		if until := p.Quiet(); time.Now().Before(until) {
			if err := sleep(ctx, until); err != nil {
				return err
			}
			continue
		}
		turn := p.limiter.Reserve()
		at := time.Now().Add(turn.Delay())
		if turn.Delay() <= 0 {
			return context.Cause(ctx)
		}
		if err := sleep(ctx, at); err != nil {
			turn.Cancel()
			return err
		}
		if !time.Now().Before(p.Quiet()) {
			return nil
		}
	}
}

// sleep waits until then, and not at all if ctx ends before.
func sleep(ctx context.Context, then time.Time) error {
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(then) {
		return &ThrottledError{Until: then}
	}
	timer := time.NewTimer(time.Until(then))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// Silence allows no call until then.
func (p *Pacer) Silence(until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if until.After(p.quiet) {
		p.quiet = until
	}
}

// Quiet is the end of the silence that was asked for last.
func (p *Pacer) Quiet() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.quiet
}

// Next is when a call may be made, if nobody else makes one before.
func (p *Pacer) Next() time.Time {
	turn := p.limiter.Reserve()
	at := time.Now().Add(turn.Delay())
	turn.Cancel()
	if quiet := p.Quiet(); quiet.After(at) {
		return quiet
	}
	return at
}
