package plan

import (
	"fmt"
	"slices"
	"time"

	"greenroom"
)

// decideEnd applies the rules that end a meeting as a whole.
func (p *planner) decideEnd() {
	r := p.m.Blueprint.Rules
	seats := p.m.Present()
	switch {
	case every(seats, func(s *greenroom.Seat) bool { return s.SessionData != nil }):
		p.end(greenroom.Completed, "Every seat has reported its session data.", nil)
	case connected(&p.m):
		limit := overtimeEnds(&p.m)
		p.endAt(limit, "the end of overtime", greenroom.Expired, "The meeting's time and overtime are used up.", "limit", limit)
	case p.due(timeIsUp(&p.m)):
		p.endInTime(timeIsUp(&p.m))
	default:
		p.wait(timeIsUp(&p.m), "the meeting's end and grace")
		p.decideEmpty(seats, r)
	}
}

// decideEmpty ends a meeting that nobody is connected to before its time is up.
func (p *planner) decideEmpty(seats []*greenroom.Seat, r greenroom.Rules) {
	switch {
	case p.m.Used() && !p.m.Blueprint.Reports(): // nobody knows who is there: the end ends it
	case p.m.Used():
		since := emptySince(&p.m)
		p.endAt(since.Add(time.Duration(r.EmptyAfter)), "nobody being connected for "+r.EmptyAfter.String(),
			greenroom.Completed, fmt.Sprintf("Nobody has been connected for %s.", r.EmptyAfter), "empty_since", since)
	default:
		p.decideUnused(seats)
	}
}

// overtimeEnds is when a meeting ends that people are connected to.
func overtimeEnds(m *greenroom.Meeting) time.Time {
	r := m.Blueprint.Rules
	return m.EndsAt.Add(time.Duration(max(r.Grace, r.Overtime)))
}

// timeIsUp is when a meeting ends that nobody is connected to: when its end and grace have passed. A person who was there
// within empty_after may come back until overtime is over, too; one to which nobody came ends with its time.
func timeIsUp(m *greenroom.Meeting) time.Time {
	r := m.Blueprint.Rules
	limit := m.EndsAt.Add(time.Duration(r.Grace))
	last := lastSeen(m)
	switch {
	case m.Used():
		return earlier(later(limit, last.Add(time.Duration(r.EmptyAfter))), overtimeEnds(m))
	case last.IsZero() && !slices.ContainsFunc(m.Present(), func(s *greenroom.Seat) bool { return s.Desktop.Phase.Starting() }):
		return m.EndsAt
	}
	return limit
}

// endInTime ends a meeting whose time was up at limit.
func (p *planner) endInTime(limit time.Time) {
	reason, why := greenroom.Completed, "The meeting's time is over and nobody is connected."
	if !p.m.Used() {
		reason, why = unusedReason(&p.m), "The meeting's time is over and nobody came."
	}
	p.end(reason, why, map[string]string{"limit": stamp(limit)})
}

// endAt ends the meeting when at has come. The evidence is one instant and its name.
func (p *planner) endAt(at time.Time, wait string, reason greenroom.EndReason, why, evidence string, instant time.Time) {
	if !p.due(at) {
		p.wait(at, wait)
		return
	}
	p.end(reason, why, map[string]string{evidence: stamp(instant)})
}

// decideUnused ends a meeting that nobody has used when nobody can be given a desktop.
func (p *planner) decideUnused(seats []*greenroom.Seat) {
	if !every(seats, givenUp) {
		return // until its end whoever comes gets a desktop
	}
	if !p.due(p.m.StartsAt) { // until then the organiser can fix the cause
		p.wait(p.m.StartsAt, "the start, with no desktop to be had")
		return
	}
	p.end(greenroom.GaveUp, "No seat could be given a desktop: "+seats[0].Desktop.Error, nil)
}

func unusedReason(m *greenroom.Meeting) greenroom.EndReason {
	if every(m.Present(), func(s *greenroom.Seat) bool { return s.Failures > 0 || givenUp(s) || !s.Desktop.Blocked.Since.IsZero() }) {
		return greenroom.GaveUp
	}
	return greenroom.NoShow
}

// absentAt is when a ready desktop that nobody has used is removed. Time is counted from when the person could have come
// in, not from the machine's boot: a late desktop is not the person's fault. Who was given a way in may be on it.
func absentAt(m *greenroom.Meeting, s *greenroom.Seat) time.Time {
	ready, ok := s.Desktop.Entered(greenroom.Ready)
	if s.Desktop.Phase != greenroom.Ready || !ok {
		return farAhead
	}
	at := later(m.StartsAt, ready).Add(time.Duration(m.Blueprint.Rules.NoShowAfter))
	if !s.EnteredAt.Before(ready) {
		at = later(at, s.EnteredAt.Add(greenroom.TokenLife))
	}
	return at
}

// end records that the meeting is over and why.
func (p *planner) end(reason greenroom.EndReason, why string, evidence map[string]string) {
	p.events = append(p.events, End(&p.m, reason, why, evidence, p.now))
	p.moved = true
}

// End marks m as over and returns the timeline entry. It is how hosts end meetings, too.
func End(m *greenroom.Meeting, reason greenroom.EndReason, why string, evidence map[string]string, now time.Time) greenroom.Event {
	m.EndReason, m.EndedAt = reason, now
	letGo(m, now) // whoever ends a meeting has decided: a parked one goes on to its end
	data := map[string]string{"reason": string(reason)}
	for k, v := range evidence {
		data[k] = v
	}
	return greenroom.Event{At: now, Kind: greenroom.EventEnding, Message: why, Data: data}
}

// close notes that nothing of an ended meeting remains.
func (p *planner) close() {
	for i := range p.m.Seats {
		if p.m.Seats[i].Desktop.Phase != greenroom.Gone {
			return
		}
	}
	p.m.Closed = true
	p.event(greenroom.EventEnded, nil, "The meeting has ended; nothing of it remains.", map[string]string{"reason": string(p.m.EndReason)})
	p.wake, p.why, p.effects = time.Time{}, "", nil
}

func connected(m *greenroom.Meeting) bool {
	return slices.ContainsFunc(m.Seats, func(s greenroom.Seat) bool { return s.Desktop.Connected() })
}

// emptySince is since when a meeting counts as empty: since the last sign of a person, and never from before the start, so
// that those who tried their desktops early do not end the meeting.
func emptySince(m *greenroom.Meeting) time.Time { return later(m.StartsAt, lastSeen(m)) }

// lastSeen is when the last sign of a person was: a connection's end, an entry or a request. Zero if there was none.
func lastSeen(m *greenroom.Meeting) time.Time {
	var last time.Time
	for i := range m.Seats {
		s := &m.Seats[i]
		last = later(last, s.LeftAt, s.EnteredAt, s.RequestedAt)
	}
	return last
}

// givenUp reports whether a seat's desktop failed for good.
func givenUp(s *greenroom.Seat) bool {
	d := &s.Desktop
	return d.Phase == greenroom.Failed && d.Cleared && !s.Replacing() && (d.Permanent || s.Failures >= maxFailures)
}

// every reports whether there are seats and holds is true of each.
func every(seats []*greenroom.Seat, holds func(*greenroom.Seat) bool) bool {
	return len(seats) > 0 && !slices.ContainsFunc(seats, func(s *greenroom.Seat) bool { return !holds(s) })
}

func later(t time.Time, others ...time.Time) time.Time {
	for _, o := range others {
		if o.After(t) {
			t = o
		}
	}
	return t
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
