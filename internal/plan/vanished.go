package plan

import (
	"errors"

	"greenroom"
)

// ended treats a machine that went without having been told to. Why it did says what the next attempt does, as the error of a launch
// would have: a provider may accept a machine and refuse it a moment later.
func (p *planner) ended(s *greenroom.Seat, end error) {
	d := &s.Desktop
	starting, place := d.Phase.Starting(), d.Launch.Place
	p.vanished(s, greenroom.Sentence(end, "The desktop's machine stopped by itself."), end)
	switch {
	case errors.Is(end, greenroom.ErrCapacity):
		d.Tried = append(d.Tried, place)
	case !starting: // it was had once
	case errors.Is(end, greenroom.ErrBlocked): // no failure of the seat: it is asked for again until the meeting's end
		s.Failures--
		d.Blocked = greenroom.Blocked{Since: p.now, At: p.now}
		d.TurnAt = p.now.Add(blockedPause + jitter(p.m.ID, p.now, blockedPause))
	case errors.Is(end, greenroom.ErrPermanent):
		d.Permanent = true
	}
}

// vanished notes that a desktop's machine went, and fails the attempt. The cause may be nil.
func (p *planner) vanished(s *greenroom.Seat, why string, cause error) {
	d := &s.Desktop
	data := map[string]string{"instance": d.InstanceID, "phase": string(d.Phase)}
	if !d.MissingSince.IsZero() {
		data["missing_since"] = stamp(d.MissingSince)
	}
	if cause != nil {
		data["cause"] = cause.Error()
	}
	p.event(greenroom.EventInstanceLost, s, "The machine "+d.InstanceID+" was lost.", data)
	p.fail(s, why)
}
