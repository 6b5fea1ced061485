// Package advance moves one meeting: load it, observe the world, plan, save, act, save what came of it,
// until nothing is left to do now. It is safe to kill at any instruction and to run twice at once: every
// save compares the revision, every effect may be repeated. Beside it the sweep compares what exists with
// what meetings own, both ways.
package advance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"greenroom"
	"greenroom/internal/compute"
	"greenroom/internal/dns"
	"greenroom/internal/plan"
	"greenroom/internal/store"
)

// prober gathers proof from outside.
type prober interface {
	Probe(ctx context.Context, hostname string, address netip.Addr) greenroom.Proof
}

// Advancer moves meetings. All fields before PushEvents are required and are not changed once it is in use.
type Advancer struct {
	Meetings  store.Meetings
	Providers map[greenroom.Provider]compute.Provider // by the name that blueprints use
	Records   dns.Zone
	Prober    prober
	Zone      string // desktops are named <instance id>.<zone>
	UserData  func(m *greenroom.Meeting, s *greenroom.Seat) ([]byte, error)
	Now       func() time.Time // time.Now, but in a simulation
	Logger    *slog.Logger
	// PushEvents says that the provider sends an event when a machine changes its state, and that the event leads to Look. The
	// plan then polls a machine that boots less often: polling only makes up for lost events.
	PushEvents bool
	// ObserveOnDemand makes Advance list a meeting's machines only while the plan waits for one to run or to be gone. Otherwise
	// every pass lists them. Whoever receives an event of a machine, or misses a machine in the sweep, calls Look, which always
	// lists them.
	ObserveOnDemand bool
	// Lease is how long a process that is busy with a meeting's effects is left alone; 0 is five seconds. It renews
	// it; if it dies, the meeting's wake comes when the lease is over.
	Lease time.Duration
	// Live lists the meetings that may have desktops, as store.Store does: those whose launches are blocked are asked for again when a
	// machine has gone. nil: they wait for their next turn, within a minute.
	Live func(ctx context.Context, cursor string) ([]greenroom.Meeting, string, error)
	// Measure is told how long each effect took and whether it worked.
	Measure func(do plan.Verb, took time.Duration, err error)
	// Observe is told of each change that was saved, with the meeting before and after; nil: nobody is.
	Observe func(ctx context.Context, before, after *greenroom.Meeting, events []greenroom.Event)
}

// Bounds of one pass.
const (
	usualLease   = 5 * time.Second // see Advancer.Lease
	maxConflicts = 16              // lost races in a row before the pass gives up; the engine comes again
)

// Advance takes the meeting as far as it can go now. It returns nil when nothing is left to do before the
// wake that it saved.
func (a *Advancer) Advance(ctx context.Context, id string) error {
	return a.pass(ctx, id, !a.ObserveOnDemand)
}

// Look is Advance that begins with a look at the meeting's machines, whatever is wanted of them.
func (a *Advancer) Look(ctx context.Context, id string) error { return a.pass(ctx, id, true) }

func (a *Advancer) pass(ctx context.Context, id string, look bool) error {
	p := &pass{Advancer: a, id: id, look: look, inFlight: map[plan.Effect]bool{}, outcomes: make(chan plan.Outcome)}
	ctx, cancel := context.WithCancel(ctx)
	defer p.wait() // no effect outlives its pass
	defer cancel()
	if err := p.run(ctx); err != nil {
		return fmt.Errorf("advance %s: %w", id, err)
	}
	return nil
}

// Explain plans without acting: what would happen now, and what the meeting waits for.
func (a *Advancer) Explain(ctx context.Context, id string) (plan.Decision, error) {
	m, err := a.Meetings.Meeting(ctx, id)
	if err != nil {
		return plan.Decision{}, err
	}
	snapshot, err := a.observe(ctx, m, true)
	if err != nil {
		return plan.Decision{}, err
	}
	return plan.Plan(snapshot, a.now())
}

func (a *Advancer) lease() time.Duration { return cmp.Or(a.Lease, usualLease) }

// now is the wall clock alone: what is compared across processes must not depend on when one of them slept.
func (a *Advancer) now() time.Time { return a.Now().Round(0).UTC() }

// pass is one run of Advance: steps, with their effects under way at once.
type pass struct {
	*Advancer
	id       string
	look     bool // at machines that nothing is wanted of
	inFlight map[plan.Effect]bool
	outcomes chan plan.Outcome
}

func (p *pass) run(ctx context.Context) error {
	conflicts := 0
	for {
		step, err := p.step(ctx, p.id, p.look)
		switch {
		case errors.Is(err, greenroom.ErrConflict) && conflicts < maxConflicts:
			conflicts++
			continue
		case err != nil:
			return err
		}
		conflicts, p.look = 0, !p.ObserveOnDemand
		p.start(ctx, step)
		if len(p.inFlight) == 0 {
			return nil
		}
		if outcomes := p.gather(ctx); len(outcomes) > 0 {
			err = p.Settle(ctx, step.Meeting, outcomes)
		} else {
			err = context.Cause(ctx) // nil if only the lease is to be renewed
		}
		if err != nil {
			return err
		}
	}
}

// start begins the step's effects, but those that something under way could overtake: they wait for it to end.
func (p *pass) start(ctx context.Context, step Step) {
	step.Effects = slices.DeleteFunc(step.Effects, p.busy)
	for _, call := range step.Calls() {
		for _, e := range call {
			p.inFlight[e] = true
		}
		go func() {
			for _, o := range p.Perform(ctx, step, call) {
				p.outcomes <- o
			}
		}()
	}
}

// busy reports whether an effect on the same thing, the name or the machine of an attempt, is under way.
func (p *pass) busy(e plan.Effect) bool {
	for f := range p.inFlight {
		if f.Handle == e.Handle && f.Do.On() == e.Do.On() {
			return true
		}
	}
	return false
}

// gather waits for an outcome and takes whatever else has come. It returns none if ctx ends first, or if the lease
// should be renewed.
func (p *pass) gather(ctx context.Context) []plan.Outcome {
	var got []plan.Outcome
	take := func(o plan.Outcome) {
		delete(p.inFlight, o.Effect)
		got = append(got, o)
	}
	renew := time.NewTimer(p.lease() / 2)
	defer renew.Stop()
	select {
	case o := <-p.outcomes:
		take(o)
	case <-renew.C:
		return nil
	case <-ctx.Done():
		return nil
	}
	for {
		select {
		case o := <-p.outcomes:
			take(o)
		default:
			return got
		}
	}
}

// wait lets the effects under way end; their context is cancelled by then.
func (p *pass) wait() {
	for len(p.inFlight) > 0 {
		delete(p.inFlight, (<-p.outcomes).Effect)
	}
}
