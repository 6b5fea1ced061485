package plan

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"greenroom"
)

// seat applies the rules of one seat's desktop.
func (p *planner) seat(s *greenroom.Seat) {
	d := &s.Desktop
	if reason, why := p.unwanted(s); reason != "" {
		p.remove(s, reason, why)
	} else if d.Phase.Live() {
		p.wait(d.KillAt, "the machine's maximum age")
		if Moved(&p.m, p.now) {
			p.wait(p.m.KeptUntil(s), "somebody who was in a moment ago")
		}
	}
	if p.Observed && d.MayExist() {
		p.look(s)
	}
	switch d.Phase {
	case greenroom.Planned:
		p.planned(s)
	case greenroom.Launching:
		p.launching(s)
	case greenroom.Booting:
		p.booting(s)
	case greenroom.Naming:
		p.naming(s)
	case greenroom.Proving:
		p.proving(s)
	case greenroom.Ready:
		p.ready(s)
	case greenroom.Terminating, greenroom.Failed:
		p.clear(s)
	case greenroom.Gone:
		p.gone(s)
	case greenroom.InUse: // beside this its rules are those of the meeting's end and of the machine's age
		p.prove(s)
		p.unproved(s)
	}
}

// unwanted says why a seat's desktop should not be there, "" if it should.
func (p *planner) unwanted(s *greenroom.Seat) (greenroom.RemovalReason, string) {
	d := &s.Desktop
	switch {
	case p.m.EndReason != "":
		return greenroom.RemovalReason(p.m.EndReason), "The meeting is over."
	case s.Removed:
		return greenroom.RemovedSeat, "The organiser took the seat off the meeting."
	case !d.Phase.Live():
		return "", ""
	case p.due(d.KillAt):
		return greenroom.RemovedKillTime, fmt.Sprintf("The machine is %s old, its maximum age.", p.m.Blueprint.Rules.KillAfter)
	case s.Replacing():
		return greenroom.RemovedReplaced, "The organiser asked for a new desktop: " + s.ReplaceReason
	case Moved(&p.m, p.now) && (d.Released || !p.wantedNow(s)):
		return greenroom.RemovedRescheduled, "The meeting was moved to a later time."
	}
	return "", ""
}

// Moved reports whether the start is so far ahead that no desktop is due yet: one that is there, is left from an earlier start.
func Moved(m *greenroom.Meeting, now time.Time) bool {
	return now.Before(m.LaunchAt().Add(-earlyRelease))
}

// wantedNow reports whether somebody is or was a moment ago in the seat's desktop, or asked for it.
func (p *planner) wantedNow(s *greenroom.Seat) bool {
	return p.m.Keeps(s, p.now) || s.RequestedAt.After(s.Desktop.Timings[greenroom.Planned])
}

// remove starts a desktop's removal, whatever it is doing.
func (p *planner) remove(s *greenroom.Seat, reason greenroom.RemovalReason, why string) {
	d := &s.Desktop
	switch {
	case d.Phase.Live():
		evidence := presence(s, reason)
		d.EndReason = reason
		p.move(s, greenroom.Terminating, why)
		maps.Copy(p.events[len(p.events)-1].Data, evidence)
	case d.Phase == greenroom.Planned, d.Phase == greenroom.Failed && d.Cleared:
		if d.EndReason == "" {
			d.EndReason = reason
		}
		p.move(s, greenroom.Gone, why)
	}
}

// presence is what is known of the person of a desktop that is removed, as evidence.
func presence(s *greenroom.Seat, reason greenroom.RemovalReason) map[string]string {
	d := &s.Desktop
	data := map[string]string{"reason": string(reason), "connections": strconv.Itoa(d.Agent.Connections)}
	for name, at := range map[string]time.Time{"away_since": d.AwaySince(), "entered_at": s.EnteredAt, "proved_at": d.LastProof()} {
		if !at.IsZero() {
			data[name] = stamp(at)
		}
	}
	if d.Released {
		data["forced"] = "true"
	}
	return data
}

// look compares a desktop with what its provider lists.
func (p *planner) look(s *greenroom.Seat) {
	d := &s.Desktop
	handle := p.m.Handle(s)
	i := slices.IndexFunc(p.Instances, func(i Instance) bool { return i.Handle == handle })
	if i < 0 {
		p.missing(s)
		return
	}
	inst := p.Instances[i]
	if !d.MissingSince.IsZero() {
		d.MissingSince = time.Time{}
		p.moved = true
	}
	if d.InstanceID == "" {
		d.InstanceID, d.Hostname = inst.ID, inst.ID+"."+p.Zone
		p.moved = true
	}
	if d.Address == "" && inst.Running && inst.Address != "" && d.Phase.Live() {
		d.Address = inst.Address
		p.moved = true
	}
	if inst.Ending && d.Phase.Live() {
		p.ended(s, inst.End)
	}
}

// missing treats an instance that a look did not find: once is no proof, twice over some time is.
func (p *planner) missing(s *greenroom.Seat) {
	d := &s.Desktop
	if !d.Phase.Live() || d.InstanceID == "" {
		return
	}
	p.missedNow(d)
	if again := d.MissingSince.Add(missingAfter); !p.due(again) {
		p.wait(again, "a second look for a missing machine")
		return
	}
	p.vanished(s, "The desktop's machine is no longer there.", nil)
}

// missedNow notes the first look that did not find the instance.
func (p *planner) missedNow(d *greenroom.Desktop) {
	if d.MissingSince.IsZero() {
		d.MissingSince = p.now
		p.moved = true
	}
}

// planned launches when the time has come.
func (p *planner) planned(s *greenroom.Seat) {
	d := &s.Desktop
	at, why := p.m.LaunchAt(), fmt.Sprintf("The start is at most %s ahead.", p.m.Blueprint.Rules.Lead)
	if d.Attempt > 1 && !at.After(p.now) {
		at, why = d.RetryAt, "The seat needs a new desktop."
	}
	if !p.due(at) {
		p.wait(at, "the launch, "+p.m.Blueprint.Rules.Lead.String()+" before the start")
		return
	}
	d.Attempt = max(d.Attempt, 1)
	d.KillAt = p.now.Add(time.Duration(p.m.Blueprint.Rules.KillAfter))
	p.move(s, greenroom.Launching, why)
}

func (p *planner) launching(s *greenroom.Seat) {
	d := &s.Desktop
	if !p.inTime(s) {
		return
	}
	if d.InstanceID != "" {
		p.move(s, greenroom.Booting, "The machine "+d.InstanceID+" was accepted by its provider.")
		return
	}
	if p.goesElsewhere(s) {
		p.launchElsewhere(s)
		return
	}
	p.effectAt(d.RetryAt, Launch, s, "the seat needs a machine", "another try at the launch")
}

// effectAt asks for an effect once its time has come.
func (p *planner) effectAt(at time.Time, do Verb, s *greenroom.Seat, why, wait string) {
	if p.due(at) {
		p.effect(do, s, why)
	}
	p.wait(at, wait)
}

func (p *planner) booting(s *greenroom.Seat) {
	d := &s.Desktop
	if !p.inTime(s) {
		return
	}
	if d.Address != "" {
		p.move(s, greenroom.Naming, "The machine runs at "+d.Address+".")
		return
	}
	p.poll(d.Timings[greenroom.Booting], "the machine to run")
}

func (p *planner) naming(s *greenroom.Seat) {
	if p.inTime(s) {
		p.effectAt(s.Desktop.RetryAt, Publish, s, "the machine runs and has an address", "another try at the record")
	}
}

func (p *planner) proving(s *greenroom.Seat) {
	d := &s.Desktop
	switch {
	case !p.inTime(s):
	case p.m.Blueprint.Reports() && d.Agent.ReadyAt.IsZero():
		// the agent's report wakes the meeting; the stage's deadline bounds the wait
	default:
		p.effectAt(d.RetryAt, Prove, s, "name and machine are there", "another proof")
	}
}

func (p *planner) ready(s *greenroom.Seat) {
	at := absentAt(&p.m, s)
	if !p.due(at) {
		p.wait(at, "somebody to come to seat "+s.ID)
		p.prove(s)
		p.unproved(s)
		return
	}
	p.remove(s, greenroom.RemovedNoShow, fmt.Sprintf("Nobody used it within %s. Whoever comes later gets a new one.", p.m.Blueprint.Rules.NoShowAfter))
}

// inTime fails a desktop whose agent said that it will never be ready, or whose stage took too long.
func (p *planner) inTime(s *greenroom.Seat) bool {
	d := &s.Desktop
	if d.Agent.Error != "" {
		d.Permanent = d.Permanent || d.Agent.Permanent
		p.fail(s, d.Agent.Error)
		return false
	}
	deadline := stageDeadline(&p.m, d.Phase)
	if limit := stageBegan(d).Add(deadline); !p.due(limit) {
		p.wait(limit, d.Phase.Words().WaitsFor+", at the latest; then the desktop is replaced")
		return true
	}
	why := fmt.Sprintf("The stage %q took longer than %s.", d.Phase, greenroom.Duration(deadline))
	if d.Error != "" {
		why += " Last: " + d.Error
	}
	p.fail(s, why)
	return false
}

func (p *planner) fail(s *greenroom.Seat, why string) {
	e, err := fail(s, why, p.now)
	if p.fault(err) {
		return
	}
	p.events = append(p.events, *e)
	p.moved = true
}

// fail notes that this attempt is lost.
func fail(s *greenroom.Seat, why string, now time.Time) (*greenroom.Event, error) {
	d := &s.Desktop
	data := map[string]string{"phase": string(d.Phase)}
	if err := enter(s, greenroom.Failed, now); err != nil {
		return nil, err
	}
	d.Error, d.EndReason = why, greenroom.RemovedFailed
	s.Failures++
	return &greenroom.Event{At: now, Kind: greenroom.EventFailed, Seat: s.ID, Attempt: d.Attempt, Message: why, Data: data}, nil
}

// clear removes what a terminating or failed desktop has in the world, and confirms that it is gone.
func (p *planner) clear(s *greenroom.Seat) {
	d := &s.Desktop
	if d.Cleared {
		p.replace(s)
		return
	}
	retry := p.due(d.RetryAt)
	p.wait(d.RetryAt, "another try at the removal")
	named := d.Hostname != "" && !d.Unpublished
	if named && retry {
		p.effectAt(nameSettles(d), Unpublish, s, "the desktop is going", "certainty that no record is still being written")
	}
	exists, certain := p.exists(s)
	if !exists && !certain {
		p.lookTwice(s)
	}
	if until, ok := wrapUpUntil(&p.m, d); exists && ok && !p.due(until) {
		p.wait(until, "the desktop's end hooks, for wrap_up at most")
		return
	}
	if exists && retry {
		p.effectAt(removalAgainAt(d), Terminate, s, "the desktop is going", "a removal that shows no effect")
	}
	if named || exists || !certain {
		p.poll(d.Timings[d.Phase], "the machine to be gone")
		return
	}
	d.Cleared = true
	if d.Phase == greenroom.Terminating {
		p.move(s, greenroom.Gone, "Record and machine are gone.")
		return
	}
	p.event(greenroom.EventPhase, s, "What was left of the failed desktop is gone.", map[string]string{"phase": string(d.Phase)})
}

// nameSettles is until when a record may yet be written that was asked for and never answered: a removal before that
// could be overtaken. Once one was answered nobody waits: what another process may still be writing is the sweep's.
func nameSettles(d *greenroom.Desktop) time.Time {
	_, asked := d.Entered(greenroom.Naming)
	_, written := d.Entered(greenroom.Proving)
	if !asked || written {
		return time.Time{}
	}
	return d.Timings[d.Phase].Add(effectSettles)
}

// removalAgainAt is when a removal may be asked for: at once, and again when it shows no effect.
func removalAgainAt(d *greenroom.Desktop) time.Time {
	if d.RemovalAskedAt.IsZero() {
		return time.Time{}
	}
	return d.RemovalAskedAt.Add(removalRetry)
}

// exists reports whether the attempt's instance still exists, and whether that is certain. An attempt whose
// launch was never answered may yet appear, and a list may lag: only two looks that miss it, after no launch can
// take effect any more, settle it.
func (p *planner) exists(s *greenroom.Seat) (exists, certain bool) {
	d := &s.Desktop
	handle := p.m.Handle(s)
	if !p.Observed {
		return d.InstanceID != "", false
	}
	for _, i := range p.Instances {
		if i.Handle == handle && (!i.Dead || d.RemovalAskedAt.IsZero()) {
			return true, true // also a dead one, until its removal was asked for: it may have left something behind
		}
	}
	if d.InstanceID == "" {
		return false, !d.MissingSince.IsZero() && p.due(d.MissingSince.Add(secondLook))
	}
	return d.RemovalAskedAt.IsZero(), true
}

// lookTwice notes the first look that missed a machine whose launch was never answered, once no launch can have an effect
// any more, and waits for the second.
func (p *planner) lookTwice(s *greenroom.Seat) {
	d := &s.Desktop
	if !p.Observed || d.InstanceID != "" {
		return
	}
	if settled := d.Timings[d.Phase].Add(effectSettles); !p.due(settled) {
		p.wait(settled, "certainty that the launch left nothing")
		return
	}
	p.missedNow(d)
	p.wait(d.MissingSince.Add(secondLook), "a second look that the launch left nothing")
}

// replace plans the next attempt after a failure, while there is time and retries are left.
func (p *planner) replace(s *greenroom.Seat) {
	d := &s.Desktop
	if d.Phase != greenroom.Failed || p.m.EndReason != "" || s.Removed {
		return
	}
	failedAt := d.Timings[greenroom.Failed]
	next := later(failedAt.Add(backoff(s.Failures-1)), d.TurnAt)
	if givenUp(s) {
		if !s.Requested() {
			return
		}
		next = failedAt.Add(requestPause)
	}
	if !p.due(next) {
		p.wait(next, "the next attempt at seat "+s.ID)
		return
	}
	p.again(s, "The failed desktop is replaced.")
}

// gone plans a new attempt when somebody wants the seat again.
func (p *planner) gone(s *greenroom.Seat) {
	if p.m.EndReason != "" || s.Removed {
		return
	}
	switch {
	case s.Replacing(), s.Desktop.EndReason == greenroom.RemovedReplaced:
		p.again(s, "The desktop is replaced, as the organiser asked.")
	case s.Desktop.EndReason == greenroom.RemovedRescheduled:
		p.again(s, "A new desktop is planned for the new time.")
	case s.Requested():
		p.again(s, nameOf(s)+" came and gets a new desktop.")
	}
}

func (p *planner) again(s *greenroom.Seat, why string) {
	s.Desktop = s.Desktop.NextAttempt(p.now)
	p.event(greenroom.EventPhase, s, why, map[string]string{"phase": string(greenroom.Planned)})
}

// dropRemoved forgets seats that were taken off and whose desktop is gone.
func (p *planner) dropRemoved() {
	p.m.Seats = slices.DeleteFunc(p.m.Seats, func(s greenroom.Seat) bool {
		if !s.Removed || s.Desktop.Phase != greenroom.Gone {
			return false
		}
		if p.m.Dropped == nil {
			p.m.Dropped = map[string]int{}
		}
		p.m.Dropped[s.ID] = s.Desktop.Attempt
		p.moved = true
		return true
	})
}

// backoff doubles from a second to a minute; the first replacement comes at once.
func backoff(n int) time.Duration {
	if n <= 0 {
		return 0
	}
	return min(firstBackoff<<min(n-1, 10), longestBackof)
}

func nameOf(s *greenroom.Seat) string {
	switch {
	case s.Name != "":
		return s.Name
	case s.ID == s.Role:
		return "The " + s.Role
	}
	return "Seat " + s.ID
}
