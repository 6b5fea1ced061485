package advance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"greenroom"
	"greenroom/internal/compute"
	"greenroom/internal/logkey"
	"greenroom/internal/plan"
	"greenroom/internal/store"
)

// Step is one look at a meeting: what was saved, and the effects that the save is the intent of.
type Step struct {
	Meeting greenroom.Meeting
	Effects []plan.Effect
	// Deadline is after which none of the effects may happen any more. It counts from before the look, so that a
	// process that was stopped on the way cannot act on what it saw long ago.
	Deadline time.Time
}

// Step loads the meeting, observes, plans and saves once.
func (a *Advancer) Step(ctx context.Context, id string) (Step, error) {
	return a.step(ctx, id, !a.ObserveOnDemand)
}

func (a *Advancer) step(ctx context.Context, id string, look bool) (Step, error) {
	s := Step{Deadline: a.now().Add(plan.EffectTimeout)}
	var err error
	if s.Meeting, err = a.Meetings.Meeting(ctx, id); err != nil || s.Meeting.Closed {
		return s, err
	}
	snapshot, err := a.observe(ctx, s.Meeting, look)
	if err != nil {
		return s, err
	}
	now := a.now()
	decision, err := plan.Plan(snapshot, now)
	if err != nil {
		a.tellFaults(id, []error{err})
		return s, fmt.Errorf("plan: %w", err)
	}
	a.tellFaults(id, decision.Faults)
	next := decision.Meeting
	next.WakeAt = promise(s.Meeting, decision, now, a.lease())
	if decision.Changed || !next.WakeAt.Equal(s.Meeting.WakeAt) {
		if next, err = a.Meetings.Update(ctx, next, decision.Events); err != nil {
			return s, err
		}
		a.observed(ctx, &s.Meeting, &next, decision.Events)
	}
	s.Meeting, s.Effects = next, decision.Effects
	return s, nil
}

// promise is the wake to save with a decision. While effects are under way this process looks after the
// meeting; the wake is then only for the case that it dies, and a promise that still serves is kept.
// A look that is repeated needs none: the wake that has led to it is answered again until another is saved.
func promise(m greenroom.Meeting, d plan.Decision, now time.Time, lease time.Duration) time.Time {
	saved := m.WakeAt
	switch {
	case len(d.Effects) == 0:
		return d.Wake
	case !d.Changed && !saved.IsZero() && !saved.After(now) && !slices.ContainsFunc(d.Effects, func(e plan.Effect) bool { return !repeats(&m, e) }):
		return saved
	case saved.After(now.Add(lease/2)) && !saved.After(now.Add(lease)):
		return saved
	}
	return now.Add(lease)
}

// repeats reports whether the effect is a look at a desktop that was ready once.
func repeats(m *greenroom.Meeting, e plan.Effect) bool {
	s := m.AnySeat(e.Handle.Seat)
	return e.Do == plan.Prove && s != nil && s.Desktop.Enterable()
}

// Settle saves what came of effects that were begun for m.
func (a *Advancer) Settle(ctx context.Context, m greenroom.Meeting, outcomes []plan.Outcome) error {
	var before greenroom.Meeting
	var events []greenroom.Event
	saved, err := store.ChangeFrom(ctx, a.Meetings, m, func(m *greenroom.Meeting) ([]greenroom.Event, error) {
		before = m.Clone()
		var faults []error
		events, faults = plan.Settle(m, a.Zone, outcomes, a.now())
		a.tellFaults(m.ID, faults)
		return events, nil
	})
	if err != nil {
		return fmt.Errorf("save outcomes: %w", err)
	}
	a.observed(ctx, &before, &saved, events)
	return nil
}

// tellFaults logs and counts faults of the rules themselves: moves that the phase table forbids, and rules that contradict each other.
func (a *Advancer) tellFaults(meeting string, faults []error) {
	for _, err := range faults {
		if a.Measure != nil {
			a.Measure(plan.Planning, 0, err)
		}
		if move, ok := errors.AsType[*plan.ForbiddenMoveError](err); ok {
			a.Logger.Error("forbidden move was not made", logkey.Meeting, meeting, logkey.Seat, move.Seat, logkey.Attempt, move.Attempt,
				logkey.From, string(move.From), logkey.To, string(move.To))
			continue
		}
		a.Logger.Error("nothing was decided", logkey.Meeting, meeting, logkey.Err, err)
	}
}

// moment is how long after a call its effect is not to be seen yet.
const moment = time.Second

// wanted reports whether the planner waits for something that the provider knows of a desktop's machine, and may know by now.
func wanted(d *greenroom.Desktop, now time.Time) bool {
	switch d.Phase {
	case greenroom.Ready, greenroom.InUse:
		return d.Trust.Failed > 0
	case greenroom.Booting:
		return now.Sub(d.Timings[greenroom.Booting]) >= moment
	case greenroom.Terminating, greenroom.Failed:
		return d.InstanceID == "" || !d.RemovalAskedAt.IsZero() && now.Sub(d.RemovalAskedAt) >= moment
	default: // a launch's own answer tells what there is: its token finds it again
		return false
	}
}

// observe asks the provider for the meeting's instances, if any may exist; without look, if something is wanted of one.
func (a *Advancer) observe(ctx context.Context, m greenroom.Meeting, look bool) (plan.Snapshot, error) {
	s := plan.Snapshot{Meeting: m, Zone: a.Zone, PushEvents: a.PushEvents, OnDemand: a.ObserveOnDemand}
	exists := false
	for i := range m.Seats {
		d := &m.Seats[i].Desktop
		exists = exists || d.MayExist() && (look || wanted(d, a.now()))
	}
	provider, ok := a.Providers[m.Blueprint.Provider]
	if !ok {
		return s, nil
	}
	s.Places = provider.Places(m.Blueprint)
	for _, r := range m.Blueprint.Roles {
		if own := provider.Places(m.Blueprint.For(r.Name)); r.Differs() && len(own) > 0 {
			if s.RolePlaces == nil {
				s.RolePlaces = map[string][]string{}
			}
			s.RolePlaces[r.Name] = own
		}
	}
	if !exists {
		return s, nil
	}
	ctx, cancel := context.WithDeadlineCause(ctx, a.now().Add(plan.EffectTimeout), errors.New("the provider did not list its instances in time"))
	defer cancel()
	list, err := provider.List(ctx, m.ID)
	if err != nil {
		return s, fmt.Errorf("list instances: %w", err)
	}
	s.Observed, s.Instances = true, make([]plan.Instance, 0, len(list))
	for _, i := range list {
		s.Instances = append(s.Instances, plan.Instance{
			ID: i.ID, Handle: i.Handle, Address: i.Address, Running: i.State == compute.Running,
			Ending: i.State == compute.ShuttingDown || i.State == compute.Terminated, Dead: i.State == compute.Terminated,
			End: i.End,
		})
	}
	return s, nil
}

func (a *Advancer) observed(ctx context.Context, before, after *greenroom.Meeting, events []greenroom.Event) {
	a.freed(ctx, before, after)
	if a.Observe != nil {
		a.Observe(ctx, before, after, events)
	}
}
