package sim

import "time"

// sleep lets the one machine on which everything runs sleep for hours, as a laptop does: processes and desktops stand still and go on
// where they were, and the clock has gone on. Nothing is started meanwhile.
func (l *life) sleep() {
	if l.calm || l.darkUntil > l.now {
		return
	}
	l.darkUntil = l.now + l.between(10*time.Minute, 10*time.Hour)
	l.log("the machine sleeps for %s", l.darkUntil-l.now)
	for _, p := range l.processes {
		p.stopped = max(p.stopped, l.darkUntil)
	}
	for _, m := range l.machines {
		m.busyUntil = max(m.busyUntil, l.darkUntil)
	}
	l.at(l.darkUntil, l.revive)
}
