package greenroom

import "slices"

// Phase is how far a desktop has come.
type Phase string

// The phases of a desktop, in the order of a good life.
const (
	Planned     Phase = "planned"     // nothing exists yet
	Launching   Phase = "launching"   // the intent and its token are saved; the provider is being asked
	Booting     Phase = "booting"     // the provider accepted: the instance id is known
	Naming      Phase = "naming"      // running with an address; the record is being written
	Proving     Phase = "proving"     // the record is written; probed from outside
	Ready       Phase = "ready"       // proved: name, certificate and desktop answer; warm-up done
	InUse       Phase = "in_use"      // a participant is or was connected
	Terminating Phase = "terminating" // record and instance are being removed
	Gone        Phase = "gone"        // record and instance are confirmed to be no more
	Failed      Phase = "failed"      // a stage passed its deadline or its error is permanent
)

// Phases lists every phase in the order of a good life.
func Phases() []Phase {
	return []Phase{Planned, Launching, Booting, Naming, Proving, Ready, InUse, Terminating, Gone, Failed}
}

// moves is the law: what a desktop in a phase may become. Gone and Failed go back to Planned for a new
// attempt, and only after the old one is confirmed dead.
var moves = map[Phase][]Phase{
	Planned:     {Launching, Gone},
	Launching:   {Booting, Failed, Terminating},
	Booting:     {Naming, Failed, Terminating},
	Naming:      {Proving, Failed, Terminating},
	Proving:     {Ready, Failed, Terminating},
	Ready:       {InUse, Failed, Terminating},
	InUse:       {Failed, Terminating},
	Terminating: {Gone},
	Failed:      {Planned, Gone},
	Gone:        {Planned},
}

// CanBecome reports whether the move from p to next is legal.
func (p Phase) CanBecome(next Phase) bool { return slices.Contains(moves[p], next) }

// Moves lists what p may become.
func (p Phase) Moves() []Phase { return slices.Clone(moves[p]) }

// Starting reports whether p is a stage on the way to ready: each of them has a deadline.
func (p Phase) Starting() bool {
	return p == Launching || p == Booting || p == Naming || p == Proving
}

// Live reports whether a machine is wanted in p: one may exist and must not be swept away.
func (p Phase) Live() bool { return p.Starting() || p == Ready || p == InUse }

// State sums up how far a meeting has come. It is derived, never stored as truth.
type State string

// The states of a meeting.
const (
	Scheduled  State = "scheduled"
	Preparing  State = "preparing"
	AllReady   State = "ready"
	InProgress State = "in_progress"
	Waiting    State = "waiting" // every desktop was removed and nobody is in: it holds no machine, and whoever comes gets one
	Ending     State = "ending"
	Ended      State = "ended"
)

// States lists every state in order.
func States() []State {
	return []State{Scheduled, Preparing, AllReady, InProgress, Waiting, Ending, Ended}
}

// Live reports whether a meeting in s may have desktops, or has had some and may have new ones at any moment.
func (s State) Live() bool { return s != Scheduled && s != Ended }

// EndReason says why a meeting is over.
type EndReason string

// Why meetings end.
const (
	Completed   EndReason = "completed"     // everybody reported, or everybody left, or the time was used
	NoShow      EndReason = "no_show"       // nobody ever came
	EndedByHost EndReason = "ended_by_host" // the organiser ended it
	Cancelled   EndReason = "cancelled"     // the organiser called it off
	Expired     EndReason = "expired"       // the time ran out with people still connected
	GaveUp      EndReason = "failed"        // no seat could be given a desktop
)

// EndReasons lists every end reason.
func EndReasons() []EndReason {
	return []EndReason{Completed, NoShow, EndedByHost, Cancelled, Expired, GaveUp}
}

// RemovalReason says why one desktop was removed. A meeting's end reason is one too.
type RemovalReason string

// Why desktops are removed, beside the end of their meeting.
const (
	RemovedNoShow      RemovalReason = "no_show"     // nobody used it in time
	RemovedRescheduled RemovalReason = "rescheduled" // the meeting moved to a later time
	RemovedSeat        RemovalReason = "seat_removed"
	RemovedReplaced    RemovalReason = "replaced"   // the organiser asked for a new one
	RemovedKillTime    RemovalReason = "kill_after" // the machine reached its maximum age
	RemovedFailed      RemovalReason = "failed"
)

// RemovalReasons lists every removal reason, each once: those of a desktop, and those of its meeting's end.
func RemovalReasons() []RemovalReason {
	out := []RemovalReason{RemovedNoShow, RemovedRescheduled, RemovedSeat, RemovedReplaced, RemovedKillTime, RemovedFailed}
	for _, end := range EndReasons() {
		if r := RemovalReason(end); !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	return out
}
