package advance

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"greenroom"
	"greenroom/internal/compute"
	"greenroom/internal/dns"
	"greenroom/internal/logkey"
	"greenroom/internal/plan"
)

// Calls groups the effects by the calls that perform them: launches are one call to the provider, every other
// effect is one by itself, so that one seat's slow step does not hold up another's.
func (s Step) Calls() [][]plan.Effect {
	var launches []plan.Effect
	var calls [][]plan.Effect
	for _, e := range s.Effects {
		if e.Do == plan.Launch {
			launches = append(launches, e)
		} else {
			calls = append(calls, []plan.Effect{e})
		}
	}
	if len(launches) > 0 {
		calls = append(calls, launches)
	}
	return calls
}

// Perform makes one of the step's calls and returns what came of each of its effects.
func (a *Advancer) Perform(ctx context.Context, s Step, call []plan.Effect) []plan.Outcome {
	ctx, cancel := context.WithDeadlineCause(ctx, s.Deadline, errors.New(string(call[0].Do)+" took longer than "+plan.EffectTimeout.String()))
	defer cancel()
	began := a.Now()
	var outcomes []plan.Outcome
	if call[0].Do == plan.Launch {
		outcomes = a.launch(ctx, s.Meeting, call)
	} else {
		outcomes = []plan.Outcome{a.perform(ctx, s.Meeting, call[0])}
	}
	for _, o := range outcomes {
		a.tell(o, a.Now().Sub(began))
	}
	return outcomes
}

func (a *Advancer) perform(ctx context.Context, m greenroom.Meeting, e plan.Effect) plan.Outcome {
	o := plan.Outcome{Effect: e}
	d := &m.AnySeat(e.Handle.Seat).Desktop
	switch e.Do {
	case plan.Publish:
		o.Err = a.publish(ctx, d)
		if p, ok := errors.AsType[*dns.PendingError](o.Err); ok {
			o.Err, o.TurnAt = nil, p.Until
		}
	case plan.Prove:
		address, _ := netip.ParseAddr(d.Address)
		if d.Enterable() {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, plan.ProofTimeout(&m))
			defer cancel()
		}
		proof := a.Prober.Probe(ctx, d.Hostname, address)
		o.Proof = &proof
	case plan.Unpublish:
		o.Err = dns.Explain(a.Records.DeleteRecords(ctx, []string{d.Hostname}))
	case plan.Terminate:
		o.Err = a.terminate(ctx, m, d.InstanceID)
	case plan.Launch:
		// launches are asked for together
	}
	return o
}

func (a *Advancer) tell(o plan.Outcome, took time.Duration) {
	if a.Measure != nil {
		a.Measure(o.Effect.Do, took, o.Err)
	}
	if o.Err != nil {
		h := o.Effect.Handle
		a.Logger.Warn("effect failed", logkey.Meeting, h.Meeting, logkey.Seat, h.Seat, logkey.Attempt, h.Attempt, logkey.Effect, string(o.Effect.Do), logkey.Duration, took, logkey.Err, o.Err)
	}
}

func (a *Advancer) publish(ctx context.Context, d *greenroom.Desktop) error {
	address, err := netip.ParseAddr(d.Address)
	if err != nil {
		return fmt.Errorf("%w: the provider gave the address %q", greenroom.ErrPermanent, d.Address)
	}
	return dns.Explain(a.Records.SetRecords(ctx, []dns.Record{{Name: d.Hostname, Address: address}}))
}

func (a *Advancer) terminate(ctx context.Context, m greenroom.Meeting, instance string) error {
	provider, err := a.provider(m)
	if err != nil {
		return err
	}
	return provider.Terminate(ctx, instance)
}

func (a *Advancer) provider(m greenroom.Meeting) (compute.Provider, error) {
	provider, ok := a.Providers[m.Blueprint.Provider]
	if !ok {
		return nil, &greenroom.UserError{
			Message: fmt.Sprintf("The provider %q of the blueprint %q is not set up here.", m.Blueprint.Provider, m.Blueprint.Name),
			Cause:   greenroom.ErrPermanent,
		}
	}
	return provider, nil
}

// launch asks for the instances of one meeting in one call.
func (a *Advancer) launch(ctx context.Context, m greenroom.Meeting, effects []plan.Effect) []plan.Outcome {
	provider, err := a.provider(m)
	requests := make([]compute.Request, len(effects))
	for i, e := range effects {
		s := m.AnySeat(e.Handle.Seat)
		requests[i] = compute.Request{Handle: e.Handle, Blueprint: m.Blueprint.For(s.Role), Launch: s.Desktop.Launch, StartsAt: m.StartsAt, KillAt: s.Desktop.KillAt}
		if err == nil {
			requests[i].UserData, err = a.UserData(&m, s)
		}
	}
	answers := make([]compute.Outcome, len(effects))
	if err == nil {
		answers = provider.Launch(ctx, requests)
	}
	outcomes := make([]plan.Outcome, len(effects))
	for i, o := range answers {
		outcomes[i] = plan.Outcome{Effect: effects[i], Err: errors.Join(err, o.Err), InstanceID: o.Instance.ID, Address: o.Instance.Address}
		if q, ok := errors.AsType[*compute.QueuedError](o.Err); ok {
			outcomes[i].TurnAt = q.Until
		}
	}
	return outcomes
}
