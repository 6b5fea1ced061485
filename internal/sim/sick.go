package sim

import (
	"time"

	"greenroom"
)

// sickness is how a desktop is half-dead: its machine lives, and nobody can work on it.
type sickness int

const (
	well   sickness = iota
	frozen          // its agent neither serves nor reports
	torpid          // its agent reports, and says on its page that the screen does not answer
	lying           // its agent reports that all is well, and serves nobody
)

var sicknesses = map[sickness]string{frozen: "frozen desktop", torpid: "half-frozen desktop", lying: "lying agent"}

// sicken lets a desktop fall ill some time, and perhaps recover.
func (l *life) sicken(m *machine) {
	if l.hit(l.rates.Busy, "busy machine") {
		l.after(l.between(time.Minute, time.Hour), func() { l.busy(m) })
	}
	if !l.hit(l.rates.Sick, "half-dead desktop") {
		return
	}
	kind := sickness(1 + l.rng.IntN(3))
	l.after(l.between(time.Minute, 90*time.Minute), func() {
		if m.agent == nil || l.calm {
			return
		}
		l.count(sicknesses[kind])
		l.log("world: %s of %s", sicknesses[kind], m.handle.Token())
		m.agent.sick, m.sickAt = kind, l.now
		if l.rng.IntN(3) == 0 {
			l.after(l.between(5*time.Second, 5*time.Minute), func() { l.recover(m) })
		}
	})
}

func (l *life) recover(m *machine) {
	if m.agent == nil || m.agent.sick == well {
		return
	}
	l.log("world: the desktop of %s is well again", m.handle.Token())
	m.agent.sick, m.sickAt, m.wellAt = well, never, l.now
	m.agent.t.wake()
}

// busy slows a machine down for some seconds, again and again: looks are lost, and reports come late.
func (l *life) busy(m *machine) {
	if m.agent == nil || l.calm {
		return
	}
	m.busyUntil = l.now + l.between(time.Second, 8*time.Second)
	l.after(l.between(10*time.Second, 10*time.Minute), func() { l.busy(m) })
}

// answers reports whether somebody who comes to the desktop gets to work on it.
func (a *agent) answers() bool { return a.serves && a.sick == well }

// ill reports whether the machine's desktop is half-dead, or was a moment ago.
func (m *machine) ill(now time.Duration) bool {
	return m.sickAt < never || m.wellAt > 0 && now-m.wellAt < 2*time.Minute
}

// doubted reports whether greenroom has not seen the machine's desktop answer: its agent's reports matter then.
func (l *life) doubted(m *machine) bool {
	s := l.seat(m.handle)
	return s != nil && s.Desktop.Enterable() && s.Desktop.Trust.Failed > 0
}

// checkTrust holds what is noted of proofs against the looks that there were.
func (l *life) checkTrust(b *book, was, is *greenroom.Seat) {
	t := &is.Desktop.Trust
	if t.ProvedAt.IsZero() {
		return
	}
	last, looked := l.provedAt[is.Desktop.Hostname]
	if !looked || t.ProvedAt.Sub(epoch) > last+maxOffset+time.Second {
		l.fail("%s of %s counts as proved at %s, and no look was so late", is.ID, b.id, t.ProvedAt.Format("15:04:05"))
	}
	if is.EnteredAt.After(was.EnteredAt) && is.EnteredAt.Sub(t.ProvedAt) > b.now.Blueprint.ProofAge() {
		l.fail("%s of %s was let in, and the proof was %s old", is.ID, b.id, is.EnteredAt.Sub(t.ProvedAt))
	}
	if l.cur.kind == anEffect || l.cur.kind == aPass {
		if m := l.byToken[b.now.Handle(is).Token()]; m != nil && m.agent != nil && t.Failed > 0 {
			m.agent.t.wake() // in life it reports every ten seconds; here it does when that matters
		}
	}
}

// unlawfulVerdict says why a desktop whose machine lives should not have been given up, "" if it should.
func (l *life) unlawfulVerdict(was *greenroom.Seat, m *machine) string {
	d := &was.Desktop
	t := &d.Trust
	since := t.Since.Sub(epoch) + 2*maxOffset
	reported := m.agent != nil && m.agent.reported > since
	switch {
	case t.Failed < 2:
		return "and it had failed less than two looks"
	case !t.Denied && t.Failed < 8 && reported:
		return "and it had reported meanwhile"
	case d.Phase == greenroom.InUse && d.Connected() && reported && !was.AskedAt.After(t.Since):
		return "and somebody was connected"
	case m.ill(l.now):
		return ""
	}
	l.falses++
	if l.rates.Exact {
		return "and it is well"
	}
	return ""
}

// checkNoticed runs every few minutes in a calm world: a desktop that is half-dead and unused is not ready for long.
func (l *life) checkNoticed(b *book) {
	for i := range b.now.Seats {
		s := &b.now.Seats[i]
		m := l.byToken[b.now.Handle(s).Token()]
		if m == nil || s.Desktop.Phase != greenroom.Ready || !m.alive(l.now) {
			continue
		}
		if since := max(m.sickAt, l.calmAt); l.now-since > 4*b.now.Blueprint.ProofAge()+3*time.Minute {
			l.fail("%s of %s is half-dead for %s, and counts as ready", s.ID, b.id, l.now-since)
		}
	}
}
