package sim

import (
	"maps"
	"slices"
	"strings"
	"time"

	"greenroom"
)

// committed holds a save against the one before it and against the world.
func (l *life) committed(b *book, events []greenroom.Event) {
	prev, next := b.now, l.store.Peek(b.id)
	b.now = next
	l.logCommit(b, events)
	for _, e := range events {
		b.was[e.Kind]++
	}
	if next.Rev != prev.Rev+1 {
		l.fail("revision %d follows %d", next.Rev, prev.Rev)
	}
	if prev.Rev > 0 {
		l.checkOwners(b, &prev, &next)
	}
	if l.cur.name == "edit" && !b.forced {
		l.checkEdit(b, &prev, &next)
	}
	l.checkMoves(&prev, events, &next)
	for i := range next.Seats {
		l.checkSeat(b, prev.AnySeat(next.Seats[i].ID), &next.Seats[i])
	}
	l.checkIDs(b, &prev, &next)
	if next.EndReason != prev.EndReason {
		l.checkReason(b, &prev, &next, events)
	}
	l.checkWake(b, &prev, &next)
	l.checkFreed(b, &prev, &next)
	if was, is := prev.State(), next.State(); was != is {
		if !was.Live() {
			b.live = l.now
		}
		l.turn()
	}
	l.invite(b)
}

// checkIDs has every new seat get an id that the meeting never had before.
func (l *life) checkIDs(b *book, prev, next *greenroom.Meeting) {
	for i := range next.Seats {
		id := next.Seats[i].ID
		if prev.AnySeat(id) == nil && b.ids[id] {
			l.fail("a new seat got the id %s of one that was taken off", id)
		}
		b.ids[id] = true
	}
}

func (l *life) logCommit(b *book, events []greenroom.Event) {
	if l.trace == nil {
		return
	}
	who := "?"
	if l.cur.p != nil {
		who = l.cur.p.name
	}
	l.log("%s saves %s revision %d, wake %s", who, b.id, b.now.Rev, b.now.WakeAt.Format("15:04:05.000"))
	for _, e := range events {
		l.log("    %s %s %s.%d %s", e.At.Format("15:04:05.000"), e.Kind, e.Seat, e.Attempt, e.Message)
	}
}

// checkWake runs after every save: who will look at the meeting again, and what is left of one that is over.
func (l *life) checkWake(b *book, prev, next *greenroom.Meeting) {
	switch {
	case prev.Closed && !next.Closed:
		l.fail("a closed meeting was opened again")
	case next.Closed:
		l.checkClosed(b)
	case next.WakeAt.IsZero():
		l.fail("meeting %s is open, and nothing will wake it", b.id)
	case l.cur.kind == aPass && l.cur.planning && next.WakeAt.Before(epoch.Add(l.cur.looked-3*maxOffset)):
		l.fail("meeting %s is to be woken at a time that has passed", b.id)
	}
}

// checkClosed runs when a meeting says that nothing of it remains.
func (l *life) checkClosed(b *book) {
	for _, m := range l.machines {
		if m.handle.Meeting != b.id {
			continue
		}
		if m.alive(l.now) {
			l.fail("meeting %s is closed, and machine %s lives", b.id, m.handle.Token())
		}
		if name := m.id + "." + zoneName; l.left(name) {
			l.fail("meeting %s is closed, and record %s is there", b.id, name)
		}
	}
	for _, s := range b.now.Seats {
		if s.Desktop.Phase != greenroom.Gone || s.Desktop.EndReason == "" {
			l.fail("meeting %s is closed, and desktop %s is %s (%q)", b.id, s.ID, s.Desktop.Phase, s.Desktop.EndReason)
		}
	}
	if l.closedAt < 0 && !slices.ContainsFunc(l.books, func(b *book) bool { return b.id == "" || !b.now.Closed }) {
		l.closedAt = l.now
		l.after(l.between(0, 3*time.Minute), l.becomeCalm)
	}
}

// checkMoves replays what the timeline tells: each move must be legal, and the last must be where the desktop is.
func (l *life) checkMoves(prev *greenroom.Meeting, events []greenroom.Event, next *greenroom.Meeting) {
	at := map[string]greenroom.Phase{}
	for i := range prev.Seats {
		at[prev.Seats[i].ID] = prev.Seats[i].Desktop.Phase
	}
	for _, e := range events {
		switch e.Kind {
		case greenroom.EventPhase, greenroom.EventReady, greenroom.EventFailed:
		default:
			continue
		}
		to := e.Entered()
		if from, ok := at[e.Seat]; ok && to != "" && from != to && !from.CanBecome(to) {
			l.fail("illegal move of %s from %s to %s: %s", e.Seat, from, to, e.Message)
		}
		if to != "" {
			at[e.Seat] = to
		}
		if e.Message == "" {
			l.fail("a move of %s to %s for no reason", e.Seat, to)
		}
	}
	for i := range next.Seats {
		s := &next.Seats[i]
		if told, ok := at[s.ID]; ok && told != s.Desktop.Phase || !ok && s.Desktop.Phase != greenroom.Planned {
			l.fail("%s is %s, and the timeline says %s", s.ID, s.Desktop.Phase, told)
		}
	}
}

// owners says which of a meeting's parts each kind of writer may change.
var owners = map[string][]string{
	"pass": {"desktop", "timing", "end", "parking"}, "edit": {"meeting"}, "stop": {"end", "version", "timing", "parking"},
	"park": {"version", "timing", "parking"}, "enter": {"entry"},
	"enrol": {"agent"}, "report": {"agent"}, "verify": {"entry"}, "session data": {"data"},
}

// checkOwners finds lost updates: a writer that saved something old over what another had changed.
func (l *life) checkOwners(b *book, prev, next *greenroom.Meeting) {
	who := l.cur.name
	if l.cur.kind == aPass {
		who = "pass"
	}
	check := func(part string, same bool, role string) {
		if !same && !slices.Contains(owners[who], part) {
			l.fail("a %s changed the %s of %s %s: an update was lost", who, part, b.id, role)
		}
	}
	check("meeting", prev.Title == next.Title && prev.StartsAt.Equal(next.StartsAt) && prev.EndsAt.Equal(next.EndsAt), "")
	if prev.Version != next.Version && who != "edit" {
		check("version", false, "")
	}
	check("parking", prev.ParkedUntil.Equal(next.ParkedUntil), "")
	check("end", prev.EndReason == next.EndReason && prev.EndedAt.Equal(next.EndedAt), "")
	if prev.EndReason != "" && prev.EndReason != next.EndReason {
		l.fail("the end of %s was %s and became %s", b.id, prev.EndReason, next.EndReason)
	}
	for i := range prev.Seats {
		was := &prev.Seats[i]
		is := next.AnySeat(was.ID)
		if is == nil {
			check("meeting", was.Removed && who == "pass", was.ID)
			continue
		}
		check("meeting", was.Key == is.Key && was.Name == is.Name && was.Removed == is.Removed, was.ID)
		check("data", sameData(was.SessionData, is.SessionData), was.ID)
		check("entry", was.EnteredAt.Equal(is.EnteredAt) && was.RequestedAt.Equal(is.RequestedAt) && was.AskedAt.Equal(is.AskedAt), was.ID)
		if was.Desktop.Attempt != is.Desktop.Attempt {
			check("desktop", false, was.ID)
			continue
		}
		l.checkDesktopOwner(check, was, is)
	}
}

// checkEdit runs when a change that was not forced is saved: it takes no desktop from anybody.
func (l *life) checkEdit(b *book, prev, next *greenroom.Meeting) {
	now := epoch.Add(l.now - 2*maxOffset)
	for _, was := range prev.Present() {
		is := next.Seat(was.ID)
		later := next.StartsAt.After(prev.StartsAt) && now.Before(next.LaunchAt().Add(-time.Minute-4*maxOffset)) && !now.Before(prev.LaunchAt().Add(-time.Minute))
		if l.there(was, now.Add(4*maxOffset)) && was.Desktop.Phase.Live() && (is == nil || later) {
			l.fail("a change that was not forced takes the desktop of %s of %s, who is or was there a moment ago", was.ID, b.id)
		}
	}
}

func sameData(a, b *greenroom.SessionData) bool {
	return a == b || a != nil && b != nil && *a == *b
}

func (l *life) checkDesktopOwner(check func(part string, same bool, role string), was, is *greenroom.Seat) {
	a, b := &was.Desktop, &is.Desktop
	check("entry", slices.Equal(a.Tokens, b.Tokens), was.ID)
	check("meeting", a.Released == b.Released, was.ID)
	check("desktop", a.Trust == b.Trust, was.ID)
	check("desktop", a.Phase == b.Phase && a.InstanceID == b.InstanceID && a.Address == b.Address && a.KillAt.Equal(b.KillAt) && a.Cleared == b.Cleared &&
		a.Unpublished == b.Unpublished && a.RemovalAskedAt.Equal(b.RemovalAskedAt) && a.EndReason == b.EndReason, was.ID)
	check("timing", maps.EqualFunc(a.Timings, b.Timings, time.Time.Equal), was.ID)
	facts, told := a.Agent, b.Agent
	if !b.Phase.Live() {
		facts.Connections, facts.DisconnectedAt, told.Connections, told.DisconnectedAt = 0, time.Time{}, 0, time.Time{}
	}
	check("agent", facts == told, was.ID)
}

// checkReason holds the end of a meeting against what happened.
func (l *life) checkReason(b *book, prev, next *greenroom.Meeting, events []greenroom.Event) {
	b.reasons = next.EndReason
	if !slices.ContainsFunc(events, func(e greenroom.Event) bool {
		return e.Kind == greenroom.EventEnding && e.Data["reason"] == string(next.EndReason) && e.Message != ""
	}) {
		l.fail("meeting %s ended, and the timeline does not say why", b.id)
	}
	if why := l.unlawful(b, prev, next); why != "" {
		l.fail("meeting %s ended as %s, %s: %s", b.id, next.EndReason, why, describe(next))
	}
}

// unlawful says why a meeting should not have ended for the reason it did, "" if it should.
func (l *life) unlawful(b *book, prev, next *greenroom.Meeting) string {
	r, at := next.Blueprint.Rules, next.EndedAt.Add(time.Millisecond)
	graceOver := !at.Before(next.EndsAt.Add(time.Duration(r.Grace)))
	connected := slices.ContainsFunc(prev.Seats, func(s greenroom.Seat) bool { return s.Desktop.Connected() })
	data := !slices.ContainsFunc(next.Present(), func(s *greenroom.Seat) bool { return s.SessionData == nil })
	switch next.EndReason {
	case greenroom.EndedByHost, greenroom.Cancelled:
		if !b.stops[next.EndReason] {
			return "and nobody asked for it"
		}
	case greenroom.Completed:
		switch {
		case data:
		case connected:
			return "and somebody is connected"
		case b.was[greenroom.EventConnected] == 0 && (next.Blueprint.Reports() || b.was[greenroom.EventEntered] == 0):
			return "and nobody ever came"
		case graceOver && (overtimeOver(next, at) || !at.Before(l.lastThere(next).Add(time.Duration(r.EmptyAfter)))):
		case graceOver:
			return "and somebody was there shortly before"
		case !next.Blueprint.Reports():
			return "and nobody can know that it was empty"
		case at.Before(l.emptySince(next).Add(time.Duration(r.EmptyAfter))):
			return "and somebody was there shortly before"
		}
	case greenroom.NoShow, greenroom.GaveUp:
		if next.Used() || slices.ContainsFunc(next.Seats, func(s greenroom.Seat) bool { return !s.Desktop.Agent.ConnectedAt.IsZero() }) {
			return "and somebody was there"
		}
		if next.EndReason == greenroom.NoShow && at.Before(next.EndsAt) {
			return "and somebody had time to come"
		}
		if next.EndReason == greenroom.NoShow && !graceOver && slices.ContainsFunc(next.Seats, func(s greenroom.Seat) bool { return !s.EnteredAt.IsZero() || !s.RequestedAt.IsZero() }) {
			return "and somebody was on the way"
		}
		if next.EndReason == greenroom.GaveUp && slices.ContainsFunc(next.Present(), func(s *greenroom.Seat) bool { return s.Desktop.Phase == greenroom.Ready }) {
			return "and there is a desktop"
		}
	case greenroom.Expired:
		if at.Before(next.EndsAt.Add(time.Duration(max(r.Grace, r.Overtime)))) {
			return "and there is time left"
		}
	}
	return ""
}

// overtimeOver reports whether even those who are connected have to go.
func overtimeOver(m *greenroom.Meeting, at time.Time) bool {
	r := m.Blueprint.Rules
	return !at.Before(m.EndsAt.Add(time.Duration(max(r.Grace, r.Overtime))))
}

func (l *life) emptySince(m *greenroom.Meeting) time.Time {
	since := l.lastThere(m)
	if m.StartsAt.After(since) {
		since = m.StartsAt
	}
	return since
}

// lastThere is when somebody was connected last.
func (l *life) lastThere(m *greenroom.Meeting) time.Time {
	var since time.Time
	for _, s := range m.Seats {
		if s.LeftAt.After(since) {
			since = s.LeftAt
		}
	}
	return since
}

// there reports whether a desktop's person is connected at that time, or was within empty_after.
func (l *life) there(s *greenroom.Seat, at time.Time) bool {
	d := &s.Desktop
	left := d.Agent.DisconnectedAt
	return d.Connected() || !left.IsZero() && at.Before(left.Add(time.Duration(l.blueprint.Rules.EmptyAfter)))
}

// checkSeat holds one desktop against what it was.
func (l *life) checkSeat(b *book, was, is *greenroom.Seat) {
	if was == nil {
		return
	}
	from, to := &was.Desktop, &is.Desktop
	if to.Attempt != from.Attempt {
		if to.Attempt != from.Attempt+1 || from.Phase != greenroom.Gone && from.Phase != greenroom.Failed && from.Phase != greenroom.Terminating {
			l.fail("attempt %d of %s follows %d, which was %s", to.Attempt, is.ID, from.Attempt, from.Phase)
		}
		return
	}
	if m := l.byToken[b.now.Handle(is).Token()]; to.Cleared && !from.Cleared && m != nil && l.now < m.dead && l.now-m.launched > young {
		l.fail("%s of %s counts as gone, and its machine is not", is.ID, b.id)
	}
	l.checkTrust(b, was, is)
	if from.Phase == to.Phase {
		return
	}
	if at, ok := from.Entered(greenroom.Ready); ok && from.Enterable() && !to.Enterable() {
		l.watched += to.Timings[to.Phase].Sub(at)
	}
	switch to.Phase {
	case greenroom.Proving:
		l.written[to.Hostname] = true
	case greenroom.Ready, greenroom.InUse:
		if to.LastProof().IsZero() || !l.proved[to.Hostname] {
			l.fail("%s of %s is %s and was not proved", is.ID, b.id, to.Phase)
		}
	case greenroom.Terminating:
		l.checkTerminating(b, was, is)
	case greenroom.Failed:
		l.checkFailed(b, was, is)
	default: // needs nothing but to be legal
	}
}

func (l *life) checkTerminating(b *book, was, is *greenroom.Seat) {
	d, at := &is.Desktop, is.Desktop.Timings[greenroom.Terminating].Add(time.Millisecond)
	unlawful := ""
	switch d.EndReason {
	case greenroom.RemovalReason(b.now.EndReason):
	case greenroom.RemovedSeat:
		if !is.Removed {
			unlawful = "and the seat is there"
		}
	case greenroom.RemovedKillTime:
		if at.Before(d.KillAt) {
			unlawful = "and is not old enough"
		}
	case greenroom.RemovedReplaced:
		if is.ReplaceAttempt != d.Attempt || is.ReplaceReason == "" {
			unlawful = "and nobody asked for another"
		}
	case greenroom.RemovedRescheduled:
		if l.there(was, at) && !d.Released {
			unlawful = "and somebody is or was there a moment ago"
		} else if !at.Before(b.now.LaunchAt()) {
			unlawful = "and the start is near"
		}
	case greenroom.RemovedNoShow:
		ready := d.Timings[greenroom.Ready]
		if ready.Before(b.now.StartsAt) {
			ready = b.now.StartsAt
		}
		if !b.now.Blueprint.Reports() && !was.EnteredAt.Before(ready) {
			unlawful = "and its person was let in"
		} else if !was.EnteredAt.Before(ready) && at.Before(was.EnteredAt.Add(greenroom.TokenLife-2*maxOffset)) {
			unlawful = "and its person is on the way in"
		} else if was.Desktop.Phase == greenroom.InUse || !d.Agent.ConnectedAt.IsZero() || at.Before(ready.Add(time.Duration(b.now.Blueprint.Rules.NoShowAfter))) {
			unlawful = "and its person had time to come"
		}
	default:
		unlawful = "and that is no reason"
	}
	if unlawful != "" {
		l.fail("%s of %s, %s, was removed as %q %s", is.ID, b.id, was.Desktop.Phase, d.EndReason, unlawful)
	}
}

// young is the age to which a machine may be missing from every list.
const young = 45 * time.Second

func (l *life) checkFailed(b *book, was, is *greenroom.Seat) {
	p := was.Desktop.Phase
	m := l.byToken[b.now.Handle(is).Token()]
	if (p == greenroom.Ready || p == greenroom.InUse) && m != nil && m.alive(l.now) && l.now-m.launched > young {
		if why := l.unlawfulVerdict(was, m); why != "" {
			l.fail("%s of %s, %s, was failed, and its machine lives, %s: %s", is.ID, b.id, p, why, is.Desktop.Error)
		}
	}
	if p == greenroom.InUse && l.calm && m != nil && m.why == "its kill time" && l.now > l.calmAt+5*time.Minute {
		l.fail("%s of %s ended itself at its kill time, and nobody removed it before", is.ID, b.id)
	}
	if m != nil && m.alive(l.now) && p.Starting() && p != greenroom.Launching {
		l.checkGivenUp(b, was, is)
	}
	if is.Desktop.Permanent && !is.Desktop.Agent.Permanent && l.faults["permanent refusal"] == 0 {
		l.fail("%s of %s failed for good, and nothing that no retry can fix was said: %s", is.ID, b.id, is.Desktop.Error)
	}
	if strings.TrimSpace(is.Desktop.Error) == "" {
		l.fail("%s of %s failed for no reason", is.ID, b.id)
	}
}

// stageDeadline is the default: blueprints here have no other.
var stageDeadline = greenroom.DefaultRules().StageDeadline

// checkGivenUp runs when a desktop that was on its way failed, and its machine lives: its time must be over, or its agent must
// have said why, or looks must have missed it for long.
func (l *life) checkGivenUp(b *book, was, is *greenroom.Seat) {
	d, at := &was.Desktop, is.Desktop.Timings[greenroom.Failed]
	deadline := time.Duration(stageDeadline[d.Phase])
	inTime := at.Before(d.Timings[d.Phase].Add(deadline))
	seen := d.MissingSince.IsZero() || at.Before(d.MissingSince.Add(10*time.Second))
	if inTime && seen && d.Agent.Error == "" {
		l.fail("%s of %s, %s, was given up in time, and its machine lives: %s", is.ID, b.id, d.Phase, is.Desktop.Error)
	}
}
