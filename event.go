package greenroom

import "time"

// Event is one entry of a meeting's timeline. It is stored in the transaction of the change it tells of.
type Event struct {
	Seq     int64             `json:"seq"` // rises within a meeting, from 1; given by the store
	At      time.Time         `json:"at"`
	Kind    EventKind         `json:"kind"`
	Seat    string            `json:"role,omitempty"` // its id; stored as Seat.ID is
	Attempt int               `json:"attempt,omitempty"`
	Message string            `json:"message"`        // a sentence for people
	Data    map[string]string `json:"data,omitempty"` // the evidence: instants, durations, addresses; never a secret
}

// Entered is the phase that the event says its desktop entered, "" if it tells of another thing.
func (e *Event) Entered() Phase {
	switch e.Kind {
	case EventPhase:
		return Phase(e.Data["phase"])
	case EventReady:
		return Ready
	case EventFailed:
		return Failed
	default:
		return ""
	}
}

// MaxRepeats is how many entries that people and programs can cause at will a timeline keeps. More are counted.
const MaxRepeats = 1000

// Repeats reports whether people and programs outside can cause entries of the kind at will. What greenroom does by itself is always
// on the timeline.
func (k EventKind) Repeats() bool {
	switch k {
	case EventChanged, EventEntered, EventVerified, EventConnected, EventDisconnected, EventRequested, EventSessionData,
		EventProblem, EventProblemOver, EventRefused, EventKeyReissued, EventReplaced, EventParked, EventResumed:
		return true
	default: // greenroom's own doing
		return false
	}
}

// Bound returns the events that the meeting's timeline has room for, and counts the others.
func (m *Meeting) Bound(events []Event) []Event {
	var kept []Event
	for _, e := range events {
		switch {
		case !e.Kind.Repeats():
		case m.Repeats >= MaxRepeats:
			m.Unlisted++
			continue
		default:
			m.Repeats++
		}
		kept = append(kept, e)
	}
	return kept
}

// EventKind names what happened.
type EventKind string

// Everything a timeline can tell.
const (
	EventScheduled     EventKind = "scheduled"
	EventChanged       EventKind = "changed"
	EventEnding        EventKind = "ending"        // decided; the reason and its evidence are in Data
	EventEnded         EventKind = "ended"         // nothing remains
	EventPhase         EventKind = "phase"         // a desktop entered a phase
	EventRetry         EventKind = "retry"         // an effect failed and is tried again
	EventReady         EventKind = "desktop_ready" // with the seconds each stage took
	EventFailed        EventKind = "desktop_failed"
	EventEnrolled      EventKind = "enrolled"
	EventEntered       EventKind = "entered"  // a participant was given the entry URL
	EventVerified      EventKind = "verified" // a desktop token was accepted or refused
	EventConnected     EventKind = "connected"
	EventDisconnected  EventKind = "disconnected"
	EventRequested     EventKind = "requested" // somebody came whose desktop was gone
	EventSessionData   EventKind = "session_data"
	EventProblem       EventKind = "problem"      // a desktop's agent tells of a problem that may clear by itself
	EventProblemOver   EventKind = "problem_over" // it did
	EventRefused       EventKind = "refused"      // something from a desktop was not accepted
	EventKeyReissued   EventKind = "key_reissued"
	EventReplaced      EventKind = "replaced"      // the organiser asked for a new desktop; why is in Data
	EventParked        EventKind = "parked"        // an operator parked the meeting; until when and why are in Data
	EventResumed       EventKind = "resumed"       // by the operator, by its end, or because the time was over
	EventInstanceLost  EventKind = "instance_lost" // a desktop's machine stopped or vanished by itself
	EventSweptInstance EventKind = "swept"         // a machine or a name of this meeting that belongs to none of its desktops was removed
)

// EventKinds lists every kind.
func EventKinds() []EventKind {
	return []EventKind{
		EventScheduled, EventChanged, EventEnding, EventEnded, EventPhase, EventRetry, EventReady, EventFailed, EventEnrolled, EventEntered,
		EventVerified, EventConnected, EventDisconnected, EventRequested, EventSessionData, EventProblem, EventProblemOver, EventRefused,
		EventKeyReissued, EventReplaced, EventParked, EventResumed, EventInstanceLost, EventSweptInstance,
	}
}
