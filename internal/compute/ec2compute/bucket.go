package ec2compute

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"greenroom"
	"greenroom/internal/backoff"
)

// Rate is a token bucket of EC2's: it holds Burst tokens and gets PerSecond more at every whole second.
type Rate struct{ Burst, PerSecond int }

// Rates are the account's buckets that matter to us.
type Rates struct {
	RunRequests, RunInstances             Rate // calls to RunInstances, and machines that they start
	TerminateRequests, TerminateInstances Rate
	Describe                              Rate // paged or filtered
}

// orDocumented fills what is not set with what Amazon documents for every account.
func (r Rates) orDocumented() Rates {
	return Rates{
		RunRequests: cmp.Or(r.RunRequests, Rate{5, 2}), RunInstances: cmp.Or(r.RunInstances, Rate{1000, 2}),
		TerminateRequests: cmp.Or(r.TerminateRequests, Rate{100, 5}), TerminateInstances: cmp.Or(r.TerminateInstances, Rate{1000, 20}),
		Describe: cmp.Or(r.Describe, Rate{100, 20}),
	}
}

// bucket tells when a token bucket certainly has tokens. When in a second EC2 fills its own is not known, so a token
// counts only when any filling has brought it: within every span of whole seconds s at most burst + rate*s are taken.
type bucket struct {
	size  int
	step  time.Duration // between two tokens
	last  []time.Time   // the last size takes, as a ring
	taken int
	debt  time.Time // the latest of (time of take i) - i*step, over the takes before those
}

func newBucket(r Rate) *bucket {
	return &bucket{size: r.Burst, step: time.Second / time.Duration(r.PerSecond), last: make([]time.Time, r.Burst)}
}

// next is when n tokens can be taken at once, zero if always. More than it holds are never there at once.
func (b *bucket) next(n int) time.Time {
	n = min(n, b.size)
	debt := b.debt
	for i := max(b.taken-b.size, 0); i < b.taken+n-b.size; i++ {
		debt = latest(debt, b.last[i%b.size].Add(-time.Duration(i)*b.step))
	}
	over := b.taken + n - 1 - b.size
	if over < 0 {
		return time.Time{}
	}
	return debt.Add(time.Duration(over)*b.step + time.Second)
}

// after is about when n tokens will have come, if all that come are taken.
func (b *bucket) after(n int) time.Time {
	at := b.next(n)
	if n > b.size {
		at = latest(at, time.Now()).Add(time.Duration(n-b.size) * b.step)
	}
	return at
}

func (b *bucket) take(now time.Time, n int) {
	for range min(n, b.size) {
		i := b.taken % b.size
		if b.taken >= b.size {
			b.debt = latest(b.debt, b.last[i].Add(-time.Duration(b.taken-b.size)*b.step))
		}
		b.last[i] = now
		b.taken++
	}
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// silence is how long EC2 is not asked after it said that it was asked too often.
var silence = backoff.Schedule{First: time.Second, Most: 30 * time.Second}

// quiet is the silence of one kind of calls, longer each time in a row.
type quiet struct {
	refused int // in a row
	until   time.Time
}

func (q *quiet) throttled() {
	q.until = time.Now().Add(silence.After(q.refused))
	q.refused++
}

func (q *quiet) went() { q.refused = 0 }

// pacer lets calls through as the buckets allow, in the order in which they come. The first bucket counts calls, the second,
// if there is one, what they are about.
type pacer struct {
	mu      sync.Mutex
	buckets []*bucket
	quiet
}

func newPacer(rates ...Rate) *pacer {
	p := &pacer{}
	for _, r := range rates {
		p.buckets = append(p.buckets, newBucket(r))
	}
	return p
}

// call waits for its turn and does it, again after a silence when there were too many. n is what the call is about.
func (p *pacer) call(ctx context.Context, n int, do func(context.Context) error) error {
	for {
		if err := p.wait(ctx, n); err != nil {
			return err
		}
		call, cancel := bounded(ctx)
		err := classify(do(call))
		cancel()
		p.mu.Lock()
		if throttled := errors.Is(err, greenroom.ErrThrottled); throttled {
			p.throttled()
		} else {
			p.went()
			p.mu.Unlock()
			return err
		}
		p.mu.Unlock()
	}
}

// wait takes the tokens of one call as soon as they are there.
func (p *pacer) wait(ctx context.Context, n int) error {
	for {
		p.mu.Lock()
		now := time.Now()
		at := p.until
		for i, b := range p.buckets {
			at = latest(at, b.next([]int{1, n}[i]))
		}
		if !at.After(now) {
			for i, b := range p.buckets {
				b.take(now, []int{1, n}[i])
			}
			p.mu.Unlock()
			return context.Cause(ctx)
		}
		p.mu.Unlock()
		if deadline, ok := ctx.Deadline(); ok && deadline.Before(at) {
			return greenroom.ErrThrottled
		}
		timer := time.NewTimer(time.Until(at))
		select {
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		case <-timer.C:
		}
	}
}
