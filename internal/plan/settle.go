package plan

import (
	"errors"
	"strconv"
	"time"

	"greenroom"
)

// Outcome is what came of an effect.
type Outcome struct {
	Effect Effect
	Err    error
	// Launch
	TurnAt     time.Time // launch: nothing was asked for, and the turn comes then; publish: accepted, and to be asked again then
	InstanceID string
	Address    string // empty until known
	// Prove
	Proof *greenroom.Proof
}

// Settle folds outcomes into the meeting and returns what to tell. An outcome for an attempt or a stage that
// is over changes nothing: the world may answer late, twice, or to another replica. The faults are
// moves that the phase table forbids, a *ForbiddenMoveError each; they were not made, and everything else was.
func Settle(m *greenroom.Meeting, zone string, outcomes []Outcome, now time.Time) (events []greenroom.Event, faults []error) {
	for _, o := range outcomes {
		s := m.AnySeat(o.Effect.Handle.Seat)
		if s == nil || m.Handle(s) != o.Effect.Handle {
			continue
		}
		e, err := settle(m, s, zone, o, now)
		if err != nil {
			faults = append(faults, err)
		}
		if e != nil {
			if e.Kind == greenroom.EventReady {
				e.Data["blueprint"] = m.Blueprint.Name
			}
			events = append(events, *e)
		}
	}
	return events, faults
}

func settle(m *greenroom.Meeting, s *greenroom.Seat, zone string, o Outcome, now time.Time) (*greenroom.Event, error) {
	d := &s.Desktop
	switch o.Effect.Do {
	case Launch:
		if o.InstanceID != "" && d.InstanceID == "" {
			d.InstanceID, d.Hostname = o.InstanceID, o.InstanceID+"."+zone
		}
		if d.Phase != greenroom.Launching {
			return nil, nil
		}
		if !o.TurnAt.IsZero() {
			return queued(s, o, now), nil
		}
		if errors.Is(o.Err, greenroom.ErrBlocked) {
			return blocked(m, s, o.Err, now), nil
		}
		if o.Err != nil {
			return launchFailed(s, o.Err, now)
		}
		if d.Address == "" {
			d.Address = o.Address
		}
		return advance(s, greenroom.Booting, "The machine "+d.InstanceID+" was accepted by its provider.", now)
	case Publish:
		if d.Phase != greenroom.Naming {
			return nil, nil
		}
		if o.Err != nil {
			return namingFailed(s, o.Err, now)
		}
		if o.TurnAt.After(now) && now.Before(d.Timings[greenroom.Naming].Add(nameSpreads)) {
			return spreading(s, o.TurnAt, now), nil
		}
		return advance(s, greenroom.Proving, "The name "+d.Hostname+" is written.", now)
	case Prove:
		switch {
		case o.Proof == nil:
			return nil, nil
		case d.Enterable():
			return reproved(m, s, *o.Proof, now), nil
		case d.Phase != greenroom.Proving:
			return nil, nil
		}
		return proved(s, *o.Proof, now)
	case Unpublish, Terminate:
		return removing(s, o, now), nil
	}
	return nil, nil
}

// removing takes the outcome of a removal to a desktop that is going.
func removing(s *greenroom.Seat, o Outcome, now time.Time) *greenroom.Event {
	d := &s.Desktop
	switch name := o.Effect.Do == Unpublish; {
	case d.Phase != greenroom.Terminating && d.Phase != greenroom.Failed:
	case o.Err != nil && name:
		return retry(s, "The name could not be removed yet.", o.Err, now)
	case o.Err != nil:
		return retry(s, "The machine could not be removed yet.", o.Err, now)
	case name:
		d.Unpublished = true
	default:
		d.RemovalAskedAt = now
	}
	return nil
}

// queued waits for the launch's turn. Nothing failed, so that neither tries nor the stage's time are used up.
func queued(s *greenroom.Seat, o Outcome, now time.Time) *greenroom.Event {
	tries := s.Desktop.Tries
	e := retry(s, "The machine waits for its turn: the provider starts only so many at once, and others start earlier.", o.Err, now)
	s.Desktop.Tries, s.Desktop.RetryAt, s.Desktop.TurnAt = tries, o.TurnAt, o.TurnAt
	return e
}

// nameSpreads is how long a zone's servers are waited for. Then the proof, which asks each of them, takes over.
const nameSpreads = time.Minute

// spreading waits for the zone's servers to learn a name that was accepted. Nothing failed; it is told once.
func spreading(s *greenroom.Seat, again, now time.Time) *greenroom.Event {
	d := &s.Desktop
	told := !d.RetryAt.IsZero() && d.Error == ""
	d.RetryAt, d.Error, d.Tries = again, "", 0
	if told {
		return nil
	}
	return &greenroom.Event{At: now, Kind: greenroom.EventPhase, Seat: s.ID, Attempt: d.Attempt, Data: map[string]string{"phase": string(d.Phase)},
		Message: "The name " + d.Hostname + " is accepted; the zone's servers learn it within a minute."}
}

// namingFailed treats a name that was not written. One that somebody else has is not waited for: the next desktop has another.
func namingFailed(s *greenroom.Seat, err error, now time.Time) (*greenroom.Event, error) {
	if !errors.Is(err, greenroom.ErrConflict) {
		return retry(s, "The name could not be written yet.", err, now), nil
	}
	s.Desktop.Unpublished = true // nothing of ours can be there
	return failed(s, "The zone has a record of "+s.Desktop.Hostname+" that is not greenroom's; it was left alone, and the desktop needs another name.", err, now)
}

// failed is fail with the cause as evidence.
func failed(s *greenroom.Seat, why string, cause error, now time.Time) (*greenroom.Event, error) {
	e, err := fail(s, why, now)
	if err == nil {
		e.Data["cause"] = cause.Error()
	}
	return e, err
}

// launchFailed treats a refusal. That this call launched nothing does not say that no other did, with the same
// token and more luck: the attempt is confirmed dead like any other before there is a next one.
func launchFailed(s *greenroom.Seat, err error, now time.Time) (*greenroom.Event, error) {
	d := &s.Desktop
	permanent, capacity := errors.Is(err, greenroom.ErrPermanent), errors.Is(err, greenroom.ErrCapacity)
	if !permanent && !capacity {
		return retry(s, "The machine could not be started yet.", err, now), nil
	}
	fallback := "The provider refused to start the machine."
	if capacity {
		fallback = "The provider has no machine to give at the moment."
		d.Tried = append(d.Tried, d.Launch.Place)
	}
	d.Permanent, d.Blocked = permanent, greenroom.Blocked{}
	return failed(s, greenroom.Sentence(err, fallback), err, now)
}

// proved keeps the proof and moves on when it holds.
func proved(s *greenroom.Seat, proof greenroom.Proof, now time.Time) (*greenroom.Event, error) {
	d := &s.Desktop
	d.Proof = &proof
	if !proof.OK {
		last := proof.Steps[max(len(proof.Steps)-1, 0)]
		return retry(s, "The desktop does not answer from outside yet ("+last.Name+": "+last.Detail+").", nil, now), nil
	}
	data := map[string]string{}
	for _, step := range proof.Steps {
		data["proof_"+step.Name] = step.Took.String()
	}
	stages := []greenroom.Phase{greenroom.Launching, greenroom.Booting, greenroom.Naming, greenroom.Proving}
	for i, stage := range stages {
		end := now
		if i+1 < len(stages) {
			end = d.Timings[stages[i+1]]
		}
		data[string(stage)] = seconds(end.Sub(d.Timings[stage]))
	}
	data["total"] = seconds(now.Sub(d.Timings[greenroom.Launching]))
	if err := enter(s, greenroom.Ready, now); err != nil {
		return nil, err
	}
	s.Failures, d.Error = 0, ""
	d.Trust = greenroom.Trust{ProvedAt: proof.At, LookedAt: proof.At}
	return &greenroom.Event{
		At: now, Kind: greenroom.EventReady, Seat: s.ID, Attempt: d.Attempt, Data: data,
		Message: "The desktop is ready: its name, certificate and page were proved from outside.",
	}, nil
}

func advance(s *greenroom.Seat, to greenroom.Phase, why string, now time.Time) (*greenroom.Event, error) {
	if err := enter(s, to, now); err != nil {
		return nil, err
	}
	s.Desktop.Error = ""
	return &greenroom.Event{At: now, Kind: greenroom.EventPhase, Seat: s.ID, Attempt: s.Desktop.Attempt, Message: why, Data: map[string]string{"phase": string(to)}}, nil
}

// retry schedules another try of the stage's effect. Only a new complaint is told: the same one again would
// bury the timeline.
func retry(s *greenroom.Seat, sentence string, err error, now time.Time) *greenroom.Event {
	d := &s.Desktop
	d.RetryAt = now.Add(retryPause(d.Tries))
	d.Tries++
	sentence = greenroom.Sentence(err, sentence)
	if d.Error == sentence {
		return nil
	}
	d.Error = sentence
	e := &greenroom.Event{At: now, Kind: greenroom.EventRetry, Seat: s.ID, Attempt: d.Attempt, Message: sentence, Data: map[string]string{"phase": string(d.Phase)}}
	if err != nil {
		e.Data["cause"] = err.Error()
	}
	return e
}

// retryPause doubles from a quarter of a second to ten seconds.
func retryPause(tries int) time.Duration {
	return min(250*time.Millisecond<<min(tries, 10), 10*time.Second)
}

func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 3, 64) }
