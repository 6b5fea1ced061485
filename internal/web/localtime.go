package web

import (
	"fmt"
	"strings"
	"time"

	"greenroom"
	"greenroom/internal/timezone"
)

// wallLayout is how a browser's datetime-local field writes a time.
const wallLayout = "2006-01-02T15:04"

// zone loads an IANA time zone; the empty name and an unknown one are UTC. Pages that only show a time use it.
func zone(name string) *time.Location {
	return timezone.Show(name)
}

// instants returns the moments at which clocks in loc show wall, in order: one on most days, none in the gap
// of a change to summer time, two when it ends. time.Date would silently pick one.
func instants(wall time.Time, loc *time.Location) []time.Time {
	naive := time.Date(wall.Year(), wall.Month(), wall.Day(), wall.Hour(), wall.Minute(), 0, 0, time.UTC)
	var out []time.Time
	for _, near := range []time.Time{naive.Add(-24 * time.Hour), naive.Add(24 * time.Hour)} {
		_, offset := near.In(loc).Zone()
		t := naive.Add(-time.Duration(offset) * time.Second)
		if t.In(loc).Format(wallLayout) == wall.Format(wallLayout) && (len(out) == 0 || !out[0].Equal(t)) {
			out = append(out, t)
		}
	}
	if len(out) == 2 && out[1].Before(out[0]) {
		out[0], out[1] = out[1], out[0]
	}
	return out
}

// choice is one of the two moments that a wall time means on the night summer time ends.
type choice struct {
	Value string // of the form field "fold"
	Label string
}

// resolve turns what a person wrote in the form into an instant. The choices are those to offer when the
// time happens twice and fold does not say which.
func resolve(wall, zoneName, fold string) (time.Time, []choice, error) {
	e := &greenroom.InvalidError{}
	loc, err := timezone.Load(zoneName)
	if err != nil {
		e.Add("time_zone", "%q is no time zone; choose one from the list, such as Europe/Berlin or UTC", zoneName)
		return time.Time{}, nil, e
	}
	at, err := time.Parse(wallLayout, wall)
	if err != nil {
		e.Add("starts_at", "give a date and a time, such as 2026-12-01 and 15:00")
		return time.Time{}, nil, e
	}
	switch found := instants(at, loc); {
	case len(found) == 1:
		return found[0], nil, nil
	case len(found) == 0:
		e.Add("starts_at", "clocks in %s skip %s on that day; choose a time an hour earlier or later", place(loc), at.Format("15:04"))
		return time.Time{}, nil, e
	case fold == "first":
		return found[0], nil, nil
	case fold == "second":
		return found[1], nil, nil
	default:
		e.Add("starts_at", "clocks in %s are set back on that day, so %s comes twice; choose which one you mean", place(loc), at.Format("15:04"))
		return time.Time{}, []choice{
			{"first", "The first " + at.Format("15:04") + ", " + offsetName(found[0].In(loc))},
			{"second", "The second " + at.Format("15:04") + ", " + offsetName(found[1].In(loc))},
		}, e
	}
}

// place is a zone as people read it.
func place(loc *time.Location) string { return strings.ReplaceAll(loc.String(), "_", " ") }

// offsetName is the distance of t's zone from UTC at t: "UTC+5:30".
func offsetName(t time.Time) string {
	_, s := t.Zone()
	if s == 0 {
		return "UTC"
	}
	sign := "+"
	if s < 0 {
		sign, s = "\u2212", -s
	}
	if m := s / 60 % 60; m != 0 {
		return fmt.Sprintf("UTC%s%d:%02d", sign, s/3600, m)
	}
	return fmt.Sprintf("UTC%s%d", sign, s/3600)
}

// day is the date of t in a zone.
func day(t time.Time, zoneName string) string {
	return t.In(zone(zoneName)).Format("Monday 2 January 2006")
}

// clock is the time of day of t in a zone.
func clock(t time.Time, zoneName string) string { return t.In(zone(zoneName)).Format("15:04") }

// span is from a to b in a zone; the day is named again only if it is another one.
func span(a, b time.Time, zoneName string) string {
	a, b = a.In(zone(zoneName)), b.In(zone(zoneName))
	if a.YearDay() == b.YearDay() && a.Year() == b.Year() {
		return a.Format("15:04") + "\u2009–\u2009" + b.Format("15:04")
	}
	return a.Format("15:04") + "\u2009–\u2009" + b.Format("15:04 on Mon 2 Jan")
}

// zoneHint names a zone and its distance from UTC at t.
func zoneHint(t time.Time, zoneName string) string {
	loc := zone(zoneName) // under today's name
	if name := offsetName(t.In(loc)); name != "UTC" {
		return place(loc) + " (" + name + ")"
	}
	return place(loc)
}
