package web

import (
	"fmt"
	"strings"
	"time"

	"greenroom"
)

// tone picks the colour of a state: never the only carrier of it, the word stands beside.
type tone string

const (
	calm tone = "calm"
	busy tone = "busy"
	good tone = "good"
	bad  tone = "bad"
	over tone = "over"
)

// pill is a short word with a tone.
type pill struct {
	Word string
	Tone tone
}

func statePill(s greenroom.State, why greenroom.EndReason) pill {
	switch s {
	case greenroom.Preparing:
		return pill{"Preparing", busy}
	case greenroom.AllReady:
		return pill{"Ready", good}
	case greenroom.InProgress:
		return pill{"In progress", good}
	case greenroom.Waiting:
		return pill{"Waiting", calm}
	case greenroom.Ending:
		return pill{"Ending", busy}
	case greenroom.Ended:
		return endPill(why)
	default:
		return pill{"Scheduled", calm}
	}
}

func endPill(why greenroom.EndReason) pill {
	switch why {
	case greenroom.Cancelled:
		return pill{"Cancelled", over}
	case greenroom.NoShow:
		return pill{"Nobody came", over}
	case greenroom.GaveUp:
		return pill{"Failed", bad}
	default:
		return pill{"Ended", over}
	}
}

// endSentence says why a meeting is over.
func endSentence(why greenroom.EndReason) string {
	switch why {
	case greenroom.Completed:
		return "The meeting is complete."
	case greenroom.NoShow:
		return "Nobody came, so the meeting was ended and its desktops were removed."
	case greenroom.EndedByHost:
		return "The organiser ended the meeting."
	case greenroom.Cancelled:
		return "The meeting was cancelled."
	case greenroom.Expired:
		return "The meeting's time ran out."
	case greenroom.GaveUp:
		return "No desktop could be started, so the meeting was ended."
	default:
		return "The meeting is over."
	}
}

func phasePill(d *greenroom.Desktop, zone string) pill {
	switch d.Phase {
	case greenroom.Launching:
		return pill{"Starting", busy}
	case greenroom.Booting:
		return pill{"Booting", busy}
	case greenroom.Naming:
		return pill{"Naming", busy}
	case greenroom.Proving:
		return pill{"Checking", busy}
	case greenroom.Ready:
		return pill{"Ready", good}
	case greenroom.InUse:
		if d.Connected() {
			return pill{"Connected", good}
		}
		if since := d.AwaySince(); !since.IsZero() {
			return pill{"Away since " + clock(since, zone), calm}
		}
		return pill{"In use", good}
	case greenroom.Terminating:
		return pill{"Removing", busy}
	case greenroom.Gone:
		return pill{"Removed", over}
	case greenroom.Failed:
		return pill{"Failed", bad}
	default:
		return pill{"Planned", calm}
	}
}

// removalSentence says why a desktop was or is being removed.
func removalSentence(why greenroom.RemovalReason) string {
	switch why {
	case greenroom.RemovedNoShow:
		return "Removed because nobody used it in time. Who comes later gets a new one."
	case greenroom.RemovedRescheduled:
		return "Removed because the meeting moved to a later time."
	case greenroom.RemovedSeat:
		return "Removed with its seat."
	case greenroom.RemovedKillTime:
		return "Removed because it reached the greatest age a desktop may have."
	case greenroom.RemovedFailed:
		return "Removed because it failed."
	case "":
		return ""
	default:
		return "Removed because the meeting is over."
	}
}

// stageWords names the stages of a desktop's start, for people who do not know what DNS is.
var stageWords = map[greenroom.Phase]string{
	greenroom.Planned:   "Planned",
	greenroom.Launching: "Ask for a machine",
	greenroom.Booting:   "Start it up",
	greenroom.Naming:    "Give it a name",
	greenroom.Proving:   "Check it from outside",
	greenroom.Ready:     "Ready",
}

var stageShort = map[greenroom.Phase]string{
	greenroom.Launching: "Machine",
	greenroom.Booting:   "Boot",
	greenroom.Naming:    "Name",
	greenroom.Proving:   "Check",
	greenroom.Ready:     "Ready",
}

var proofWords = map[string]string{"dns": "Name", "tls": "Certificate", "page": "Desktop answers"}

// roleWord is a role as a word for people: "lab-host" is "Lab host".
func roleWord(role string) string {
	s := strings.ReplaceAll(role, "-", " ")
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// roughly is a duration as people say it, with at most two units.
func roughly(d time.Duration) string {
	if d < 0 {
		d = -d
	}
	if d < time.Second {
		return "a moment"
	}
	if d < 10*time.Minute {
		d = d.Round(time.Second)
	} else {
		d = d.Round(time.Minute)
	}
	units := []struct {
		size time.Duration
		word string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}}
	var parts []string
	for _, u := range units {
		if n := d / u.size; n > 0 {
			parts = append(parts, fmt.Sprintf("%d\u202f%s", n, u.word))
			d -= n * u.size
		}
		if len(parts) == 2 {
			break
		}
	}
	return strings.Join(parts, " ")
}

// measured is a short duration with a sensible precision.
func measured(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return "under 1\u202fms"
	case d < time.Second:
		return fmt.Sprintf("%d\u202fms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f\u202fs", d.Seconds())
}

// relative places t relative to now: "in 5 min", "2 h ago".
func relative(t, now time.Time) string {
	switch d := t.Sub(now); {
	case d >= time.Second:
		return "in " + roughly(d)
	case d <= -time.Second:
		return roughly(d) + " ago"
	default:
		return "now"
	}
}
