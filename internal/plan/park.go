package plan

import (
	"time"

	"greenroom"
)

// parked reports whether an operator holds the meeting. Then nothing is decided and nothing is done, and the
// next look is at the end of the parking, which ends by itself: what is forgotten goes on costing.
func (p *planner) parked() bool {
	switch {
	case p.m.ParkedUntil.IsZero():
		return false
	case !p.due(p.m.ParkedUntil):
		p.wait(p.m.ParkedUntil, "the end of its parking; greenroom does nothing for this meeting before that")
		return true
	}
	p.events = append(p.events, Resume(&p.m, "The parking is over; greenroom acts on the meeting again.", nil, p.now))
	p.moved = true
	return false
}

// Park holds m until then and returns the timeline entry. Parking it again changes the end of parking.
func Park(m *greenroom.Meeting, until time.Time, reason string, evidence map[string]string, now time.Time) greenroom.Event {
	if m.ParkedUntil.IsZero() {
		m.ParkedAt = now
	}
	m.ParkedUntil, m.ParkedReason = until, reason
	data := map[string]string{"until": stamp(until), "reason": reason}
	for k, v := range evidence {
		data[k] = v
	}
	why := "The meeting was parked: greenroom does nothing for it for " + greenroom.Duration(until.Sub(now).Round(time.Second)).String() + "."
	if reason != "" {
		why += " Reason: " + reason
	}
	return greenroom.Event{At: now, Kind: greenroom.EventParked, Message: why, Data: data}
}

// Resume lets go of m and returns the timeline entry.
func Resume(m *greenroom.Meeting, why string, evidence map[string]string, now time.Time) greenroom.Event {
	letGo(m, now)
	return greenroom.Event{At: now, Kind: greenroom.EventResumed, Message: why, Data: evidence}
}

// letIn is when the participant of a desktop that cannot report was let in: that is all that is known of its use.
func (p *planner) letIn(s *greenroom.Seat) (time.Time, bool) {
	ready, _ := s.Desktop.Entered(greenroom.Ready)
	return s.EnteredAt, !p.m.Blueprint.Reports() && !ready.IsZero() && !s.EnteredAt.Before(ready)
}

// letGo ends a parking. Stages under way get their whole time again: that nobody looked on is no fault of theirs.
func letGo(m *greenroom.Meeting, now time.Time) {
	if m.ParkedUntil.IsZero() {
		return
	}
	m.ParkedUntil, m.ParkedAt, m.ParkedReason = time.Time{}, time.Time{}, ""
	for i := range m.Seats {
		if d := &m.Seats[i].Desktop; d.Phase.Starting() {
			d.Timings[d.Phase] = now
		}
	}
}

// noteUse takes note of people who are or were connected before any rule asks whether there were some: what happened
// while nothing was decided counts, too.
func (p *planner) noteUse() {
	for i := range p.m.Seats {
		s := &p.m.Seats[i]
		a := &s.Desktop.Agent
		if s.Desktop.Phase != greenroom.Ready {
			continue
		}
		if entered, ok := p.letIn(s); ok && s.UsedAt.IsZero() {
			s.UsedAt = entered
		} else if !ok && a.Connections == 0 && a.ConnectedAt.IsZero() {
			continue
		}
		if s.UsedAt.IsZero() {
			s.UsedAt = p.now
			if !a.ConnectedAt.IsZero() {
				s.UsedAt = a.ConnectedAt
			}
		}
		p.move(s, greenroom.InUse, "The desktop is in use.")
	}
}
