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
	TimeZone  string      `json:"time_zone,omitempty" doc:"IANA name, for showing times; UTC if absent." example:"America/Vancouver"`
	Blueprint string      `json:"blueprint,omitempty" doc:"How the desktops are made; \"default\" if absent." example:"default"`
	Seats     []SeatInput `json:"seats,omitempty" doc:"As many unnamed seats of each role as the blueprint counts, if absent. Any number of one role, up to its maximum."`
}

// SeatInput is one wanted seat.
type SeatInput struct {
	ID    string `json:"id,omitempty" doc:"Of a seat that is there already, when a meeting is changed; greenroom chooses those of new ones." example:"student-2"`
	Role  string `json:"role" doc:"One of the blueprint's roles." example:"teacher"`
	Name  string `json:"name,omitempty" doc:"Of the participant, in one line." example:"Teacher One"`
	Email string `json:"email,omitempty" doc:"Of the participant." example:"teacher@example.com"`
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

// Edit changes a meeting. What is absent stays.
type Edit struct {
	Title    *string     `json:"title,omitempty" doc:"A new title."`
	StartsAt *string     `json:"starts_at,omitempty" doc:"RFC 3339, or \"now\". Moves the end along, unless that is given too."`
	EndsAt   *string     `json:"ends_at,omitempty" doc:"RFC 3339; the way to extend a meeting."`
	Duration *string     `json:"duration,omitempty" doc:"The new whole duration; not together with ends_at."`
	TimeZone *string     `json:"time_zone,omitempty" doc:"IANA name."`
	Seats    []SeatInput `json:"seats,omitempty" doc:"The whole new list: seats that are there keep link and desktop, new ones get both, missing ones lose theirs. Without an id, a seat is the one of its role if both lists have only one of that role, else one with the same name and address, else new."`
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

// Visit asks for a way into a seat's desktop for somebody who is not its participant.
type Visit struct {
	As string `json:"as" enum:"host,observer" doc:"A host sees and does everything; an observer sees and hears."`
}

// Way is a way in.
type Way struct {
	URL string `json:"url" doc:"Good for one entry, soon. It is a secret."`
}

// Meeting is a meeting as its organiser sees it: the join links are secrets.
type Meeting struct {
	ID        string               `json:"id" doc:"12 to 32 lower-case letters and digits."`
	Title     string               `json:"title"`
	StartsAt  time.Time            `json:"starts_at"`
	EndsAt    time.Time            `json:"ends_at"`
	TimeZone  string               `json:"time_zone" doc:"IANA name."`
	Blueprint string               `json:"blueprint"`
	State     greenroom.State      `json:"state" enum:"scheduled,preparing,ready,in_progress,ending,ended" doc:"Derived from the seats and the end."`
	EndReason *greenroom.EndReason `json:"end_reason" enum:"completed,no_show,ended_by_host,cancelled,expired,failed" doc:"Why it is over; null while it is not."`
	EndedAt   *time.Time           `json:"ended_at" doc:"When that was decided."`
	Version   int64                `json:"version" doc:"Rises with every change an organiser makes; what If-Match compares."`
	VideoURL  string               `json:"video_url" doc:"The video room; empty if none is configured."`
	CreatedAt time.Time            `json:"created_at"`
	Seats     []Seat               `json:"seats" nullable:"false"`

	ParkedUntil  *time.Time `json:"parked_until" doc:"An operator holds the meeting: greenroom does nothing for it before then. Null while it is not parked."`
	ParkedReason string     `json:"parked_reason" doc:"The operator's word on it; empty if there is none."`
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
	Phase      greenroom.Phase               `json:"phase" enum:"planned,launching,booting,naming,proving,ready,in_use,terminating,gone,failed"`
	Attempt    int                           `json:"attempt" doc:"1 is the seat's first desktop."`
	InstanceID string                        `json:"instance_id" doc:"Empty until the provider gave one." example:"i-0123456789abcdef0"`
	Hostname   string                        `json:"hostname" doc:"Empty until there is one."`
	Address    string                        `json:"address" doc:"Empty until there is one."`
	Connected  bool                          `json:"connected" doc:"Whether the participant is connected now."`
	Error      *string                       `json:"error" doc:"The last thing that went wrong: a sentence."`
	EndReason  *greenroom.RemovalReason      `json:"end_reason" doc:"Why the desktop was or is being removed."`
	Timings    map[greenroom.Phase]time.Time `json:"timings" doc:"When each phase was entered."`
	Proof      *Proof                        `json:"proof" doc:"The last evidence that a participant would get in."`
	Agent      *Agent                        `json:"agent" doc:"What the program on the desktop told last; null until it has enrolled, and where there is none."`
}

// Agent is what a desktop's agent tells of it.
type Agent struct {
	Version      string     `json:"version" doc:"Of the agent; empty if it did not say."`
	EnrolledAt   *time.Time `json:"enrolled_at"`
	ReportedAt   *time.Time `json:"reported_at" doc:"When its word was last written down: news at once, and every five minutes where there is none. An older one means that the desktop is silent."`
	Connections  int        `json:"connections" doc:"Of the participant, now."`
	LastActiveAt *time.Time `json:"last_active_at" doc:"The participant's last input, to about a minute; null where that is not told."`
	Licence      string     `json:"licence" doc:"State of the desktop server's licence, in its words; empty where it tells none." example:"licensed"`
	Problem      *string    `json:"problem" doc:"What is wrong on the desktop now and may mend itself: a sentence."`
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
	Detail string `json:"detail" doc:"What was seen, or expected and not seen."`
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
	Data    map[string]string `json:"data" doc:"The evidence."`
}

// Events is a part of the timeline.
type Events struct {
	Events    []Event `json:"events" nullable:"false"`
	NextAfter *int64  `json:"next_after" doc:"What to give as after for the next part; null when this was the last one so far."`
}

// Entry is the way in.
type Entry struct {
	URL string `json:"url" doc:"Good once, within two minutes, and then again for the same client address." example:"https://i-0123456789abcdef0.desk.localhost:8443/?authToken=…#console"`
}

// Standing is where a seat stands, as its participant may see it.
type Standing struct {
	Meeting  string          `json:"meeting"`
	Title    string          `json:"title"`
	Seat     string          `json:"seat" doc:"Its id."`
	Role     string          `json:"role"`
	Name     string          `json:"name"`
	State    greenroom.State `json:"state" enum:"scheduled,preparing,ready,in_progress,ending,ended"`
	Phase    greenroom.Phase `json:"phase" enum:"planned,launching,booting,naming,proving,ready,in_use,terminating,gone,failed"`
	Message  string          `json:"message" doc:"What is going on and what to do: a sentence."`
	CanEnter bool            `json:"can_enter" doc:"Whether a POST would answer with the way in."`
	Wanted   bool            `json:"wanted" doc:"The desktop is gone; a POST asks for a new one."`
	Failing  bool            `json:"failing" doc:"Something goes wrong with this desktop; message says what."`
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
	State   greenroom.State `json:"state" enum:"scheduled,preparing,ready,in_progress,ending,ended"`
	Steps   []PlanStep      `json:"steps" nullable:"false" doc:"What would be done now."`
	WakeAt  *time.Time      `json:"wake_at" doc:"When the meeting is looked at again at the latest; null if never."`
	Why     string          `json:"why" doc:"What that waits for."`

	ParkedUntil  *time.Time `json:"parked_until" doc:"An operator holds the meeting until then; null while it is not parked."`
	ParkedReason string     `json:"parked_reason" doc:"The operator's word on it; empty if there is none."`
	Seats        []PlanSeat `json:"seats" nullable:"false" doc:"Where each desktop stands and what comes next for it."`
}

// PlanSeat is where a seat's desktop stands and what comes next for it.
type PlanSeat struct {
	Seat  string          `json:"seat" doc:"Its id."`
	Role  string          `json:"role"`
	Phase greenroom.Phase `json:"phase" enum:"planned,launching,booting,naming,proving,ready,in_use,terminating,gone,failed"`
	Since *time.Time      `json:"since" doc:"When the phase was entered."`
	Error *string         `json:"error" doc:"The last thing that went wrong: a sentence."`
	At    *time.Time      `json:"at" doc:"When next comes, at the latest; null if that is not known or never."`
	Next  string          `json:"next" doc:"What comes next, and why."`
}

// StuckMeetings lists what does not move as it should.
type StuckMeetings struct {
	Stuck []Stuck `json:"stuck" nullable:"false"`
	More  bool    `json:"more" doc:"There is more than is listed."`
}

// Stuck is one finding about a meeting.
type Stuck struct {
	Meeting string     `json:"meeting"`
	Title   string     `json:"title"`
	Kind    string     `json:"kind" enum:"overdue,slow_stage,slow_removal,not_closed,given_up,too_old,parked"`
	Seat    string     `json:"seat" doc:"Id of the seat; empty for the whole meeting."`
	Role    string     `json:"role" deprecated:"true" doc:"The same as seat, by its former name."`
	Note    bool       `json:"note" doc:"Worth knowing, and wanted: a parked meeting."`
	Message string     `json:"message" doc:"What is wrong: a sentence."`
	Since   *time.Time `json:"since" doc:"When it should have moved on, or when this began."`
	Error   *string    `json:"error" doc:"The last thing that went wrong; null if nothing did."`
	Fix     string     `json:"fix" doc:"What to do about it."`
}

// PlanStep is one thing that would be done now.
type PlanStep struct {
	Do   string `json:"do"`
	Seat string `json:"seat" doc:"Id of the seat; empty for the whole meeting."`
	Role string `json:"role" deprecated:"true" doc:"The same as seat, by its former name."`
	Why  string `json:"why"`
}
