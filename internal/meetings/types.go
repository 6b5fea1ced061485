// Package meetings is what people and desktops may ask for: schedule, edit, end, join, enter, enrol,
// report. Authorisation by seat key, desktop secret and agent token, and the validation of every input,
// live here once; the HTTP API and the pages are two faces of it.
package meetings

import (
	"time"

	"greenroom"
	"greenroom/internal/store"
)

// Filter selects meetings for List.
type Filter = store.Filter

// Schedule is an organiser's request for a meeting. Empty fields take their defaults.
type Schedule struct {
	Title     string
	StartsAt  string      // RFC 3339 or "now"
	Duration  string      // a Go duration; 1h
	TimeZone  string      // IANA name; UTC
	Blueprint string      // "default"
	Seats     []SeatInput // nil is the unnamed seats that the blueprint counts
}

// SeatInput is one wanted seat.
type SeatInput struct {
	ID    string `json:",omitempty"` // of a seat that is there, in an Edit; greenroom chooses those of new ones. Left out of fingerprints
	Role  string
	Name  string
	Email string
}

// Edit changes a meeting; nil fields stay. Seats, when given, are the whole new list: those that are there already keep
// their link and desktop, new ones get both, missing ones lose theirs. See Service.match for which is which.
type Edit struct {
	Title    *string
	StartsAt *string // moves the end along, unless that is given too
	EndsAt   *string // RFC 3339
	Duration *string // the new whole duration; not with EndsAt
	TimeZone *string
	Seats    []SeatInput
	Force    bool // also if it takes desktops from people who are in: without it that is an *OccupiedError
}

// Standing is the state of a seat, as its participant may see it.
type Standing struct {
	Meeting   string
	Title     string
	Seat      string // its id
	Role      string
	Name      string
	State     greenroom.State
	Phase     greenroom.Phase
	EndReason greenroom.EndReason
	Message   string // a sentence for the participant: what is going on, and what to do
	StartsAt  time.Time
	EndsAt    time.Time
	TimeZone  string
	OpensAt   time.Time     // when the desktop is started
	Estimate  time.Duration // until the desktop is ready, from measured history; 0 when ready or unknown
	RetryIn   time.Duration // when to ask again
	CanEnter  bool          // a POST would answer with a URL now
	Wanted    bool          // the desktop is gone or failed, and a POST would ask for a new one
	Parked    bool          // the meeting is parked, and this desktop is not ready
	Failing   bool          // this seat's desktop has an error; Message says which
	Stages    []Stage
	VideoURL  string
	URL       string // Enter only: the entry URL, with a fresh token

	checking bool // nobody is sent to the desktop before it is proved again
}

// Stage is one step of a desktop's start, as shown in the lobby.
type Stage struct {
	Phase    greenroom.Phase
	Done     bool
	Current  bool
	Since    time.Time     // when it was entered
	Expected time.Duration // from measured history; 0 if there is none
}

// Verdict answers a DCV server that asks whether a token is good.
type Verdict struct {
	OK       bool
	Username string // of the session's owner, when OK
	Message  string // why not, otherwise
	Links    int    // how often those inside had been cut off by a new link, as in agentapi.Orders
}
