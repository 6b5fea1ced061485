package sim

import (
	"fmt"
	"time"

	"greenroom"
	"greenroom/internal/compute"
)

// Promises to launches that are blocked, in a calm world.
const (
	askedAfter = 15 * time.Second // a machine of ours is confirmed to be gone
	askedEvery = 3 * time.Minute  // while there is room
)

// scarce gives the life's provider a quota, which may be less than a meeting needs.
func (l *life) scarce() {
	if l.hit(l.rates.Quota, "quota") {
		l.quota = 1 + l.rng.IntN(6)
	}
}

// occupied counts the machines that take up the quota at an instant.
func (l *life) occupied(at time.Duration) int {
	n := 0
	for _, m := range l.machines {
		if !m.foreign && m.launched <= at && at < min(m.dead, m.unlisted) {
			n++
		}
	}
	return n
}

// full refuses a launch that is beyond the quota.
func (l *life) full() error {
	if l.quota == 0 || l.occupied(l.now) < l.quota {
		return nil
	}
	l.count("full quota")
	return &greenroom.UserError{Message: "The quota is full.", Cause: fmt.Errorf("VcpuLimitExceeded: %w", greenroom.ErrBlocked)}
}

// roomSince is since when there has been room in the quota; now if there is none.
func (l *life) roomSince() time.Duration {
	if l.quota == 0 {
		return 0
	}
	if l.occupied(l.now) >= l.quota {
		return l.now
	}
	since := time.Duration(0)
	for _, m := range l.machines {
		if gone := min(m.dead, m.unlisted); gone <= l.now && gone > since && l.occupied(gone-1) >= l.quota {
			since = gone
		}
	}
	return since
}

// blockedUntil reports whether the provider refuses the seat's launch for now, and when it is asked again.
func blockedUntil(b *book, s *greenroom.Seat) (time.Duration, bool) {
	d := &s.Desktop
	blocked := b.open() && b.now.EndReason == "" && !s.Removed && d.Phase == greenroom.Launching && !d.Blocked.Since.IsZero() && !d.Blocked.At.Before(d.Timings[greenroom.Launching])
	return d.RetryAt.Sub(epoch), blocked
}

// checkRoom runs every few minutes in a calm world: nobody waits for room that there is.
func (l *life) checkRoom(b *book) {
	for i := range b.now.Seats {
		s := &b.now.Seats[i]
		if _, blocked := blockedUntil(b, s); !blocked {
			continue
		}
		if from := max(l.roomSince(), l.calmAt, s.Desktop.Blocked.Since.Sub(epoch)); l.now-from > askedEvery {
			l.fail("%s of %s is blocked, and there has been room for %s", s.ID, b.id, l.now-from)
		}
	}
}

// checkFreed runs after a save that says that a machine has gone: whoever is blocked is asked for again soon.
func (l *life) checkFreed(b *book, prev, next *greenroom.Meeting) {
	if !l.calm || l.now < l.calmAt || l.quota == 0 || !freed(prev, next) {
		return
	}
	for _, other := range l.books {
		for i := range other.now.Seats {
			s := &other.now.Seats[i]
			at, blocked := blockedUntil(other, s)
			if other == b || !blocked || at < l.now+askedAfter+3*maxOffset {
				continue
			}
			handle, saved := other.now.Handle(s), l.now
			l.after(askedAfter+2*maxOffset, func() {
				if seat := l.seat(handle); seat != nil && l.broken == "" {
					if _, still := blockedUntil(other, seat); still && l.launchAsked[handle] < saved {
						l.fail("%s was blocked, a machine of %s went, and it was not asked for again", handle.Token(), b.id)
					}
				}
			})
		}
	}
}

// freed reports whether the save says that a machine is no more.
func freed(prev, next *greenroom.Meeting) bool {
	for i := range prev.Seats {
		was := &prev.Seats[i]
		if is := next.AnySeat(was.ID); was.Desktop.InstanceID != "" && was.Desktop.MayExist() && (is == nil || is.Desktop.Attempt != was.Desktop.Attempt || !is.Desktop.MayExist()) {
			return true
		}
	}
	return false
}

// noteAsked remembers when a machine was asked for last.
func (l *life) noteAsked(q compute.Request) {
	if l.launchAsked == nil {
		l.launchAsked = map[greenroom.Handle]time.Duration{}
	}
	l.launchAsked[q.Handle] = l.now
}
