// Package advance moves one meeting: load it, observe the world, plan, save, act, save what came of it,
// until nothing is left to do now. It is safe to kill at any instruction and to run twice at once: every
// save compares the revision, every effect may be repeated. Beside it the sweep compares what exists with
// what meetings own, both ways.
package advance

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"greenroom"
	"greenroom/internal/compute"
	"greenroom/internal/dns"
	"greenroom/internal/plan"
)

// meetings is what a pass needs of the store.
type meetings interface {
	Meeting(ctx context.Context, id string) (greenroom.Meeting, error)
	Update(ctx context.Context, m greenroom.Meeting, events []greenroom.Event) (greenroom.Meeting, error)
}

// prober gathers proof from outside.
type prober interface {
	Probe(ctx context.Context, hostname string, address netip.Addr) greenroom.Proof
}

// Advancer moves meetings. All fields are required and are not changed once it is in use.
type Advancer struct {
	Meetings  meetings
	Providers map[string]compute.Provider // by the name that blueprints use
	Records   dns.Zone
	Prober    prober
	Zone      string // desktops are named <instance id>.<zone>
	UserData  func(m *greenroom.Meeting, s *greenroom.Seat) ([]byte, error)
	Logger    *slog.Logger
	// Measure is told how long each effect took and whether it worked.
	Measure func(do plan.Verb, took time.Duration, err error)
}

// Bounds of one pass.
const (
	effectTimeout = 30 * time.Second // of one effect; a slower one is tried again with the same token
	maxConflicts  = 16               // lost races in a row before the pass gives up; the engine comes again
)

// Advance takes the meeting as far as it can go now. It returns nil when nothing is left to do before the
// wake that it saved.
func (a *Advancer) Advance(ctx context.Context, id string) error {
	p := &pass{Advancer: a, id: id, inFlight: map[plan.Effect]bool{}, outcomes: make(chan plan.Outcome)}
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
	snapshot, err := a.observe(ctx, m)
	if err != nil {
		return plan.Decision{}, err
	}
	return plan.Plan(snapshot, time.Now().UTC()), nil
}

// pass is one run of Advance.
type pass struct {
	*Advancer
	id       string
	inFlight map[plan.Effect]bool
	outcomes chan plan.Outcome
}

func (p *pass) run(ctx context.Context) error {
	conflicts := 0
	for {
		m, wait, err := p.step(ctx)
		switch {
		case errors.Is(err, greenroom.ErrConflict) && conflicts < maxConflicts:
			conflicts++
			continue
		case err != nil:
			return err
		case !wait:
			return nil
		}
		conflicts = 0
		if err := p.settle(ctx, m); err != nil {
			return err
		}
	}
}

// step plans once, saves the intent and starts its effects. It reports whether effects are under way.
func (p *pass) step(ctx context.Context) (greenroom.Meeting, bool, error) {
	m, err := p.Meetings.Meeting(ctx, p.id)
	if err != nil {
		return m, false, err
	}
	if m.Closed {
		return m, false, nil
	}
	snapshot, err := p.observe(ctx, m)
	if err != nil {
		return m, false, err
	}
	now := time.Now().UTC()
	decision := plan.Plan(snapshot, now)
	next := decision.Meeting
	next.WakeAt = promise(m.WakeAt, decision, now)
	if decision.Changed || !next.WakeAt.Equal(m.WakeAt) {
		if next, err = p.Meetings.Update(ctx, next, decision.Events); err != nil {
			return m, false, err
		}
	}
	p.start(ctx, next, decision.Effects)
	return next, len(p.inFlight) > 0, nil
}

// promise is the wake to save with a decision. While effects are under way this process looks after the
// meeting; the wake is then only for the case that it dies, and an earlier promise that serves is kept.
func promise(saved time.Time, d plan.Decision, now time.Time) time.Time {
	switch {
	case len(d.Effects) == 0:
		return d.Wake
	case saved.After(now) && saved.Before(now.Add(2*effectTimeout)):
		return saved
	}
	return now.Add(effectTimeout)
}

// settle waits for an outcome, takes whatever else has come, and saves what it means.
func (p *pass) settle(ctx context.Context, m greenroom.Meeting) error {
	outcomes := p.gather(ctx)
	if len(outcomes) == 0 {
		return context.Cause(ctx)
	}
	for range maxConflicts {
		next := m.Clone()
		events := plan.Settle(&next, p.Zone, outcomes, time.Now().UTC())
		_, err := p.Meetings.Update(ctx, next, events)
		if !errors.Is(err, greenroom.ErrConflict) {
			return err
		}
		if m, err = p.Meetings.Meeting(ctx, p.id); err != nil {
			return err
		}
	}
	return fmt.Errorf("save outcomes: %w", greenroom.ErrConflict)
}

// gather returns at least one outcome, unless ctx ends first.
func (p *pass) gather(ctx context.Context) []plan.Outcome {
	var got []plan.Outcome
	take := func(o plan.Outcome) {
		delete(p.inFlight, o.Effect)
		got = append(got, o)
	}
	select {
	case o := <-p.outcomes:
		take(o)
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

// observe asks the provider for the meeting's instances, if any may exist.
func (a *Advancer) observe(ctx context.Context, m greenroom.Meeting) (plan.Snapshot, error) {
	s := plan.Snapshot{Meeting: m, Zone: a.Zone}
	exists := false
	for i := range m.Seats {
		exists = exists || m.Seats[i].Desktop.MayExist()
	}
	provider, ok := a.Providers[m.Blueprint.Provider]
	if !exists || !ok {
		return s, nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, effectTimeout, errors.New("the provider did not list its instances in time"))
	defer cancel()
	list, err := provider.List(ctx, m.ID)
	if err != nil {
		return s, fmt.Errorf("list instances: %w", err)
	}
	s.Observed = true
	for _, i := range list {
		s.Instances = append(s.Instances, plan.Instance{
			ID: i.ID, Handle: i.Handle, Address: i.Address, Running: i.State == compute.Running,
			Ending: i.State == compute.ShuttingDown || i.State == compute.Terminated, Dead: i.State == compute.Terminated,
		})
	}
	return s, nil
}
