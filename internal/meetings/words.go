package meetings

import (
	"time"

	"greenroom"
	"greenroom/internal/timezone"
)

// message is the sentence for a participant: what is going on, and what to do.
func message(st Standing, seat *greenroom.Seat, now time.Time) string {
	d := &seat.Desktop
	switch d.Phase {
	case greenroom.Planned:
		if d.Attempt > 1 && !st.OpensAt.After(now) {
			return "A new desktop is on its way for you. Stay on this page."
		}
	case greenroom.Launching, greenroom.Booting, greenroom.Naming, greenroom.Proving:
		return troubled(d, d.Phase.Words().Participant)
	case greenroom.Failed:
		return failedMessage(st, d)
	case greenroom.Ready, greenroom.InUse:
		if st.checking {
			return checkingMessage(d)
		}
	case greenroom.Terminating, greenroom.Gone:
		if !st.Wanted {
			return "A new desktop is on its way for you. Stay on this page."
		}
		return d.EndReason.Words().Participant
	}
	return d.Phase.Words().Participant
}

// checkingMessage is for those whose desktop was proved too long ago.
func checkingMessage(d *greenroom.Desktop) string {
	if d.Trust.Failed == 0 {
		return "Your desktop is being checked before you are taken there. Stay on this page."
	}
	return "Your desktop has stopped answering. It is being checked, and a new one is started if it stays so. Stay on this page."
}

// parkedMessage is for those whose desktop is not ready while the meeting is parked.
func parkedMessage(m *greenroom.Meeting, st Standing) string {
	text := "An operator has parked this meeting to look at a problem, so your desktop is not getting ready at the moment. It continues when it is resumed, and by " +
		m.ParkedUntil.In(timezone.Show(m.TimeZone)).Format("15:04 MST") + " at the latest. "
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
	case !d.Blocked.Since.IsZero():
		return troubled(d, greenroom.Launching.Words().Participant)
	case d.Permanent && st.Wanted:
		return "Your desktop could not be started: " + d.Error + " Tell the organiser; when that is fixed, ask for a new desktop here."
	case d.Permanent:
		return "Your desktop could not be started: " + d.Error + " Tell the organiser."
	}
	return "Your desktop had a fault: " + d.Error + " A new one replaces it; stay on this page."
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
