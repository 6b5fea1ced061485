package plan

import (
	"greenroom"
)

// vanished notes that a desktop's machine went without having been told to, and fails the attempt.
func (p *planner) vanished(s *greenroom.Seat, why string) {
	d := &s.Desktop
	data := map[string]string{"instance": d.InstanceID, "phase": string(d.Phase)}
	if !d.MissingSince.IsZero() {
		data["missing_since"] = stamp(d.MissingSince)
	}
	p.event(greenroom.EventInstanceLost, s, "The machine "+d.InstanceID+" was lost.", data)
	p.fail(s, why)
}
