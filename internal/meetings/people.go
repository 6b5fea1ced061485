package meetings

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"greenroom"
)

// SeatEdit changes one seat; nil fields stay.
type SeatEdit struct {
	Name  *string
	Email *string
}

// maxReason bounds why a desktop is replaced, in characters.
const maxReason = 200

// AddSeats adds seats to a meeting that has not ended and returns the ids of the new ones; the desktops of one that runs are
// started at once. A non-zero ifMatch must be the meeting's version, else StaleError.
func (s *Service) AddSeats(ctx context.Context, id string, in []SeatInput, ifMatch int64) (greenroom.Meeting, []string, error) {
	m, added, _, err := s.AddSeatsOnce(ctx, id, in, ifMatch, "")
	return m, added, err
}

// AddSeatsOnce is AddSeats for a request that may be repeated: with the same idempotency key it is answered with the ids that the
// first one added, whatever became of them, and the meeting as it is. ErrReused if the key was used with this meeting for other seats.
func (s *Service) AddSeatsOnce(ctx context.Context, id string, in []SeatInput, ifMatch int64, key string) (_ greenroom.Meeting, added []string, replayed bool, _ error) {
	wish := greenroom.Addition{}
	if key != "" {
		text, _ := json.Marshal(in) // plain strings always marshal
		wish.Key, wish.Fingerprint = greenroom.HashSecret(key), greenroom.HashSecret(string(text))
	}
	m, err := s.change(ctx, id, func(m *greenroom.Meeting, now time.Time) ([]greenroom.Event, error) {
		added, replayed = nil, false // a try before this one may have lost its race
		if i := slices.IndexFunc(m.Additions, func(a greenroom.Addition) bool { return key != "" && a.Key == wish.Key }); i >= 0 {
			if m.Additions[i].Fingerprint != wish.Fingerprint {
				return nil, ErrReused
			}
			added, replayed = m.Additions[i].Seats, true
			return nil, errUnchanged
		}
		if err := editable(m, ifMatch); err != nil {
			return nil, err
		}
		var bad greenroom.InvalidError
		if len(in) == 0 {
			bad.Add("seats", "give at least one seat")
		}
		var events []greenroom.Event
		checkNewIDs(in, &bad)
		for _, seat := range s.addSeats(m, in, func(i int) string { return fmt.Sprintf("seats[%d].", i) }, now, &bad) {
			added = append(added, seat.ID)
			events = append(events, greenroom.Event{At: now, Kind: greenroom.EventChanged, Seat: seat.ID, Message: "The organiser added the seat " + titled(seat) + "."})
		}
		if err := bad.Err(); err != nil {
			return nil, err
		}
		if key != "" {
			wish.Seats = added
			m.Additions = append(slices.Clone(m.Additions[max(0, len(m.Additions)-greenroom.MaxAdditions+1):]), wish)
		}
		m.Version++
		return events, nil
	})
	return m, added, replayed, err
}

// ErrReused refuses an idempotency key that was used for another request.
var ErrReused = fmt.Errorf("the idempotency key was used for another request: %w", greenroom.ErrConflict)

// EditSeat gives a seat's participant another name or address. Errors as AddSeats', and ErrNotFound for no such seat.
func (s *Service) EditSeat(ctx context.Context, id, seatID string, in SeatEdit, ifMatch int64) (greenroom.Meeting, error) {
	return s.organise(ctx, id, ifMatch, func(m *greenroom.Meeting, now time.Time) ([]greenroom.Event, error) {
		seat := m.Seat(seatID)
		if seat == nil {
			return nil, noSeat(seatID)
		}
		was := *seat
		changed := rename(seat, in.Name, in.Email)
		var bad greenroom.InvalidError
		checkChange("", was, seat.Name, seat.Email, &bad)
		if err := bad.Err(); err != nil {
			return nil, err
		}
		if !changed {
			return nil, errUnchanged
		}
		return []greenroom.Event{{At: now, Kind: greenroom.EventChanged, Seat: seat.ID, Message: "The organiser changed the seat: " + titled(seat) + "."}}, nil
	})
}

// RemoveSeat takes a seat off a meeting that has not ended; its desktop goes, and its link opens nothing any more. Without
// force it is an OccupiedError if that takes the desktop from somebody. Other errors as EditSeat's.
func (s *Service) RemoveSeat(ctx context.Context, id, seatID string, force bool, ifMatch int64) (greenroom.Meeting, error) {
	return s.organise(ctx, id, ifMatch, func(m *greenroom.Meeting, now time.Time) ([]greenroom.Event, error) {
		seat := m.Seat(seatID)
		switch {
		case seat == nil:
			return nil, noSeat(seatID)
		case len(m.Present()) == 1:
			return nil, &greenroom.UserError{Message: "This is the meeting's only seat. Cancel or end the meeting instead.", Cause: greenroom.ErrConflict}
		}
		before := m.Clone()
		seat.Removed = true
		people, err := occupied(&before, m, force, now)
		if err != nil {
			return nil, err
		}
		return []greenroom.Event{{At: now, Kind: greenroom.EventChanged, Seat: seat.ID, Message: "The organiser took the seat " + titled(seat) + " off the meeting.",
			Data: forced(nil, people)}}, nil
	})
}

// ReplaceDesktop gives a seat a new desktop for that reason, at any time before the meeting's end: the one that is there
// goes first, with everything on it. Errors as RemoveSeat's.
func (s *Service) ReplaceDesktop(ctx context.Context, id, seatID, reason string, force bool, ifMatch int64) (greenroom.Meeting, error) {
	return s.organise(ctx, id, ifMatch, func(m *greenroom.Meeting, now time.Time) ([]greenroom.Event, error) {
		seat := m.Seat(seatID)
		if seat == nil {
			return nil, noSeat(seatID)
		}
		var bad greenroom.InvalidError
		reason := line("reason", "a reason", reason, maxReason, &bad)
		if reason == "" {
			bad.Add("reason", "say why the desktop is replaced, in 1 to %d characters", maxReason)
		}
		if err := bad.Err(); err != nil {
			return nil, err
		}
		d := &seat.Desktop
		switch {
		case d.Phase == greenroom.Planned:
			return nil, &greenroom.UserError{Message: "The seat has no desktop yet: there is nothing to replace.", Cause: greenroom.ErrConflict}
		case seat.Replacing():
			return nil, errUnchanged
		}
		before := m.Clone()
		seat.ReplaceAttempt, seat.ReplaceReason, seat.Failures = d.Attempt, reason, 0
		s.correct(m, d)
		people, err := occupied(&before, m, force, now)
		if err != nil {
			return nil, err
		}
		return []greenroom.Event{{At: now, Kind: greenroom.EventReplaced, Seat: seat.ID, Attempt: d.Attempt,
			Message: "The organiser asked for a new desktop: " + strings.TrimSuffix(reason, ".") + ".", Data: forced(map[string]string{"reason": reason}, people)}}, nil
	})
}

// What becomes of those who are inside when a seat's link is replaced.
const (
	CutConnections  = "cut"
	KeepConnections = "keep"
)

// ReissueKey gives a seat a new link. The old one stops working at once, and so do the unused tokens that were given with it.
// Those inside are cut off: tokens, sessions and passes of the gateway end, and their connections are closed; or, with
// KeepConnections, they stay and can come back. Empty is CutConnections.
func (s *Service) ReissueKey(ctx context.Context, id, seatID, inside string) (greenroom.Meeting, error) {
	if inside != "" && inside != CutConnections && inside != KeepConnections {
		var bad greenroom.InvalidError
		bad.Add("connections", "must be %s or %s", CutConnections, KeepConnections)
		return greenroom.Meeting{}, bad.Err()
	}
	return s.change(ctx, id, func(m *greenroom.Meeting, now time.Time) ([]greenroom.Event, error) {
		seat := m.Seat(seatID)
		if seat == nil {
			return nil, noSeat(seatID)
		}
		seat.Key = greenroom.NewSecret()
		m.Version++
		message := "The seat's link was replaced by a new one; who came in by the old one is cut off."
		if inside == KeepConnections {
			message = "The seat's link was replaced by a new one; who is inside stays."
			seat.Desktop.Tokens = slices.DeleteFunc(slices.Clone(seat.Desktop.Tokens), func(t greenroom.Token) bool { return t.Client == "" })
		} else {
			seat.Desktop.Tokens = nil
			seat.Rekeyed++
		}
		return []greenroom.Event{{At: now, Kind: greenroom.EventKeyReissued, Seat: seatID, Message: message}}, nil
	})
}

// organise makes a change that only the organiser makes, to a meeting that has not ended, and counts it as a version.
func (s *Service) organise(ctx context.Context, id string, ifMatch int64, f func(m *greenroom.Meeting, now time.Time) ([]greenroom.Event, error)) (greenroom.Meeting, error) {
	return s.change(ctx, id, func(m *greenroom.Meeting, now time.Time) ([]greenroom.Event, error) {
		if err := editable(m, ifMatch); err != nil {
			return nil, err
		}
		events, err := f(m, now)
		if err == nil {
			m.Version++
		}
		return events, err
	})
}

// editable says why the organiser cannot change the meeting of that version, nil if it can be changed.
func editable(m *greenroom.Meeting, ifMatch int64) error {
	if ifMatch != 0 && ifMatch != m.Version {
		return &StaleError{Want: ifMatch, Have: m.Version}
	}
	if m.EndReason != "" {
		return &greenroom.UserError{Message: "The meeting is over and can no longer be changed; schedule a new one.", Cause: greenroom.ErrEnded}
	}
	return nil
}

// titled names a seat with its participant.
func titled(s *greenroom.Seat) string {
	if s.Name == "" {
		return s.ID
	}
	return s.ID + " (" + s.Name + ")"
}
