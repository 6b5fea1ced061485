// Package batch gathers what many callers want of one zone into as few calls as its provider allows.
package batch

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"greenroom"
	"greenroom/internal/dns"
)

// Bounds of one gathering and of one call.
const (
	idle     = 100 * time.Millisecond // nobody has asked for so long: call
	longest  = time.Second            // somebody has waited for so long: call
	callTime = 20 * time.Second       // of a call whose askers have no deadline
	maxTries = 3                      // how often a wish is tried when the provider was busy
)

// Zone is a dns.Zone before a provider. Writes wait for Run.
type Zone struct {
	provider dns.Provider
	wake     chan struct{} // holds a token when there is something new

	mu      sync.Mutex
	pending map[string][]*wish // by name, the oldest first
	order   []string           // names in the order in which they were first asked for
	first   time.Time          // when the oldest pending wish came
	last    time.Time          // when the newest came
}

var _ dns.Zone = (*Zone)(nil)

// wish is what one caller wants of one name.
type wish struct {
	ctx    context.Context
	name   string
	record dns.Record
	set    bool
	tries  int
	done   chan error // takes one answer
}

// New returns a zone before provider.
func New(provider dns.Provider) *Zone {
	return &Zone{provider: provider, wake: make(chan struct{}, 1), pending: map[string][]*wish{}}
}

// SetRecords returns when the provider has accepted the records: nil if they are so at every server, as far as it tells, and a
// *dns.PendingError if some do not know yet. What has not been sent when ctx ends is not sent any more. See dns.Zone.
func (z *Zone) SetRecords(ctx context.Context, records []dns.Record) error {
	wishes := make([]*wish, len(records))
	for i, r := range records {
		wishes[i] = &wish{ctx: ctx, name: r.Name, record: r, set: true, done: make(chan error, 1)}
	}
	if err := z.do(ctx, wishes); err != nil || len(records) == 0 {
		return err
	}
	return z.provider.Settle(ctx)
}

// DeleteRecords removes our records of these names; see SetRecords and dns.Zone.
func (z *Zone) DeleteRecords(ctx context.Context, names []string) error {
	wishes := make([]*wish, len(names))
	for i, name := range names {
		wishes[i] = &wish{ctx: ctx, name: name, done: make(chan error, 1)}
	}
	return z.do(ctx, wishes)
}

// GetRecords asks the provider; see dns.Zone.
func (z *Zone) GetRecords(ctx context.Context) ([]dns.Record, error) {
	return z.provider.GetRecords(ctx)
}

func (z *Zone) do(ctx context.Context, wishes []*wish) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	z.add(wishes)
	var errs []error
	for _, w := range wishes {
		if err := z.answer(w); err != nil {
			errs = append(errs, &dns.RecordError{Name: w.name, Err: err})
		}
	}
	return errors.Join(errs...)
}

func (z *Zone) add(wishes []*wish) {
	z.mu.Lock()
	defer z.mu.Unlock()
	now := time.Now()
	for _, w := range wishes {
		if len(z.order) == 0 {
			z.first = now
		}
		if _, ok := z.pending[w.name]; !ok {
			z.order = append(z.order, w.name)
		}
		z.pending[w.name] = append(z.pending[w.name], w)
		z.last = now
	}
	z.poke()
}

func (z *Zone) poke() {
	select {
	case z.wake <- struct{}{}:
	default:
	}
}

// answer waits for what became of w. One that is under way when its time is over is waited for: the call has the
// same deadline, and who is told that nothing happened must be able to rely on it.
func (z *Zone) answer(w *wish) error {
	select {
	case err := <-w.done:
		return err
	case <-w.ctx.Done():
	}
	if z.withdraw(w) {
		return over(w.ctx, z.provider.NextCall())
	}
	return <-w.done
}

// over is why a wish was not sent in its time.
func over(ctx context.Context, next time.Time) error {
	if next.After(time.Now()) && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &dns.ThrottledError{Until: next, Err: context.Cause(ctx)}
	}
	return context.Cause(ctx)
}

// withdraw reports whether w was still pending.
func (z *Zone) withdraw(w *wish) bool {
	z.mu.Lock()
	defer z.mu.Unlock()
	for i, p := range z.pending[w.name] {
		if p == w {
			z.pending[w.name] = append(z.pending[w.name][:i:i], z.pending[w.name][i+1:]...)
			return true
		}
	}
	return false
}

// Run makes the calls until ctx ends; what is pending then is answered with ctx's cause.
func (z *Zone) Run(ctx context.Context) error {
	for {
		wait, any := z.due()
		if !any {
			select {
			case <-ctx.Done():
			case <-z.wake:
			}
		} else if wait > 0 {
			timer := time.NewTimer(wait)
			select {
			case <-ctx.Done():
			case <-z.wake:
			case <-timer.C:
			}
			timer.Stop()
		}
		if ctx.Err() != nil {
			z.giveUp(context.Cause(ctx))
			return nil //nolint:nilerr // it was told to end
		}
		if wait <= 0 && any {
			sets, deletes := z.take(z.provider.BatchSize())
			z.call(ctx, sets)
			z.call(ctx, deletes)
		}
	}
}

// due is how long to wait for the next call, if anything is pending.
func (z *Zone) due() (wait time.Duration, any bool) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if len(z.order) == 0 {
		return 0, false
	}
	at := z.last.Add(idle)
	if most := z.first.Add(longest); most.Before(at) {
		at = most
	}
	if len(z.order) >= z.provider.BatchSize() {
		at = time.Time{}
	}
	if next := z.provider.NextCall(); next.After(at) {
		at = next
		z.refuse(next)
	}
	return time.Until(at), true
}

// refuse answers those who cannot wait until next; z.mu is held. They need not wait to learn it.
func (z *Zone) refuse(next time.Time) {
	for name, wishes := range z.pending {
		kept := wishes[:0:0]
		for _, w := range wishes {
			if deadline, ok := w.ctx.Deadline(); ok && deadline.Before(next) {
				w.done <- &dns.ThrottledError{Until: next}
				continue
			}
			kept = append(kept, w)
		}
		z.pending[name] = kept
	}
}

// take returns at most size names' wishes of each kind, the oldest names first. The last wish of a name that is
// still wanted is its kind, and the others of the name share its fate. The rest stays.
func (z *Zone) take(size int) (sets, deletes [][]*wish) {
	z.mu.Lock()
	defer z.mu.Unlock()
	var rest []string
	for _, name := range z.order {
		wishes := alive(z.pending[name])
		if len(wishes) == 0 {
			delete(z.pending, name)
			continue
		}
		into := &deletes
		if wishes[len(wishes)-1].set {
			into = &sets
		}
		if len(*into) >= size {
			z.pending[name] = wishes
			rest = append(rest, name)
			continue
		}
		*into = append(*into, wishes)
		delete(z.pending, name)
	}
	z.order = rest
	return sets, deletes
}

// alive answers those whose time is over and returns the others.
func alive(wishes []*wish) []*wish {
	kept := wishes[:0:0]
	for _, w := range wishes {
		if w.ctx.Err() != nil {
			w.done <- context.Cause(w.ctx)
			continue
		}
		kept = append(kept, w)
	}
	return kept
}

// call makes one call for the names and answers their wishes. It ends at the earliest of their deadlines: none
// may take effect after its own.
func (z *Zone) call(ctx context.Context, groups [][]*wish) {
	if len(groups) == 0 {
		return
	}
	ends := time.Now().Add(callTime)
	for _, g := range groups {
		for _, w := range g {
			if deadline, ok := w.ctx.Deadline(); ok && deadline.Before(ends) {
				ends = deadline
			}
		}
	}
	ctx, cancel := context.WithDeadlineCause(ctx, ends, fmt.Errorf("the zone's provider did not answer in time: %w", context.DeadlineExceeded))
	defer cancel()
	outcome := split(z.send(ctx, groups))
	var again [][]*wish
	for _, g := range groups {
		err := outcome(g[0].name)
		if g = z.tell(g, err); len(g) > 0 {
			again = append(again, g)
		}
	}
	z.putBack(again)
}

func (z *Zone) send(ctx context.Context, groups [][]*wish) error {
	if !groups[0][len(groups[0])-1].set {
		names := make([]string, len(groups))
		for i, g := range groups {
			names[i] = g[0].name
		}
		return z.provider.DeleteRecords(ctx, names)
	}
	records := make([]dns.Record, len(groups))
	for i, g := range groups {
		records[i] = g[len(g)-1].record
	}
	return z.provider.SetRecords(ctx, records)
}

// split returns what became of each name. An error that does not say which names it is about is about all.
func split(err error) func(name string) error {
	byName := map[string]error{}
	var rest []error
	parts := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		parts = joined.Unwrap()
	}
	for _, one := range parts {
		if r, ok := errors.AsType[*dns.RecordError](one); ok {
			byName[r.Name] = r.Err
		} else if one != nil {
			rest = append(rest, one)
		}
	}
	all := errors.Join(rest...)
	return func(name string) error {
		if err, ok := byName[name]; ok {
			return err
		}
		return all
	}
}

// tell answers one name's wishes, except those that are to be tried again, which it returns.
func (z *Zone) tell(g []*wish, err error) (again []*wish) {
	busy := errors.Is(err, greenroom.ErrThrottled) || errors.Is(err, context.DeadlineExceeded)
	for _, w := range g {
		if w.tries++; busy && w.tries < maxTries && w.ctx.Err() == nil {
			again = append(again, w)
			continue
		}
		w.done <- err
	}
	return again
}

// putBack makes wishes pending again, before those that came meanwhile.
func (z *Zone) putBack(groups [][]*wish) {
	if len(groups) == 0 {
		return
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	var names []string
	for _, g := range groups {
		name := g[0].name
		if _, ok := z.pending[name]; !ok {
			names = append(names, name)
		}
		z.pending[name] = append(g, z.pending[name]...)
	}
	z.order = append(names, z.order...)
	z.first = time.Now()
	z.poke()
}

func (z *Zone) giveUp(err error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	for _, wishes := range z.pending {
		for _, w := range wishes {
			w.done <- err
		}
	}
	clear(z.pending)
	z.order = nil
}
