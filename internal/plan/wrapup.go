package plan

import (
	"time"

	"greenroom"
)

// hears is how long it takes at most until a desktop that is to go hears of it: its agent reports every ten seconds.
const hears = 15 * time.Second

// wrapUpUntil is until when a desktop that was used and is to go may still do what it has to do before, if it has not: its
// end hooks run. It has wrap_up for that, and is waited for no longer, whatever it says.
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
