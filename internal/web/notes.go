package web

import (
	"fmt"
	"strings"
	"time"

	"greenroom"
)

// removal says what became of a desktop that is gone or is going, and why; "" while it is neither. The reason alone is not
// enough: nobody gets a new desktop of a meeting that is over, and one that was never started was not removed.
func removal(m *greenroom.Meeting, d *greenroom.Desktop) string {
	why := whyRemoved(m, d)
	switch d.Phase {
	case greenroom.Terminating:
		return "Being removed " + why + "."
	case greenroom.Gone:
	case greenroom.Planned:
		if m.EndReason == "" {
			return ""
		}
	default:
		return ""
	}
	if _, launched := d.Entered(greenroom.Launching); !launched {
		return "Never started: " + afterBecause(why) + "."
	}
	if m.EndReason == "" && d.EndReason == greenroom.RemovedNoShow {
		return "Removed " + why + ". Whoever comes later gets a new one."
	}
	return "Removed " + why + "."
}

// whyRemoved is the reason of a removal, as the end of a sentence: the desktop's own, or else the end of the meeting.
func whyRemoved(m *greenroom.Meeting, d *greenroom.Desktop) string {
	why := d.EndReason
	if why == "" {
		why = greenroom.RemovalReason(m.EndReason)
	}
	if words := why.Words().Because; words != "" {
		return words
	}
	return "for a reason that is not known"
}

func afterBecause(why string) string {
	if rest, ok := strings.CutPrefix(why, "because "); ok {
		return rest
	}
	return "it was removed " + why
}

// seatPill is phasePill that knows the meeting: in one that is over nothing is planned or ready any more.
func seatPill(m *greenroom.Meeting, d *greenroom.Desktop) pill {
	_, launched := d.Entered(greenroom.Launching)
	if m.EndReason != "" && !launched && (d.Phase == greenroom.Planned || d.Phase == greenroom.Gone) {
		return pill{"Not started", over}
	}
	return phasePill(d, m.TimeZone)
}

// shownStages are the stages of a desktop's start while they say something: those of one that is gone are history, which
// stands with its facts.
func shownStages(d *greenroom.Desktop) bool {
	return d.Phase != greenroom.Terminating && d.Phase != greenroom.Gone
}

// endOutlook says when a meeting in progress ends and when its desktops go.
func endOutlook(m *greenroom.Meeting, now time.Time) string {
	rules, at := m.Blueprint.Rules, func(t time.Time) string { return clock(t, m.TimeZone) }
	grace, most := m.EndsAt.Add(time.Duration(rules.Grace)), m.EndsAt.Add(time.Duration(max(rules.Grace, rules.Overtime)))
	switch {
	case now.Before(m.EndsAt):
		return fmt.Sprintf("The meeting is planned to end at %s. Desktops are removed at %s, or at %s at the latest while somebody is still connected.", at(m.EndsAt), at(grace), at(most))
	case now.Before(grace):
		return fmt.Sprintf("The meeting’s time has been over since %s. Desktops are removed at %s, or at %s at the latest while somebody is still connected.", at(m.EndsAt), at(grace), at(most))
	}
	return fmt.Sprintf("The meeting’s time has been over since %s. Desktops are removed as soon as nobody is connected, and at %s at the latest.", at(m.EndsAt), at(most))
}

// readyOutlook says what comes next while everything is ready and nobody has come.
func readyOutlook(m *greenroom.Meeting, now time.Time) string {
	noShow := m.StartsAt.Add(time.Duration(m.Blueprint.Rules.NoShowAfter))
	if !now.Before(noShow) {
		return "Everything is ready."
	}
	return fmt.Sprintf("Everything is ready. A desktop that nobody has used by %s is removed, and started again for whoever comes later.", clock(noShow, m.TimeZone))
}
