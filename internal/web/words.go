package web

import (
	"fmt"
	"strings"
	"time"

	"greenroom"
)

// tone picks the colour of a state: never the only carrier of it, the word is beside it.
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

var stateTones = map[greenroom.State]tone{
	greenroom.Scheduled: calm, greenroom.Preparing: busy, greenroom.AllReady: good, greenroom.InProgress: good, greenroom.Waiting: calm, greenroom.Ending: busy, greenroom.Ended: over,
}

var phaseTones = map[greenroom.Phase]tone{
	greenroom.Planned: calm, greenroom.Launching: busy, greenroom.Booting: busy, greenroom.Naming: busy, greenroom.Proving: busy,
	greenroom.Ready: good, greenroom.InUse: good, greenroom.Terminating: busy, greenroom.Gone: over, greenroom.Failed: bad,
}

func statePill(s greenroom.State, why greenroom.EndReason) pill {
	switch {
	case s == greenroom.Ended && why == greenroom.GaveUp:
		return pill{why.Words().Label, bad}
	case s == greenroom.Ended:
		return pill{why.Words().Label, over}
	}
	return pill{s.Label(), stateTones[s]}
}

func phasePill(d *greenroom.Desktop, zone string) pill {
	if d.Connected() {
		return pill{"Connected", good}
	}
	if since := d.AwaySince(); !since.IsZero() {
		return pill{"Away since " + clock(since, zone), calm}
	}
	return pill{d.Phase.Words().Label, phaseTones[d.Phase]}
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
