package greenroom

import "time"

// Desktop is one machine for one seat: the attempt that lives now, or the last one that did.
type Desktop struct {
	Phase      Phase     `json:"phase"`
	Attempt    int       `json:"attempt"` // 1 is the first; part of the provider's token
	InstanceID string    `json:"instance_id,omitempty"`
	Hostname   string    `json:"hostname,omitempty"`
	Address    string    `json:"address,omitempty"`
	KillAt     time.Time `json:"kill_at,omitzero"` // written on the machine at birth
	Launch     Launch    `json:"launch,omitzero"`  // decided and saved before the provider is asked

	// Timings holds when each phase was entered, for this attempt.
	Timings map[Phase]time.Time `json:"timings,omitempty"`

	Error     string        `json:"error,omitempty"`      // a sentence for people: the last error
	Permanent bool          `json:"permanent,omitempty"`  // no retry can fix Error
	EndReason RemovalReason `json:"end_reason,omitempty"` // why it was or is being removed
	Tries     int           `json:"tries,omitempty"`      // failed tries of the current stage's effect
	RetryAt   time.Time     `json:"retry_at,omitzero"`    // no effect of the current stage before this
	TurnAt    time.Time     `json:"turn_at,omitzero"`     // when the launch's turn at the provider comes, as last told: waiting for it is no failure
	Blocked   Blocked       `json:"blocked,omitzero"`     // the launch is refused for a reason that may pass
	Tried     []string      `json:"tried,omitempty"`      // places without capacity for this attempt and those right before it

	Released       bool      `json:"released,omitempty"`        // the organiser moved the meeting knowing that somebody is in
	MissingSince   time.Time `json:"missing_since,omitzero"`    // first look that did not find the instance
	Unpublished    bool      `json:"unpublished,omitempty"`     // the record's removal is confirmed
	RemovalAskedAt time.Time `json:"removal_asked_at,omitzero"` // the provider accepted the removal
	Cleared        bool      `json:"cleared,omitempty"`         // record and instance are confirmed to be no more

	Agent AgentFacts `json:"agent,omitzero"`
	// Present are the connections there are now, as the agent told, MaxPresent at most; Closing are the ids of those that the
	// organiser wants closed and that are still there.
	Present []Connection `json:"present,omitempty"`
	Closing []string     `json:"closing,omitempty"`
	Tokens  []Token      `json:"tokens,omitempty"`
	Proof   *Proof       `json:"proof,omitempty"` // the last one taken
	Trust   Trust        `json:"trust,omitzero"`  // what the proofs of a desktop that was ready once amount to
	// Refused counts, by reason, what this desktop's agent or participants were refused, and its agent's problems. The timeline
	// tells of the first, the tenth, the hundredth and so on.
	Refused map[string]int `json:"refusals,omitempty"`
}

// Launch is how an attempt's machine is asked for. Desktops that start together share one, and so one call to the
// provider: whoever asks again, for whichever of them, asks for exactly the same and gets the same machines.
type Launch struct {
	Seats []string `json:"seats,omitempty"` // "seat.attempt" of each desktop of the call, in the order of its machines; empty: the desktop is alone
	Place string   `json:"place,omitempty"` // which of the provider's places: it decides what an idempotency token means
}

// Blocked says that the provider refuses to launch for now (ErrBlocked). It is kept from attempt to attempt, until one is launched or
// fails otherwise.
type Blocked struct {
	Since time.Time `json:"since,omitzero"` // the first refusal; zero: there is none
	At    time.Time `json:"at,omitzero"`    // the last one
}

// MaxLaunchText bounds the seats of one launch, joined by spaces, in bytes: they fit in the value of a tag.
const MaxLaunchText = 256

// Together reports whether desktops share the call.
func (l Launch) Together() bool { return len(l.Seats) > 1 }

// Handles names the desktops of a meeting's call in their order.
func (l Launch) Handles(meeting string) []Handle {
	out := make([]Handle, 0, len(l.Seats))
	for _, s := range l.Seats {
		if h, ok := ParseHandle(meeting + "." + s); ok {
			out = append(out, h)
		}
	}
	return out
}

// AgentFacts is what the desktop's own agent told us.
type AgentFacts struct {
	EnrolledAt     time.Time `json:"enrolled_at,omitzero"`
	Version        string    `json:"version,omitempty"`    // of the agent
	ReportedAt     time.Time `json:"reported_at,omitzero"` // time of the last saved report: changes at once, otherwise every few minutes
	ActiveAt       time.Time `json:"active_at,omitzero"`   // the participant's last input, to about a minute
	KeyHash        string    `json:"key_hash,omitempty"`   // SHA-256 of the public key that enrolled: the only one that may again
	ReadyAt        time.Time `json:"ready_at,omitzero"`    // screen, window manager and warm-up done
	Connections    int       `json:"connections,omitempty"`
	ConnectedAt    time.Time `json:"connected_at,omitzero"`    // the first connection
	DisconnectedAt time.Time `json:"disconnected_at,omitzero"` // when Connections last fell to zero
	Error          string    `json:"error,omitempty"`          // why it will never be ready; a sentence
	Permanent      bool      `json:"permanent,omitempty"`      // no other machine would do better
	Problem        string    `json:"problem,omitempty"`        // the present problem, which may clear by itself; a sentence
	Licence        string    `json:"licence,omitempty"`        // state of the desktop server's licence, in its words
	EndHooks       bool      `json:"end_hooks,omitempty"`      // there is something to do before the desktop goes
	EndedAt        time.Time `json:"ended_at,omitzero"`        // when that was done
}

// MaxPresent bounds the connections to a desktop that are kept and shown. More are counted.
const MaxPresent = 8

// Connection is one browser's to a desktop.
type Connection struct {
	ID     string    `json:"id"`
	Client string    `json:"client"` // address
	Since  time.Time `json:"since"`
	Role   string    `json:"role,omitempty"` // "owner" of the screen or "watch"; empty where the desktop knows no difference
	User   string    `json:"user,omitempty"` // of the session: "host" or "observer"; empty is the seat's participant
}

// Token is a desktop token as stored: hashed, short-lived until its first use, and after that good only
// for the client address that used it first.
type Token struct {
	Hash      string    `json:"hash"`
	As        string    `json:"as,omitempty"`     // "host" or "observer"; empty is the seat's participant
	ExpiresAt time.Time `json:"expires_at"`       // for the first use
	Client    string    `json:"client,omitempty"` // address of the first use
	UsedAt    time.Time `json:"used_at,omitzero"`
}

// Limits of desktop tokens.
const (
	TokenLife = 2 * time.Minute // from the entry to the first use
	MaxTokens = 16              // of one desktop; the oldest is dropped for a new one
)

// Trust is what the looks at a desktop amount to that was ready once: a proof expires, and is taken again.
type Trust struct {
	ProvedAt time.Time `json:"proved_at,omitzero"` // of the last proof that held
	LookedAt time.Time `json:"looked_at,omitzero"` // of the last look, whatever came of it
	WantedAt time.Time `json:"wanted_at,omitzero"` // when the organiser wanted to enter and the proof had expired
	Failed   int       `json:"failed,omitempty"`   // looks in a row that did not see the desktop answer
	Since    time.Time `json:"since,omitzero"`     // when the first of them ended
	Denied   bool      `json:"denied,omitempty"`   // the last of them was answered, and wrongly; an answer that does not come may only be lost
	Told     bool      `json:"told,omitempty"`     // the timeline says that the desktop does not answer
	Times    int       `json:"times,omitempty"`    // how often that began
}

// LastProof is when a proof of the desktop held last; zero if none did.
func (d *Desktop) LastProof() time.Time {
	if d.Trust.ProvedAt.IsZero() && d.Proof != nil && d.Proof.OK { // as versions before this one noted it
		return d.Proof.At
	}
	return d.Trust.ProvedAt
}

// Proof is evidence gathered from outside that a participant would get in.
type Proof struct {
	OK    bool        `json:"ok"`
	Lost  bool        `json:"lost,omitempty"` // not OK because no answer came in time: that says little of the desktop
	At    time.Time   `json:"at"`
	Steps []ProofStep `json:"steps"`
}

// ProofStep is one thing looked at: "dns", "tls" or "page".
type ProofStep struct {
	Name   string   `json:"name"`
	OK     bool     `json:"ok"`
	Took   Duration `json:"took"`
	Detail string   `json:"detail"` // what was seen, or what was expected and not seen
}

// Entered gives when the desktop entered phase p, and whether it did.
func (d *Desktop) Entered(p Phase) (time.Time, bool) {
	t, ok := d.Timings[p]
	return t, ok
}

// Used reports whether a participant was ever connected to this attempt.
func (d *Desktop) Used() bool {
	_, ok := d.Timings[InUse]
	return ok
}

// Connected reports whether a participant is connected now, as far as the desktop told. The first connection to a desktop
// counts before it has become InUse.
func (d *Desktop) Connected() bool {
	return d.Enterable() && d.Agent.Connections > 0
}

// AwaySince is since when the person of a desktop in use is not connected to it. Zero if they are, or if nobody can know.
func (d *Desktop) AwaySince() time.Time {
	if d.Phase != InUse || d.Agent.Connections > 0 {
		return time.Time{}
	}
	return d.Agent.DisconnectedAt
}

// Enterable reports whether a person may be let into the desktop, and be in it, now.
func (d *Desktop) Enterable() bool { return d.Phase == Ready || d.Phase == InUse }

// MayExist reports whether something of this attempt (instance or record) may exist in the world.
func (d *Desktop) MayExist() bool {
	return d.Phase.Live() || d.Phase == Terminating || d.Phase == Failed && !d.Cleared
}

// NextAttempt is a fresh desktop, planned as the attempt after d.
func (d *Desktop) NextAttempt(now time.Time) Desktop {
	return Desktop{Phase: Planned, Attempt: d.Attempt + 1, Timings: map[Phase]time.Time{Planned: now}, Tried: d.Tried, Blocked: d.Blocked}
}
