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
	"greenroom/internal/plan"
)

// start begins the effects that are not already under way: launches as one call to the provider, every
// other effect by itself, so that one seat's slow step does not hold up another's.
func (p *pass) start(ctx context.Context, m greenroom.Meeting, effects []plan.Effect) {
	var launches []plan.Effect
	for _, e := range effects {
		if p.inFlight[e] {
			continue
		}
		p.inFlight[e] = true
		if e.Do == plan.Launch {
			launches = append(launches, e)
			continue
		}
		go p.one(ctx, m, e)
	}
	if len(launches) > 0 {
		go p.launch(ctx, m, launches)
	}
}

// one performs an effect and hands in what came of it.
func (p *pass) one(ctx context.Context, m greenroom.Meeting, e plan.Effect) {
	ctx, cancel := bound(ctx, e)
	defer cancel()
	began := time.Now()
	o := plan.Outcome{Effect: e}
	d := &m.AnySeat(e.Handle.Role).Desktop
	switch e.Do {
	case plan.Publish:
		o.Err = p.publish(ctx, d)
	case plan.Prove:
		address, _ := netip.ParseAddr(d.Address)
		proof := p.Prober.Probe(ctx, d.Hostname, address)
		o.Proof = &proof
	case plan.Unpublish:
		o.Err = p.Records.DeleteRecords(ctx, []string{d.Hostname})
	case plan.Terminate:
		o.Err = p.terminate(ctx, m, d.InstanceID)
	case plan.Launch:
		// launches are asked for together
	}
	p.done(o, began)
}

func (p *pass) done(o plan.Outcome, began time.Time) {
	if p.Measure != nil {
		p.Measure(o.Effect.Do, time.Since(began), o.Err)
	}
	if o.Err != nil {
		p.Logger.Warn("effect went wrong", "meeting", p.id, "role", o.Effect.Handle.Role, "attempt", o.Effect.Handle.Attempt,
			"effect", string(o.Effect.Do), "err", o.Err)
	}
	p.outcomes <- o
}

func (p *pass) publish(ctx context.Context, d *greenroom.Desktop) error {
	address, err := netip.ParseAddr(d.Address)
	if err != nil {
		return fmt.Errorf("%w: the provider gave the address %q", greenroom.ErrPermanent, d.Address)
	}
	return p.Records.SetRecords(ctx, []dns.Record{{Name: d.Hostname, Address: address}})
}

func (p *pass) terminate(ctx context.Context, m greenroom.Meeting, instance string) error {
	provider, err := p.provider(m)
	if err != nil {
		return err
	}
	return provider.Terminate(ctx, instance)
}

func (p *pass) provider(m greenroom.Meeting) (compute.Provider, error) {
	provider, ok := p.Providers[m.Blueprint.Provider]
	if !ok {
		return nil, &greenroom.UserError{
			Message: fmt.Sprintf("The provider %q of the blueprint %q is not set up here.", m.Blueprint.Provider, m.Blueprint.Name),
			Cause:   greenroom.ErrPermanent,
		}
	}
	return provider, nil
}

// launch asks for the instances of one meeting in one call.
func (p *pass) launch(ctx context.Context, m greenroom.Meeting, effects []plan.Effect) {
	ctx, cancel := bound(ctx, effects[0])
	defer cancel()
	began := time.Now()
	for i, o := range p.askForInstances(ctx, m, effects) {
		p.done(plan.Outcome{Effect: effects[i], Err: o.Err, InstanceID: o.Instance.ID, Address: o.Instance.Address}, began)
	}
}

func (p *pass) askForInstances(ctx context.Context, m greenroom.Meeting, effects []plan.Effect) []compute.Outcome {
	provider, err := p.provider(m)
	requests := make([]compute.Request, len(effects))
	for i, e := range effects {
		s := m.AnySeat(e.Handle.Role)
		requests[i] = compute.Request{Handle: e.Handle, Blueprint: m.Blueprint, KillAt: s.Desktop.KillAt}
		if err == nil {
			requests[i].UserData, err = p.UserData(&m, s)
		}
	}
	if err == nil {
		return provider.Launch(ctx, requests)
	}
	outcomes := make([]compute.Outcome, len(effects))
	for i := range outcomes {
		outcomes[i].Err = err
	}
	return outcomes
}

func bound(ctx context.Context, e plan.Effect) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, effectTimeout, errors.New(string(e.Do)+" took longer than "+effectTimeout.String()))
}
