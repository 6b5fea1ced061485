package plan

import (
	"hash/fnv"
	"slices"
	"time"

	"greenroom"
)

// How often a provider that refuses for now is asked.
const (
	blockedPause  = 30 * time.Second // at least; at most twice as long
	blockedMoving = 5 * time.Minute  // when every place has refused, how long one is asked before the round begins again
)

// blocked waits for what the provider refuses for now, until the meeting's end. It is told at once; neither tries nor the stage's time
// are used up. The desktops of one call wait for the same instant.
func blocked(m *greenroom.Meeting, s *greenroom.Seat, err error, now time.Time) *greenroom.Event {
	d := &s.Desktop
	tries := d.Tries
	e := retry(s, "The provider refuses to start the machine for now.", err, now)
	at := now.Add(blockedPause + jitter(m.ID, now, blockedPause))
	d.Tries, d.RetryAt, d.TurnAt = tries, at, at
	if d.Blocked.Since.IsZero() {
		d.Blocked.Since = now
	}
	d.Blocked.At = now
	if e != nil {
		e.Data["blocked_since"] = stamp(d.Blocked.Since)
	}
	return e
}

// jitter is from 0 to most, and the same for the same meeting and instant.
func jitter(meeting string, now time.Time, most time.Duration) time.Duration {
	h := fnv.New32a()
	_, _ = h.Write([]byte(meeting + stamp(now)))
	return most * time.Duration(h.Sum32()%1024) / 1024
}

// refused reports whether the last answer to the present launch was that it is blocked.
func refused(d *greenroom.Desktop) bool {
	return d.Phase == greenroom.Launching && !d.Blocked.Since.IsZero() && !d.Blocked.At.Before(d.Timings[greenroom.Launching])
}

// goesElsewhere reports whether a launch that is refused for now is given up to ask in another place: quotas are by family. The
// provider no longer names a place when others may do better.
func (p *planner) goesElsewhere(s *greenroom.Seat) bool {
	d := &s.Desktop
	places := p.placesOf(s.Role)
	if !refused(d) || p.due(d.RetryAt) || len(places) == 0 || slices.Contains(places, d.Launch.Place) {
		return false
	}
	untried := slices.ContainsFunc(places, func(place string) bool { return !slices.Contains(d.Tried, place) })
	return untried || p.due(d.Timings[greenroom.Launching].Add(blockedMoving))
}

// launchElsewhere gives the attempt up. It is no failure of the seat: the next attempt begins as soon as this one is certainly dead.
func (p *planner) launchElsewhere(s *greenroom.Seat) {
	d := &s.Desktop
	if !slices.Contains(d.Tried, d.Launch.Place) {
		d.Tried = append(d.Tried, d.Launch.Place)
	}
	d.EndReason = greenroom.RemovedFailed
	p.move(s, greenroom.Failed, "The provider refuses the launch in "+d.Launch.Place+" for now; the next place is asked.")
}

// AskAgain makes every launch of the meeting due that its provider refuses for now: a machine has gone, and may have left room. It
// reports whether there is one.
func AskAgain(m *greenroom.Meeting, now time.Time) bool {
	found := false
	for i := range m.Seats {
		if d := &m.Seats[i].Desktop; m.EndReason == "" && refused(d) && d.RetryAt.After(now) {
			d.RetryAt, d.TurnAt, d.Tried, found = now, now, nil, true
		}
	}
	return found && !m.ParkedUntil.After(now)
}
