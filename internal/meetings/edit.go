package meetings

import (
	"context"
	"fmt"
	"strings"
	"time"

	"greenroom"
	"greenroom/internal/plan"
	"greenroom/internal/timezone"
)

// StaleError says that a change was meant for another version of the meeting.
type StaleError struct{ Want, Have int64 }

func (e *StaleError) Error() string {
	return fmt.Sprintf("the change is for version %d and the meeting is at version %d: look at it again", e.Want, e.Have)
}

// Unwrap makes it an ErrConflict.
func (e *StaleError) Unwrap() error { return greenroom.ErrConflict }

// Edit changes a meeting that has not ended; machines follow, id and links stay. A non-zero ifMatch must be
// the meeting's version, else StaleError. OccupiedError if it takes desktops from people and is not forced.
func (s *Service) Edit(ctx context.Context, id string, in Edit, ifMatch int64) (greenroom.Meeting, error) {
	return s.change(ctx, id, func(m *greenroom.Meeting, now time.Time) ([]greenroom.Event, error) {
		if err := editable(m, ifMatch); err != nil {
			return nil, err
		}
		var bad greenroom.InvalidError
		before := m.Clone()
		changes := s.apply(m, in, now, &bad)
		if err := bad.Err(); err != nil {
			return nil, err
		}
		people, err := occupied(&before, m, in.Force, now)
		if err != nil {
			return nil, err
		}
		if len(changes) == 0 {
			return nil, errUnchanged
		}
		m.Version++
		data := map[string]string{"starts_at": m.StartsAt.Format(time.RFC3339), "ends_at": m.EndsAt.Format(time.RFC3339), "title": m.Title, "changed": strings.Join(changes, ", ")}
		return []greenroom.Event{{At: now, Kind: greenroom.EventChanged, Message: "The organiser changed " + strings.Join(changes, ", ") + ".", Data: forced(data, people)}}, nil
	})
}

// apply makes the changes and names them.
func (s *Service) apply(m *greenroom.Meeting, in Edit, now time.Time, bad *greenroom.InvalidError) []string {
	var changes []string
	note := func(changed bool, what string) {
		if changed {
			changes = append(changes, what)
		}
	}
	if in.Title != nil {
		t := title(*in.Title, bad)
		note(t != m.Title, "the title")
		m.Title = t
	}
	if in.TimeZone != nil {
		z := timeZone(*in.TimeZone, bad)
		note(z != m.TimeZone, "the time zone")
		m.TimeZone = z
	}
	starts, ends := m.StartsAt, m.EndsAt
	retime(m, in, now, bad)
	note(!m.StartsAt.Equal(starts), "the start")
	note(!m.EndsAt.Equal(ends), "the end")
	if in.Seats != nil {
		note(s.reseat(m, in.Seats, now, bad), "the seats")
	}
	return changes
}

// retime moves start and end.
func retime(m *greenroom.Meeting, in Edit, now time.Time, bad *greenroom.InvalidError) {
	length, endField := m.Duration(), "starts_at"
	if in.StartsAt != nil {
		if t, err := timezone.ParseTime(*in.StartsAt); err != nil || !t.Equal(m.StartsAt) {
			m.StartsAt = start(*in.StartsAt, now, bad)
		}
	}
	if in.Duration != nil {
		length, endField = duration("duration", *in.Duration, bad), "duration"
	}
	if in.StartsAt != nil || in.Duration != nil {
		m.EndsAt = m.StartsAt.Add(length)
	}
	if in.EndsAt != nil {
		if in.Duration != nil {
			bad.Add("ends_at", "give the end or the duration, not both")
		}
		m.EndsAt, endField = instant("ends_at", *in.EndsAt, "", bad), "ends_at"
	}
	if (in.StartsAt != nil || in.Duration != nil || in.EndsAt != nil) && len(bad.Fields) == 0 {
		checkTimes(m, now, endField, bad)
		checkMachines(m, now, endField, bad)
	}
}

// checkMachines refuses an end that the machines of a meeting in progress cannot live to see. One that is moved so far that it
// gets new ones has no such bound.
func checkMachines(m *greenroom.Meeting, now time.Time, endField string, bad *greenroom.InvalidError) {
	if plan.Moved(m, now) {
		return
	}
	for _, s := range m.Present() {
		d := &s.Desktop
		if d.Phase == greenroom.InUse && m.EndsAt.After(d.KillAt) {
			bad.Add(endField, "the machine of seat %q is removed at %s (kill_after); end the meeting before that", s.ID, d.KillAt.Format(time.RFC3339))
			return
		}
	}
}

// Cancel calls a meeting off. A meeting that is over already stays as it is; a parked one is let go.
func (s *Service) Cancel(ctx context.Context, id string) (greenroom.Meeting, error) {
	return s.stop(ctx, id, greenroom.Cancelled, "The organiser cancelled the meeting.")
}

// End ends a meeting now. A meeting that is over already stays as it is; a parked one is let go.
func (s *Service) End(ctx context.Context, id string) (greenroom.Meeting, error) {
	return s.stop(ctx, id, greenroom.EndedByHost, "The organiser ended the meeting.")
}

func (s *Service) stop(ctx context.Context, id string, reason greenroom.EndReason, why string) (greenroom.Meeting, error) {
	return s.change(ctx, id, func(m *greenroom.Meeting, now time.Time) ([]greenroom.Event, error) {
		switch {
		case m.EndReason != "" && m.ParkedUntil.IsZero():
			return nil, errUnchanged
		case m.EndReason != "":
			m.Version++
			return []greenroom.Event{resume(m, why+" It is over already, and goes on ending.", "", now)}, nil
		}
		m.Version++
		var events []greenroom.Event
		if !m.ParkedUntil.IsZero() {
			events = append(events, resume(m, "The meeting is ended and therefore no longer parked.", "", now))
		}
		return append(events, plan.End(m, reason, why, nil, now)), nil
	})
}

// SessionData notes that a seat's session is over and where its data lies. The first report is kept.
func (s *Service) SessionData(ctx context.Context, id, seatID, where string) error {
	if err := checkDataURL(where); err != nil {
		return err
	}
	_, err := s.change(ctx, id, func(m *greenroom.Meeting, now time.Time) ([]greenroom.Event, error) {
		seat := m.Seat(seatID)
		if seat == nil {
			return nil, fmt.Errorf("seat %q: %w", clip(seatID), greenroom.ErrNotFound)
		}
		if seat.SessionData != nil && seat.SessionData.URL == where {
			return nil, errUnchanged
		}
		if m.Closed {
			return nil, &greenroom.UserError{Message: "The meeting is over; its session data can no longer be changed.", Cause: greenroom.ErrEnded}
		}
		seat.SessionData = &greenroom.SessionData{URL: where, At: now}
		return []greenroom.Event{{At: now, Kind: greenroom.EventSessionData, Seat: seatID, Attempt: seat.Desktop.Attempt,
			Message: "The seat's session data was reported.", Data: map[string]string{"url": where}}}, nil
	})
	return err
}
