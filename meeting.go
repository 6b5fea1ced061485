package greenroom

import (
	"maps"
	"slices"
	"time"
)

// Meeting is the aggregate: stored, revised and decided as one.
type Meeting struct {
	ID        string    `json:"id"`
	Rev       int64     `json:"rev"`     // rises by one with every save: the guard against lost updates
	Version   int64     `json:"version"` // rises with every change an organiser makes: If-Match compares this
	Title     string    `json:"title"`
	StartsAt  time.Time `json:"starts_at"` // UTC
	EndsAt    time.Time `json:"ends_at"`   // UTC
	TimeZone  string    `json:"time_zone"` // IANA name, for showing times
	Blueprint Blueprint `json:"blueprint"` // as it was when the meeting was scheduled
	Seats     []Seat    `json:"seats"`
	// Dropped holds the last attempt of each seat that was taken off, by its id. Tokens and secrets follow from id and attempt:
	// an id in it is never given to another seat, which would share those of the machines before it.
	Dropped   map[string]int `json:"dropped,omitempty"`
	CreatedAt time.Time      `json:"created_at"`

	EndReason EndReason `json:"end_reason,omitempty"` // set once, when it is decided that the meeting is over
	EndedAt   time.Time `json:"ended_at,omitzero"`    // when that was decided
	Closed    bool      `json:"closed,omitempty"`     // ended, and nothing of it remains: no more wakes
	WakeAt    time.Time `json:"wake_at,omitzero"`     // Advance is called then or soon after; zero is never

	ParkedUntil  time.Time `json:"parked_until,omitzero"`   // the meeting is parked: no action before then
	ParkedAt     time.Time `json:"parked_at,omitzero"`      // since when it is parked
	ParkedReason string    `json:"parked_reason,omitempty"` // the operator's reason

	// Additions are the last requests with an idempotency key that added seats, MaxAdditions at most.
	Additions []Addition `json:"additions,omitempty"`

	Repeats  int `json:"repeats,omitempty"`  // timeline entries that count against MaxRepeats
	Unlisted int `json:"unlisted,omitempty"` // entries that the timeline had no room for
}

// MaxAdditions bounds the requests that added seats and are remembered.
const MaxAdditions = 32

// Addition ties a request's idempotency key to the seats that it added.
type Addition struct {
	Key         string   `json:"key"`         // SHA-256
	Fingerprint string   `json:"fingerprint"` // of the request, so that a key used for something else is noticed
	Seats       []string `json:"seats"`       // ids
}

// Seat is one participant's place.
type Seat struct {
	// ID is short, unique in its meeting, and never changes. It is stored as "role": versions that know one seat of a
	// role only find there what tells seats apart, and handle each of several seats of one role as a seat of its own.
	ID          string       `json:"role"`
	Role        string       `json:"of,omitempty"` // one of the blueprint's; see FillRoles
	Name        string       `json:"name"`
	Email       string       `json:"email,omitempty"`
	Key         string       `json:"key"` // the secret of the join link
	Desktop     Desktop      `json:"desktop"`
	UsedAt      time.Time    `json:"used_at,omitzero"`       // first connection to any of the seat's desktops
	RequestedAt time.Time    `json:"requested_at,omitzero"`  // last time its person asked to enter without a desktop being there
	EnteredAt   time.Time    `json:"entered_at,omitzero"`    // last time its person was given the entry URL, as the timeline tells it
	EnteredBy   string       `json:"entered_by,omitempty"`   // the client address of that
	EnteredMore int          `json:"entered_more,omitempty"` // how often it was given again since, to the same address
	AskedAt     time.Time    `json:"asked_at,omitzero"`      // last time its person wanted to enter a desktop whose proof had expired
	LeftAt      time.Time    `json:"left_at,omitzero"`       // last time its person's last connection ended
	Failures    int          `json:"failures,omitempty"`     // desktops that failed in a row; a ready one resets it
	SessionData *SessionData `json:"session_data,omitempty"`
	Removed     bool         `json:"removed,omitempty"` // taken off by the organiser; stays until its desktop is gone
	// ReplaceAttempt is the attempt that the organiser wants to have replaced, and ReplaceReason why. A later attempt is a new desktop.
	ReplaceAttempt int    `json:"replace_attempt,omitempty"`
	ReplaceReason  string `json:"replace_reason,omitempty"`
	Rekeyed        int    `json:"rekeyed,omitempty"` // how often Key was replaced, and those inside cut off
}

// Requested reports whether the seat's person asked to enter after its desktop failed or its removal began.
func (s *Seat) Requested() bool {
	t := s.Desktop.Timings
	return s.RequestedAt.After(t[Terminating]) && s.RequestedAt.After(t[Failed])
}

// SessionData is a seat's report that its session is over and where its data lies.
type SessionData struct {
	URL string    `json:"url"`
	At  time.Time `json:"at"`
}

// Seat returns the seat with that id, or nil. Removed seats are not found.
func (m *Meeting) Seat(id string) *Seat {
	for i := range m.Seats {
		if m.Seats[i].ID == id && !m.Seats[i].Removed {
			return &m.Seats[i]
		}
	}
	return nil
}

// AnySeat is Seat, and finds removed seats too.
func (m *Meeting) AnySeat(id string) *Seat {
	for i := range m.Seats {
		if m.Seats[i].ID == id {
			return &m.Seats[i]
		}
	}
	return nil
}

// Replacing reports whether the organiser wants another desktop in place of the seat's current one.
func (s *Seat) Replacing() bool {
	return s.ReplaceAttempt != 0 && s.ReplaceAttempt == s.Desktop.Attempt
}

// Present returns the seats that are not removed.
func (m *Meeting) Present() []*Seat {
	out := make([]*Seat, 0, len(m.Seats))
	for i := range m.Seats {
		if !m.Seats[i].Removed {
			out = append(out, &m.Seats[i])
		}
	}
	return out
}

// Handle names the current attempt of the seat.
func (m *Meeting) Handle(s *Seat) Handle {
	return Handle{Meeting: m.ID, Seat: s.ID, Attempt: s.Desktop.Attempt}
}

// LaunchAt is when desktops are started: lead before the start.
func (m *Meeting) LaunchAt() time.Time { return m.StartsAt.Add(-time.Duration(m.Blueprint.Rules.Lead)) }

// Duration is from start to end.
func (m *Meeting) Duration() time.Duration { return m.EndsAt.Sub(m.StartsAt) }

// State derives the state of the meeting from its seats and its end.
func (m *Meeting) State() State {
	if m.EndReason != "" {
		for i := range m.Seats {
			if m.Seats[i].Desktop.MayExist() {
				return Ending
			}
		}
		return Ended
	}
	state, ready, gone, lost := Scheduled, 0, 0, 0
	seats := m.Present()
	for _, s := range seats {
		switch {
		case s.Desktop.Phase == InUse:
			return InProgress
		case s.Desktop.Phase == Ready:
			ready++
		case s.Desktop.Phase == Gone:
			gone++
		case s.Desktop.Phase == Failed && s.Desktop.Cleared:
			lost++
		}
		if s.Desktop.Phase != Planned {
			state = Preparing
		}
	}
	switch {
	case len(seats) > 0 && ready == len(seats):
		return AllReady
	case gone > 0 && gone+lost == len(seats):
		return Waiting
	}
	if state == Scheduled && slices.ContainsFunc(m.Seats, func(s Seat) bool { return s.Desktop.MayExist() }) {
		return Preparing // a seat that was taken off still has its desktop
	}
	return state
}

// Proved reports whether somebody may be sent to the seat's desktop now: a proof of it held within proof_age.
func (m *Meeting) Proved(s *Seat, now time.Time) bool {
	return s.Desktop.Enterable() && !now.After(s.Desktop.LastProof().Add(m.Blueprint.ProofAge()))
}

// KeptUntil is until when the seat's person keeps the desktop without being connected: a reload and a lost network change nothing
// within empty_after of the last connection, or of the last way in that was given. Zero if nobody was there.
func (m *Meeting) KeptUntil(s *Seat) time.Time {
	d := &s.Desktop
	ready, ok := d.Entered(Ready)
	if !ok || d.Phase != Ready && d.Phase != InUse {
		return time.Time{}
	}
	last := d.Agent.DisconnectedAt
	if s.EnteredAt.After(last) && !s.EnteredAt.Before(ready) {
		last = s.EnteredAt
	}
	if last.IsZero() {
		return last
	}
	return last.Add(time.Duration(m.Blueprint.Rules.EmptyAfter))
}

// Away is for how long the seat's person, who keeps the desktop, has not been connected to it; 0 while they are, or if nobody
// can know.
func (m *Meeting) Away(s *Seat, now time.Time) time.Duration {
	until := m.KeptUntil(s)
	if s.Desktop.Connected() || !m.Blueprint.Reports() || until.IsZero() {
		return 0
	}
	return max(now.Sub(until.Add(-time.Duration(m.Blueprint.Rules.EmptyAfter))), 0)
}

// Keeps reports whether the seat's person has the desktop now: connected, or kept for them. Of a desktop that cannot report
// nobody knows whether they have left.
func (m *Meeting) Keeps(s *Seat, now time.Time) bool {
	d := &s.Desktop
	return d.Connected() || d.Phase == InUse && !m.Blueprint.Reports() || now.Before(m.KeptUntil(s))
}

// Used reports whether anybody was ever connected to a desktop of the meeting.
func (m *Meeting) Used() bool {
	return slices.ContainsFunc(m.Seats, func(s Seat) bool { return !s.UsedAt.IsZero() })
}

// Clone returns a copy that shares nothing with m.
func (m *Meeting) Clone() Meeting {
	c := *m
	c.Blueprint = m.Blueprint.clone()
	c.Seats, c.Dropped, c.Additions = slices.Clone(m.Seats), maps.Clone(m.Dropped), slices.Clone(m.Additions)
	for i := range c.Seats {
		s := &c.Seats[i]
		s.Desktop.Timings = maps.Clone(s.Desktop.Timings)
		s.Desktop.Tokens = slices.Clone(s.Desktop.Tokens)
		s.Desktop.Present, s.Desktop.Closing = slices.Clone(s.Desktop.Present), slices.Clone(s.Desktop.Closing)
		s.Desktop.Launch.Seats, s.Desktop.Tried = slices.Clone(s.Desktop.Launch.Seats), slices.Clone(s.Desktop.Tried)
		s.Desktop.Refused = maps.Clone(s.Desktop.Refused)
		if s.Desktop.Proof != nil {
			p := *s.Desktop.Proof
			p.Steps = slices.Clone(p.Steps)
			s.Desktop.Proof = &p
		}
		if s.SessionData != nil {
			d := *s.SessionData
			s.SessionData = &d
		}
	}
	return c
}
