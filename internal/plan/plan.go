// Package plan decides what should happen to one meeting. It is pure: a snapshot and a time go in, the
// meeting as it should be saved, the effects to perform and the time to look again come out. It is the only
// place that knows the rules; package advance carries out what it says.
package plan

import (
	"time"

	"greenroom"
)

// Snapshot is all that a decision is based on.
type Snapshot struct {
	Meeting    greenroom.Meeting
	Zone       string              // desktops are named <instance id>.<zone>
	Observed   bool                // Instances was looked up; otherwise absence means nothing
	Instances  []Instance          // what the provider lists for this meeting
	Places     []string            // where the provider has machines for this meeting, the best first
	RolePlaces map[string][]string // those of roles whose machines are not like the others
	PushEvents bool                // the provider sends an event when a machine changes its state: polling only makes up for lost ones
	OnDemand   bool                // each pass costs a call of a function: proofs are kept fresh only while people come
}

// Instance is one machine as its provider sees it.
type Instance struct {
	ID      string
	Handle  greenroom.Handle
	Address string
	Running bool  // it runs
	Ending  bool  // it is shutting down, or has
	Dead    bool  // it has: nothing of it remains at the provider
	End     error // why, as far as the provider says: of the kinds that a launch's error has
}

// Decision is what should happen now.
type Decision struct {
	Meeting greenroom.Meeting // to be saved before any effect, if Changed
	Events  []greenroom.Event // why it changed
	Changed bool
	Effects []Effect  // to perform after the save; each may be repeated safely
	Wake    time.Time // when to look again if nothing else happens; zero is never
	Why     string    // what Wake waits for
	Faults  []error   // rules that asked for what must not be, a *ForbiddenMoveError each; the rest of the decision holds
}

// Effect is one thing to do in the world for one attempt at a desktop.
type Effect struct {
	Do     Verb
	Handle greenroom.Handle
	Why    string
}

// Verb names an effect.
type Verb string

// The effects there are.
const (
	Launch    Verb = "launch"    // ask the provider for the instance of this token
	Publish   Verb = "publish"   // write the record
	Prove     Verb = "prove"     // probe from outside
	Unpublish Verb = "unpublish" // remove the record
	Terminate Verb = "terminate" // ask the provider to remove the instance
)

// Planning stands for the decision itself where effects are measured: a fault of the rules is counted under it.
const Planning = "plan"

// EffectTimeout bounds an effect: it happens within this time of the look that it follows from, or not at all.
const EffectTimeout = 20 * time.Second

// On names what an effect is about: effects on one thing of an attempt must not overtake each other.
func (v Verb) On() string {
	switch v {
	case Launch, Terminate:
		return "machine"
	case Publish, Unpublish:
		return "name"
	default:
		return "proof"
	}
}

// Times that are no rule of a blueprint.
const (
	missingAfter  = 10 * time.Second              // an instance absent this long, over at least two looks, is lost
	effectSettles = EffectTimeout + 5*time.Second // a launch or a record that was asked for may yet take effect: another process may have asked, too, by a clock that differs
	secondLook    = 5 * time.Second               // after that, absence is believed over this long
	earlyRelease  = time.Minute                   // a moved start releases desktops only beyond this
	removalRetry  = 30 * time.Second              // a removal that shows no effect is asked for again
	maxFailures   = 8                             // desktops that fail in a row before a seat is given up
	requestPause  = 30 * time.Second              // between attempts that a person asks for after that
	firstBackoff  = time.Second
	longestBackof = time.Minute
)

// maxRounds bounds how often the rules are applied at one instant: each round moves some desktop on, and no life has more moves.
var maxRounds = 2 * len(greenroom.Phases())

// Plan decides. It is idempotent: planning the resulting meeting again, with the same instances at the same
// time, changes nothing more. ErrUnsettled if the rules never come to rest: then nothing was decided.
func Plan(s Snapshot, now time.Time) (Decision, error) {
	p := &planner{Snapshot: s, now: now}
	p.m = s.Meeting.Clone()
	if !p.settle() {
		return Decision{Meeting: s.Meeting}, unsettled(p.events)
	}
	p.launchTogether()
	return Decision{Meeting: p.m, Events: p.events, Changed: p.changed, Effects: p.effects, Wake: p.wake, Why: p.why, Faults: p.faults}, nil
}

type planner struct {
	Snapshot
	now     time.Time
	m       greenroom.Meeting
	events  []greenroom.Event
	effects []Effect
	wake    time.Time
	why     string
	faults  []error
	moved   bool // in this round
	changed bool // in any round
}

// settle applies the rules until they change nothing more, and reports whether that came.
func (p *planner) settle() bool {
	for range maxRounds {
		p.moved, p.effects, p.faults, p.wake, p.why = false, nil, nil, time.Time{}, ""
		p.round()
		if !p.moved {
			return true
		}
		p.changed = true
	}
	return false
}

// round applies every rule once to the meeting as it is.
func (p *planner) round() {
	if p.m.Closed {
		return
	}
	if p.parked() {
		p.proveParked()
		return
	}
	if p.m.EndReason == "" {
		p.noteUse()
		p.decideEnd()
	}
	for i := range p.m.Seats {
		p.seat(&p.m.Seats[i])
	}
	p.dropRemoved()
	if p.m.EndReason != "" {
		p.close()
	}
}

// proveParked keeps the proofs of a parked meeting's desktops fresh: a look changes nothing, and people may go on entering.
func (p *planner) proveParked() {
	for i := range p.m.Seats {
		if s := &p.m.Seats[i]; s.Desktop.Enterable() && p.m.EndReason == "" && !s.Removed {
			p.prove(s)
		}
	}
}

// due reports whether t has come.
func (p *planner) due(t time.Time) bool { return !t.After(p.now) }

// farAhead is an instant that does not come.
var farAhead = time.Unix(1<<40, 0)

// wait has the meeting looked at again at t, if that is still to come.
func (p *planner) wait(t time.Time, why string) {
	if p.due(t) || !t.Before(farAhead) {
		return
	}
	if p.wake.IsZero() || t.Before(p.wake) {
		p.wake, p.why = t, why
	}
}

// poll looks again soon: often at first, more rarely the longer it takes.
func (p *planner) poll(since time.Time, why string) {
	took := p.now.Sub(since)
	every := min(max(took/8, 500*time.Millisecond), 5*time.Second)
	if p.PushEvents {
		every = min(max(took, 2*time.Second), 30*time.Second)
	}
	p.wait(p.now.Add(every), why)
}

func (p *planner) event(kind greenroom.EventKind, s *greenroom.Seat, message string, data map[string]string) {
	e := greenroom.Event{At: p.now, Kind: kind, Message: message, Data: data}
	if s != nil {
		e.Seat, e.Attempt = s.ID, s.Desktop.Attempt
	}
	p.events = append(p.events, e)
	p.moved = true
}

func (p *planner) effect(do Verb, s *greenroom.Seat, why string) {
	p.effects = append(p.effects, Effect{Do: do, Handle: p.m.Handle(s), Why: why})
}

// move takes a desktop to its next phase and tells why. A move that the phase table forbids is a fault of a rule, and is not made.
func (p *planner) move(s *greenroom.Seat, to greenroom.Phase, why string) {
	if p.fault(enter(s, to, p.now)) {
		return
	}
	p.event(greenroom.EventPhase, s, why, map[string]string{"phase": string(to)})
}

// fault keeps an error for whoever carries out the decision, and reports whether there was one.
func (p *planner) fault(err error) bool {
	if err != nil {
		p.faults = append(p.faults, err)
	}
	return err != nil
}

// enter sets the phase and what goes with every move. A *ForbiddenMoveError, and no change, if the phase table forbids it.
func enter(s *greenroom.Seat, to greenroom.Phase, now time.Time) error {
	d := &s.Desktop
	if !d.Phase.CanBecome(to) {
		return &ForbiddenMoveError{Seat: s.ID, Attempt: d.Attempt, From: d.Phase, To: to}
	}
	if d.Timings == nil {
		d.Timings = map[greenroom.Phase]time.Time{}
	}
	if !to.Live() && d.Agent.Connections > 0 {
		d.Agent.Connections, d.Agent.DisconnectedAt, s.LeftAt = 0, now, now
	}
	if !to.Live() {
		d.Present, d.Closing = nil, nil
	}
	d.Phase = to
	d.Timings[to] = now
	d.Tries, d.RetryAt, d.TurnAt = 0, time.Time{}, time.Time{}
	if to == greenroom.Booting {
		d.Tried, d.Blocked = nil, greenroom.Blocked{}
	}
	return nil
}
