package greenroom

// This file is the one table that puts phases, states, end reasons and removal reasons into words. A test holds it to be
// complete. Texts that depend on more than the value are made by those who know the rest.

// PhaseWords puts a phase into words.
type PhaseWords struct {
	Label       string // of a desktop in the phase
	Participant string // what is going on, a sentence for the participant who waits

	// For the stages of a start alone:
	Step      string // the stage as a step, for people who do not know what DNS is
	StepShort string // Step in a word
	Action    string // what is tried again when it fails
	WaitsFor  string // what its deadline waits for
}

var phaseWords = map[Phase]PhaseWords{
	Planned: {Label: "Planned", Participant: "You are early. Your desktop is started shortly before the meeting; this page takes you in by itself."},
	Launching: {Label: "Starting", Participant: "Your desktop is starting.",
		Step: "Ask for a machine", StepShort: "Machine", Action: "launch", WaitsFor: "the provider's answer"},
	Booting: {Label: "Booting", Participant: "Your desktop is starting.",
		Step: "Start it up", StepShort: "Boot", Action: "look", WaitsFor: "the machine to run"},
	Naming: {Label: "Naming", Participant: "Your desktop is running and gets its name.",
		Step: "Give it a name", StepShort: "Name", Action: "record", WaitsFor: "the record to be written"},
	Proving: {Label: "Checking", Participant: "Your desktop is being checked from outside, so that you get in at the first try.",
		Step: "Check it from outside", StepShort: "Check", Action: "proof", WaitsFor: "the screen and the proof"},
	Ready:       {Label: "Ready", Participant: "Your desktop is ready.", Step: "Ready", StepShort: "Ready"},
	InUse:       {Label: "In use", Participant: "Your desktop is ready."},
	Terminating: {Label: "Removing", Participant: "Your desktop is being removed."},
	Gone:        {Label: "Removed", Participant: "Your desktop was removed."},
	Failed:      {Label: "Failed", Participant: "Your desktop had a fault."},
}

// Words puts p into words; all are empty for a phase that is not one.
func (p Phase) Words() PhaseWords { return phaseWords[p] }

var stateLabels = map[State]string{
	Scheduled:  "Scheduled",
	Preparing:  "Preparing",
	AllReady:   "Ready",
	InProgress: "In progress", Waiting: "Waiting",
	Ending: "Ending",
	Ended:  "Ended",
}

// Label is the name of s for people; empty for a state that is not one.
func (s State) Label() string { return stateLabels[s] }

// EndWords puts the end of a meeting into words.
type EndWords struct {
	Label       string // of a meeting that ended so
	Headline    string // for the participant
	Participant string // why, and what to do: sentences for the participant
	Organiser   string // why: a sentence for the organiser
}

var endWords = map[EndReason]EndWords{
	Completed: {
		Label: "Ended", Headline: "This meeting is over",
		Participant: "This meeting is over. Its desktops are gone; there is nothing you need to do.",
		Organiser:   "The meeting is complete.",
	},
	NoShow: {
		Label: "Nobody came", Headline: "Nobody came to this meeting",
		Participant: "This meeting is over because nobody came. Ask the organiser to schedule it again.",
		Organiser:   "Nobody came by the end of the meeting.",
	},
	EndedByHost: {
		Label: "Ended", Headline: "The organiser has ended this meeting",
		Participant: "The organiser has ended this meeting. Its desktops are gone; there is nothing you need to do.",
		Organiser:   "The organiser ended the meeting.",
	},
	Cancelled: {
		Label: "Cancelled", Headline: "This meeting was cancelled",
		Participant: "The organiser has cancelled this meeting. Ask the organiser for a new time.",
		Organiser:   "The meeting was cancelled.",
	},
	Expired: {
		Label: "Ended", Headline: "The time of this meeting is up",
		Participant: "This meeting's time is used up and it has ended. Ask the organiser for another meeting if you need more time.",
		Organiser:   "The meeting's time ran out.",
	},
	GaveUp: {
		Label: "Failed", Headline: "This meeting could not take place",
		Participant: "This meeting has ended because no desktop could be started for it. Tell the organiser, who can see the error.",
		Organiser:   "No desktop could be started, so the meeting was ended.",
	},
}

// Words puts r into words; those of an end that is not known, of a newer version, say that the meeting is over.
func (r EndReason) Words() EndWords {
	if w, ok := endWords[r]; ok {
		return w
	}
	return EndWords{Label: "Ended", Headline: endWords[Completed].Headline, Participant: endWords[Completed].Participant, Organiser: "The meeting is over."}
}

// RemovalWords puts the removal of a desktop into words.
type RemovalWords struct {
	Participant string // why, and what to do: sentences for the participant of a meeting that goes on
	Because     string // why: the end of a sentence for the organiser
}

const askAnew = "Your desktop was removed. Ask for a new one."

var removalWords = map[RemovalReason]RemovalWords{
	RemovedNoShow:      {"Your desktop was waiting and was removed because nobody used it. Ask for a new one: it takes a moment.", "because nobody used it in time"},
	RemovedRescheduled: {"The meeting was moved to a later time. A new desktop is started for it.", "because the meeting moved to a later time"},
	RemovedReplaced:    {"The organiser replaces your desktop. A new one is on its way; stay on this page.", "because the organiser asked for a new one"},
	RemovedSeat:        {"Your place in this meeting was removed, and your desktop with it. Ask the organiser if you did not expect this.", "with its seat"},
	RemovedKillTime:    {"Your desktop reached its maximum age and was removed. Ask for a new one.", "because it reached the maximum age of a desktop"},
	RemovedFailed:      {askAnew, "because it failed"},

	RemovalReason(Completed):   {askAnew, "because the meeting is complete"},
	RemovalReason(EndedByHost): {askAnew, "because the organiser ended the meeting"},
	RemovalReason(Cancelled):   {askAnew, "because the meeting was cancelled"},
	RemovalReason(Expired):     {askAnew, "because the meeting’s time ran out"},
}

// Words puts r into words. Without a reason there is nothing to tell the organiser; one that is not known is of a newer version.
func (r RemovalReason) Words() RemovalWords {
	if r == "" {
		return RemovalWords{Participant: askAnew}
	}
	if w, ok := removalWords[r]; ok {
		return w
	}
	return RemovalWords{Participant: askAnew, Because: "for the reason " + string(r)}
}
