package plan

import (
	"time"

	"greenroom"
)

// hears is how long it takes at most until a desktop that is to go hears of it: its agent reports every ten seconds.
const hears = 15 * time.Second

// wrappingUp reports whether a desktop that was used and is to go still does what it has to do before: its end hooks run.
// It has wrap_up for that, and is waited for no longer, whatever it says.
func (p *planner) wrappingUp(s *greenroom.Seat) bool {
	until, ok := wrapUpUntil(&p.m, &s.Desktop)
	return ok && !p.due(until, "the desktop's end hooks, for wrap_up at most")
}

// wrapUpUntil is how long end hooks are waited for, if there are some that have not ended.
func wrapUpUntil(m *greenroom.Meeting, d *greenroom.Desktop) (time.Time, bool) {
	a := &d.Agent
	if d.Phase != greenroom.Terminating || !d.Used() || !a.EndHooks || !a.EndedAt.IsZero() || !d.RemovalAskedAt.IsZero() {
		return time.Time{}, false
	}
	until := d.Timings[greenroom.Terminating].Add(hears + time.Duration(m.Blueprint.Rules.WrapUp))
	if !d.KillAt.IsZero() && d.KillAt.Before(until) {
		until = d.KillAt
	}
	return until, true
}
