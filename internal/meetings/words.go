package meetings

import (
	"time"

	"greenroom"
)

// message is the sentence for a participant: what is going on, and what to do.
func message(st Standing, seat *greenroom.Seat, now time.Time) string {
	d := &seat.Desktop
	switch d.Phase {
	case greenroom.Planned:
		if d.Attempt > 1 && !st.OpensAt.After(now) {
			return "A new desktop is on its way for you. Stay on this page."
		}
		return "You are early. Your desktop is started shortly before the meeting; this page takes you in by itself."
	case greenroom.Launching, greenroom.Booting:
		return troubled(d, "Your desktop is starting.")
	case greenroom.Naming:
		return troubled(d, "Your desktop is running and gets its name.")
	case greenroom.Proving:
		return troubled(d, "Your desktop is being checked from outside, so that you get in at the first try.")
	case greenroom.Ready, greenroom.InUse:
		return "Your desktop is ready."
	case greenroom.Failed:
		return failedMessage(st, d)
	case greenroom.Terminating, greenroom.Gone:
		if !st.Wanted {
			return "A new desktop is on its way for you. Stay on this page."
		}
		return goneMessage(d.EndReason)
	}
	return ""
}

// parkedMessage is for those whose desktop is not ready while an operator holds the meeting.
func parkedMessage(m *greenroom.Meeting, st Standing) string {
	zone, err := time.LoadLocation(m.TimeZone)
	if err != nil {
		zone = time.UTC
	}
	text := "An operator has paused greenroom for this meeting to look at a problem, so your desktop is not getting ready at the moment. It goes on as soon as they let it, and by " +
		m.ParkedUntil.In(zone).Format("15:04 MST") + " at the latest. "
	if st.Wanted {
		return text + "Ask for a new desktop now, and it is started then. If you cannot wait, tell the organiser."
	}
	return text + "Stay on this page: it takes you in by itself. If you cannot wait, tell the organiser."
}

func troubled(d *greenroom.Desktop, sentence string) string {
	if d.Error == "" {
		return sentence
	}
	return sentence + " It takes longer than usual: " + d.Error + " greenroom keeps trying; stay on this page."
}

func failedMessage(st Standing, d *greenroom.Desktop) string {
	switch {
	case d.Permanent && st.Wanted:
		return "Your desktop could not be started: " + d.Error + " Tell the organiser; when that is mended, ask for a new desktop here."
	case d.Permanent:
		return "Your desktop could not be started: " + d.Error + " Tell the organiser."
	}
	return "Your desktop had a fault: " + d.Error + " A new one replaces it; stay on this page."
}

func goneMessage(reason greenroom.RemovalReason) string {
	switch reason {
	case greenroom.RemovedNoShow:
		return "Your desktop was waiting and was given up because nobody used it. Ask for a new one: it takes a moment."
	case greenroom.RemovedKillTime:
		return "Your desktop reached its greatest age and was removed. Ask for a new one."
	case greenroom.RemovedRescheduled:
		return "The meeting was moved to a later time. A new desktop is started for it."
	default:
		return "Your desktop was removed. Ask for a new one."
	}
}

// endMessage says why a meeting is over and what its people can do.
func endMessage(reason greenroom.EndReason) string {
	switch reason {
	case greenroom.EndedByHost:
		return "The organiser has ended this meeting. Its desktops are gone; there is nothing you need to do."
	case greenroom.Cancelled:
		return "The organiser has cancelled this meeting. Ask the organiser for a new time."
	case greenroom.NoShow:
		return "This meeting is over because nobody came. Ask the organiser to schedule it again."
	case greenroom.Expired:
		return "This meeting's time is used up and it has ended. Ask the organiser for another meeting if you need more time."
	case greenroom.GaveUp:
		return "This meeting has ended because no desktop could be started for it. Tell the organiser, who can see what went wrong."
	default:
		return "This meeting is over. Its desktops are gone; there is nothing you need to do."
	}
}

func nameOf(s *greenroom.Seat) string {
	switch {
	case s.Name != "":
		return s.Name
	case s.ID == s.Role:
		return "The " + s.Role
	}
	return "Seat " + s.ID
}
