package plan

import (
	"fmt"
	"time"

	"greenroom"
)

// decideEnd applies the rules that end a meeting as a whole.
func (p *planner) decideEnd() {
	r := p.m.Blueprint.Rules
	seats := p.m.Present()
	switch {
	case all(seats, func(s *greenroom.Seat) bool { return s.SessionData != nil }):
		p.end(greenroom.Completed, "Every seat has reported its session data.", nil)
	case p.connected():
		if limit := p.m.EndsAt.Add(time.Duration(max(r.Grace, r.Overtime))); p.due(limit, "the end of overtime") {
			p.end(greenroom.Expired, "The meeting's time and overtime are used up.", map[string]string{"limit": stamp(limit)})
		}
	case p.timeIsUp(r):
	case p.m.Used() && !p.m.Blueprint.Reports(): // nobody knows who is there: the end ends it
	case p.m.Used():
		since := p.emptySince()
		if p.due(since.Add(time.Duration(r.EmptyAfter)), "nobody being connected for "+r.EmptyAfter.String()) {
			p.end(greenroom.Completed, fmt.Sprintf("Nobody has been connected for %s.", r.EmptyAfter), map[string]string{"empty_since": stamp(since)})
		}
	default:
		p.decideUnused(seats)
	}
}

// timeIsUp ends a meeting that nobody is connected to when its end and grace have passed.
func (p *planner) timeIsUp(r greenroom.Rules) bool {
	limit := p.m.EndsAt.Add(time.Duration(r.Grace))
	if p.m.Used() {
		limit = later(limit, p.emptySince().Add(min(reconnect, time.Duration(r.EmptyAfter))))
	}
	if !p.due(limit, "the meeting's end and grace") {
		return false
	}
	reason, why := greenroom.Completed, "The meeting's time is over and nobody is connected."
	if !p.m.Used() {
		reason, why = p.unusedReason(), "The meeting's time is over and nobody came."
	}
	p.end(reason, why, map[string]string{"limit": stamp(limit)})
	return true
}

// decideUnused ends a meeting that nobody has used: nobody came, or nobody could be given a desktop.
func (p *planner) decideUnused(seats []*greenroom.Seat) {
	lost, hopeless := 0, true
	for _, s := range seats {
		if givenUp(s) {
			lost++
			hopeless = hopeless && s.Desktop.Permanent
		}
	}
	switch {
	case len(seats) > 0 && lost == len(seats):
		if hopeless || p.due(p.m.StartsAt, "the start, with no desktop to be had") {
			p.end(greenroom.GaveUp, "No seat could be given a desktop: "+seats[0].Desktop.Error, nil)
		}
	case all(seats, func(s *greenroom.Seat) bool { return givenUp(s) || p.absent(s) }):
		p.end(greenroom.NoShow, fmt.Sprintf("Nobody came within %s of the start.", p.m.Blueprint.Rules.NoShowAfter), nil)
	}
}

func (p *planner) unusedReason() greenroom.EndReason {
	if all(p.m.Present(), func(s *greenroom.Seat) bool { return s.Failures > 0 || givenUp(s) }) {
		return greenroom.GaveUp
	}
	return greenroom.NoShow
}

// absent reports whether the seat's person has not come in time. Time is counted from when the person
// could have come in, never from the machine's boot: a late desktop is not the person's fault.
func (p *planner) absent(s *greenroom.Seat) bool {
	d := &s.Desktop
	if d.EndReason == greenroom.RemovedNoShow && !s.Requested() {
		return true
	}
	readyAt, ok := d.Entered(greenroom.Ready)
	if d.Phase != greenroom.Ready || !ok {
		return false
	}
	since := later(p.m.StartsAt, readyAt)
	return p.due(since.Add(time.Duration(p.m.Blueprint.Rules.NoShowAfter)), "somebody to come to seat "+s.ID)
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

func (p *planner) connected() bool {
	for i := range p.m.Seats {
		if p.m.Seats[i].Desktop.Connected() {
			return true
		}
	}
	return false
}

// emptySince is when the last sign of a person was: a connection's end, an entry or a request. It never
// counts from before the start, so that those who tried their desktops early do not end the meeting.
func (p *planner) emptySince() time.Time {
	since := p.m.StartsAt
	for i := range p.m.Seats {
		s := &p.m.Seats[i]
		since = later(since, s.LeftAt, s.EnteredAt, s.RequestedAt)
	}
	return since
}

// givenUp reports whether a seat's desktop failed for good.
func givenUp(s *greenroom.Seat) bool {
	d := &s.Desktop
	return d.Phase == greenroom.Failed && d.Cleared && !s.Replacing() && (d.Permanent || s.Failures >= maxFailures)
}

func all(seats []*greenroom.Seat, holds func(*greenroom.Seat) bool) bool {
	ok := len(seats) > 0
	for _, s := range seats { // every seat is asked, so that each notes its own time to look again
		ok = holds(s) && ok
	}
	return ok
}

func later(t time.Time, others ...time.Time) time.Time {
	for _, o := range others {
		if o.After(t) {
			t = o
		}
	}
	return t
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
