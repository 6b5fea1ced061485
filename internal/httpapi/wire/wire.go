// Package wire is the JSON of the API: what the server writes and the client reads.
package wire

import (
	"time"

	"greenroom"
)

// Schedule asks for a meeting.
type Schedule struct {
	Title     string      `json:"title" doc:"What the meeting is about, in one line." example:"Algebra"`
	StartsAt  string      `json:"starts_at" doc:"RFC 3339, or \"now\"." example:"2026-12-01T15:00:00Z"`
	Duration  string      `json:"duration,omitempty" doc:"A Go duration; 1h if absent." example:"1h30m"`
	TimeZone  string      `json:"time_zone,omitempty" doc:"IANA name, for showing times; a legacy name is kept under today's. UTC if absent." example:"America/Vancouver"`
	Blueprint string      `json:"blueprint,omitempty" doc:"How the desktops are made; \"default\" if absent." example:"default"`
	Seats     []SeatInput `json:"seats,omitempty" doc:"As many unnamed seats of each role as the blueprint counts, if absent. Any number of one role, up to its maximum."`
}

// SeatInput is one wanted seat.
type SeatInput struct {
	ID    string `json:"id,omitempty" doc:"Of a seat that is there already, when a meeting is changed; greenroom chooses those of new ones." example:"student-2"`
	Role  string `json:"role" doc:"One of the blueprint's roles." example:"teacher"`
	Name  string `json:"name,omitempty" doc:"Of the participant, in one line." example:"Teacher One"`
	Email string `json:"email,omitempty" doc:"Of the participant: an address whose domain has a dot." example:"teacher@example.com"`
}

// EditSeat is one seat of a changed list. What else a meeting's seat has may stay in it, so that a list can be read, changed
// and sent back; it changes nothing.
type EditSeat struct {
	SeatInput
	JoinURL     any `json:"join_url,omitempty" doc:"Ignored."`
	Desktop     any `json:"desktop,omitempty" doc:"Ignored."`
	SessionData any `json:"session_data,omitempty" doc:"Ignored."`
}

// NewSeats asks for one seat more, or many.
type NewSeats struct {
	Seats []SeatInput `json:"seats,omitempty" doc:"Many; without role, name and email beside them."`
	Role  string      `json:"role,omitempty" doc:"Of one seat: one of the blueprint's roles." example:"student"`
	Name  string      `json:"name,omitempty" doc:"Of the participant, in one line." example:"Student One"`
	Email string      `json:"email,omitempty" doc:"Of the participant."`
}

// AddedSeats is a meeting that has got more seats.
type AddedSeats struct {
	Meeting
	Added []string `json:"added" nullable:"false" doc:"The ids of the new seats, in the order they were given."`
}

// SeatEdit changes a seat's participant. What is absent stays.
type SeatEdit struct {
	Name  *string `json:"name,omitempty" doc:"In one line; empty for none."`
	Email *string `json:"email,omitempty" doc:"Empty for none."`
}

// Replace asks for a new desktop.
type Replace struct {
	Reason string `json:"reason" doc:"For the timeline, in one line." example:"the screen is frozen"`
	Force  bool   `json:"force,omitempty" doc:"Also when the seat's participant is connected: they are cut off."`
}

// NewLink asks for a new link.
type NewLink struct {
	Connections string `json:"connections,omitempty" enum:"cut,keep" doc:"What becomes of those who are inside: cut, the default, ends their sessions and closes their connections; keep lets them stay and come back until the desktop ends."`
}

// Edit changes a meeting. What is absent stays.
type Edit struct {
	Title    *string    `json:"title,omitempty" doc:"A new title."`
	StartsAt *string    `json:"starts_at,omitempty" doc:"RFC 3339, or \"now\". Moves the end along, unless that is given too."`
	EndsAt   *string    `json:"ends_at,omitempty" doc:"RFC 3339; the way to extend a meeting."`
	Duration *string    `json:"duration,omitempty" doc:"The new whole duration; not together with ends_at."`
	TimeZone *string    `json:"time_zone,omitempty" doc:"IANA name."`
	Seats    []EditSeat `json:"seats,omitempty" doc:"The whole new list, also as it was answered: seats that are there keep link and desktop, new ones get both, missing ones lose theirs. Without an id, a seat is the one of its role if both lists have only one of that role, else one with the same name and address, else new."`
	Force    bool       `json:"force,omitempty" doc:"Make the change also if it takes desktops from people who are in them, or were within empty_after; without it that is a 409 of the type occupied, which says from whom."`
}

// Park holds a meeting.
type Park struct {
	For    string `json:"for,omitempty" doc:"A Go duration up to 12h; 1h if absent." example:"1h"`
	Reason string `json:"reason,omitempty" doc:"For the timeline and the organiser, in one line." example:"looking at the provider"`
}

// SessionData reports that a seat's session is over and where its data lies.
type SessionData struct {
	URL string `json:"url" doc:"s3:// or https://, without a password." example:"s3://recordings/k3v9_teacher.zip"`
}

// Visit asks for an entry URL of a seat's desktop for somebody who is not its participant.
type Visit struct {
	As string `json:"as" enum:"host,observer" doc:"A host sees and does everything; an observer sees and hears."`
}

// Way is an entry URL.
type Way struct {
	URL string `json:"url" doc:"Valid for one entry, within two minutes. It is a secret."`
}

// Meeting is a meeting as its organiser sees it: the join links are secrets.
type Meeting struct {
	ID        string               `json:"id" doc:"12 to 32 lower-case letters and digits."`
	Title     string               `json:"title"`
	StartsAt  time.Time            `json:"starts_at"`
	EndsAt    time.Time            `json:"ends_at"`
	TimeZone  string               `json:"time_zone" doc:"IANA name."`
	Blueprint string               `json:"blueprint"`
	State     greenroom.State      `json:"state" enum:"scheduled,preparing,ready,in_progress,waiting,ending,ended" doc:"Derived from the seats and the end."`
	EndReason *greenroom.EndReason `json:"end_reason" enum:"completed,no_show,ended_by_host,cancelled,expired,failed" doc:"Why it is over; null while it is not."`
	EndedAt   *time.Time           `json:"ended_at" doc:"When that was decided."`
	Version   int64                `json:"version" doc:"Rises with every change an organiser makes; what If-Match compares."`
	VideoURL  string               `json:"video_url" doc:"The video room; empty if none is configured."`
	CreatedAt time.Time            `json:"created_at"`
	Seats     []Seat               `json:"seats" nullable:"false"`

	ParkedUntil  *time.Time `json:"parked_until" doc:"The meeting is parked: no action before then. Null while it is not parked."`
	ParkedReason string     `json:"parked_reason" doc:"The operator's reason; empty if not given."`
}

// Seat is one participant's place.
type Seat struct {
	ID          string             `json:"id" doc:"Unique in the meeting; it never changes and is never given to another seat." example:"student-2"`
	Role        string             `json:"role" example:"student"`
	Name        string             `json:"name"`
	Email       string             `json:"email"`
	JoinURL     string             `json:"join_url" doc:"The participant's secret link."`
	Desktop     Desktop            `json:"desktop"`
	SessionData *SessionDataReport `json:"session_data" doc:"Null until it is reported."`
}

// SessionDataReport is where a seat's data lies, and since when that is known.
type SessionDataReport struct {
	URL string    `json:"url"`
	At  time.Time `json:"at"`
}

// Desktop is the seat's machine: the one that lives now, or the last one that did.
type Desktop struct {
	Phase       greenroom.Phase               `json:"phase" enum:"planned,launching,booting,naming,proving,ready,in_use,terminating,gone,failed"`
	Attempt     int                           `json:"attempt" doc:"1 is the seat's first desktop."`
	InstanceID  string                        `json:"instance_id" doc:"Empty until the provider gave one." example:"i-0123456789abcdef0"`
	Hostname    string                        `json:"hostname" doc:"Empty until there is one."`
	Address     string                        `json:"address" doc:"Empty until there is one."`
	Connected   bool                          `json:"connected" doc:"Whether the participant is connected now."`
	AwaySince   *time.Time                    `json:"away_since" doc:"Since when the participant of a desktop in use has not been connected; null while they are, and where nobody can know."`
	Error       *string                       `json:"error" doc:"The last error: a sentence."`
	EndReason   *greenroom.RemovalReason      `json:"end_reason" doc:"Why the desktop was or is being removed."`
	Timings     map[greenroom.Phase]time.Time `json:"timings" doc:"When each phase was entered."`
	Proof       *Proof                        `json:"proof" doc:"The last proof, from outside, that a participant can enter."`
	Connections []Connection                  `json:"connections" nullable:"false" doc:"Those there are now, as the agent told; 8 at most. agent.connections counts those of the participant."`
	Agent       *Agent                        `json:"agent" doc:"The agent's last report; null until it has enrolled, and if the desktop has no agent."`
}

// Connection is one browser's to a desktop.
type Connection struct {
	ID     string    `json:"id"`
	Client string    `json:"client" doc:"Its address." example:"203.0.113.7"`
	Since  time.Time `json:"since"`
	Role   string    `json:"role" doc:"owner of the screen and its size, or watch; empty where the desktop knows no difference." example:"owner"`
	User   string    `json:"user" doc:"host or observer for who came in by a visit; empty for the participant."`
}

// Agent is what a desktop's agent tells of it.
type Agent struct {
	Version      string     `json:"version" doc:"Of the agent; empty if not reported."`
	EnrolledAt   *time.Time `json:"enrolled_at"`
	ReportedAt   *time.Time `json:"reported_at" doc:"Time of the last saved report; changes at once, otherwise every five minutes. If it is older, the agent does not report."`
	Connections  int        `json:"connections" doc:"Of the participant, now."`
	LastActiveAt *time.Time `json:"last_active_at" doc:"The participant's last input, to about a minute; null if not reported."`
	Licence      string     `json:"licence" doc:"State of the desktop server's licence, in its words; empty if not reported." example:"licensed"`
	Problem      *string    `json:"problem" doc:"The present problem on the desktop; it may clear by itself: a sentence."`
}

// Proof is evidence gathered from outside.
type Proof struct {
	OK    bool        `json:"ok"`
	At    time.Time   `json:"at"`
	Steps []ProofStep `json:"steps" nullable:"false"`
}

// ProofStep is one thing that was looked at.
type ProofStep struct {
	Name   string `json:"name" doc:"dns, tls or page."`
	OK     bool   `json:"ok"`
	Took   string `json:"took" doc:"A Go duration." example:"12ms"`
	Detail string `json:"detail" doc:"What was found, or expected and not found."`
}

// Meetings is a page of the list, ordered by start.
type Meetings struct {
	Meetings   []Meeting `json:"meetings" nullable:"false"`
	NextCursor *string   `json:"next_cursor" doc:"For the next page; null at the end."`
}

// Event is one entry of the timeline.
type Event struct {
	Seq     int64             `json:"seq" doc:"Rises within the meeting, from 1."`
	At      time.Time         `json:"at"`
	Kind    string            `json:"kind" doc:"What happened, in a word." example:"phase"`
	Seat    string            `json:"seat" doc:"Id of the seat; empty for the whole meeting."`
	Role    string            `json:"role" deprecated:"true" doc:"The same as seat, by its former name."`
	Attempt int               `json:"attempt" doc:"Which of the seat's desktops; 0 for none."`
	Message string            `json:"message" doc:"A sentence for people."`
	Data    map[string]string `json:"data" doc:"Details: times, durations, addresses."`
}

// Events is a part of the timeline.
type Events struct {
	Events    []Event `json:"events" nullable:"false"`
	NextAfter *int64  `json:"next_after" doc:"Value of after for the next part; null if this is the last one so far."`
	Unlisted  int     `json:"unlisted" doc:"Entries that the timeline had no room for: of what people and programs can cause at will it keeps a thousand."`
}

// Entry is the entry URL.
type Entry struct {
	URL string `json:"url" doc:"Good once, within two minutes, and then again for the same client address." example:"https://i-0123456789abcdef0.desk.localhost:8443/?authToken=…#console"`
}

// Standing is the state of a seat, as its participant may see it.
type Standing struct {
	Meeting  string          `json:"meeting"`
	Title    string          `json:"title"`
	Seat     string          `json:"seat" doc:"Its id."`
	Role     string          `json:"role"`
	Name     string          `json:"name"`
	State    greenroom.State `json:"state" enum:"scheduled,preparing,ready,in_progress,waiting,ending,ended"`
	Phase    greenroom.Phase `json:"phase" enum:"planned,launching,booting,naming,proving,ready,in_use,terminating,gone,failed"`
	Message  string          `json:"message" doc:"What is going on and what to do: a sentence."`
	CanEnter bool            `json:"can_enter" doc:"Whether a POST would answer with the entry URL."`
	Wanted   bool            `json:"wanted" doc:"The desktop is gone; a POST asks for a new one."`
	Failing  bool            `json:"failing" doc:"The desktop has an error; message says which."`
	Estimate float64         `json:"estimate" doc:"Seconds until the desktop is ready, from measured history; 0 when it is, or when nothing is known."`
	StartsAt time.Time       `json:"starts_at"`
	EndsAt   time.Time       `json:"ends_at"`
	OpensAt  time.Time       `json:"opens_at" doc:"When the desktop is started."`
	TimeZone string          `json:"time_zone"`
	VideoURL string          `json:"video_url"`
	Stages   []Stage         `json:"stages" nullable:"false"`
}

// Stage is one step of a desktop's start.
type Stage struct {
	Phase    greenroom.Phase `json:"phase" enum:"launching,booting,naming,proving"`
	Done     bool            `json:"done"`
	Current  bool            `json:"current"`
	Since    *time.Time      `json:"since" doc:"When it was entered."`
	Expected float64         `json:"expected" doc:"Seconds it usually takes, from measured history; 0 if unknown."`
}

// Plan is what would happen to a meeting next, and why.
type Plan struct {
	Meeting string          `json:"meeting"`
	State   greenroom.State `json:"state" enum:"scheduled,preparing,ready,in_progress,waiting,ending,ended"`
	Steps   []PlanStep      `json:"steps" nullable:"false" doc:"What would be done now."`
	WakeAt  *time.Time      `json:"wake_at" doc:"Latest time of the next check of the meeting; null if there is none."`
	Why     string          `json:"why" doc:"What wake_at waits for."`

	ParkedUntil  *time.Time `json:"parked_until" doc:"The meeting is parked until then; null while it is not."`
	ParkedReason string     `json:"parked_reason" doc:"The operator's reason; empty if not given."`
	Seats        []PlanSeat `json:"seats" nullable:"false" doc:"Phase and next step of each desktop."`
	EndAt        *time.Time `json:"end_at" doc:"When the meeting ends if nothing else happens; null when it has."`
	EndWhy       string     `json:"end_why" doc:"What ends it then."`
}

// PlanSeat is the phase and the next step of a seat's desktop.
type PlanSeat struct {
	Seat  string          `json:"seat" doc:"Its id."`
	Role  string          `json:"role"`
	Phase greenroom.Phase `json:"phase" enum:"planned,launching,booting,naming,proving,ready,in_use,terminating,gone,failed"`
	Since *time.Time      `json:"since" doc:"When the phase was entered."`
	Error *string         `json:"error" doc:"The last error: a sentence."`
	At    *time.Time      `json:"at" doc:"Latest time of the next step; null if not known or if there is none."`
	Next  string          `json:"next" doc:"Next step, and why."`
}

// StuckMeetings lists the findings about stuck meetings.
type StuckMeetings struct {
	Stuck []Stuck `json:"stuck" nullable:"false"`
	More  bool    `json:"more" doc:"Whether there are more findings than listed."`
}

// Stuck is one finding about a meeting.
type Stuck struct {
	Meeting string     `json:"meeting"`
	Title   string     `json:"title"`
	Kind    string     `json:"kind" enum:"overdue,slow_stage,slow_removal,not_closed,given_up,blocked,no_answer,too_old,parked"`
	Seat    string     `json:"seat" doc:"Id of the seat; empty for the whole meeting."`
	Role    string     `json:"role" deprecated:"true" doc:"The same as seat, by its former name."`
	Note    bool       `json:"note" doc:"Informational, no fault: a parked meeting."`
	Message string     `json:"message" doc:"What is wrong: a sentence."`
	Since   *time.Time `json:"since" doc:"When it should have progressed, or when this began."`
	Error   *string    `json:"error" doc:"The last error; null if there was none."`
	Fix     string     `json:"fix" doc:"The fix."`
}

// PlanStep is one thing that would be done now.
type PlanStep struct {
	Do   string `json:"do"`
	Seat string `json:"seat" doc:"Id of the seat; empty for the whole meeting."`
	Role string `json:"role" deprecated:"true" doc:"The same as seat, by its former name."`
	Why  string `json:"why"`
}
