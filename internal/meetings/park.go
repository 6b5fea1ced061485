package meetings

import (
	"context"
	"time"

	"greenroom"
	"greenroom/internal/plan"
)

// Bounds of a parking.
const (
	defaultParking = time.Hour
	minParking     = time.Second
	maxParking     = 12 * time.Hour
)

// Park holds a meeting: greenroom does nothing for it until the time is over, Resume is called, or the organiser
// ends it. Empty length is an hour; parking again changes the end of parking. By says where the call came from. ErrEnded if
// nothing of the meeting remains.
func (s *Service) Park(ctx context.Context, id, length, reason, by string) (greenroom.Meeting, error) {
	var bad greenroom.InvalidError
	d := defaultParking
	if length != "" {
		var err error
		if d, err = time.ParseDuration(length); err != nil || d < minParking || d > maxParking {
			bad.Add("for", "a meeting is parked for a Go duration from %s to %s, such as 30m; %q is not one", greenroom.Duration(minParking), greenroom.Duration(maxParking), clip(length))
		}
	}
	reason = line("reason", "a reason", reason, MaxReason, &bad)
	if err := bad.Err(); err != nil {
		return greenroom.Meeting{}, err
	}
	return s.change(ctx, id, func(m *greenroom.Meeting, now time.Time) ([]greenroom.Event, error) {
		if m.Closed {
			return nil, &greenroom.UserError{Message: "The meeting has ended and nothing of it remains: there is nothing to park.", Cause: greenroom.ErrEnded}
		}
		m.Version++
		return []greenroom.Event{plan.Park(m, now.Add(d), reason, map[string]string{"client": by}, now)}, nil
	})
}

// Resume lets go of a parked meeting. One that is not parked stays as it is.
func (s *Service) Resume(ctx context.Context, id, by string) (greenroom.Meeting, error) {
	return s.change(ctx, id, func(m *greenroom.Meeting, now time.Time) ([]greenroom.Event, error) {
		if m.ParkedUntil.IsZero() {
			return nil, errUnchanged
		}
		m.Version++
		return []greenroom.Event{resume(m, "The operator resumed the meeting; greenroom acts on the meeting again.", by, now)}, nil
	})
}

func resume(m *greenroom.Meeting, why, by string, now time.Time) greenroom.Event {
	data := map[string]string{"parked_reason": m.ParkedReason}
	if by != "" {
		data["client"] = by
	}
	return plan.Resume(m, why, data, now)
}
