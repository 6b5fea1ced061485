package meetings

import (
	"strings"
	"time"

	"greenroom"
	"greenroom/internal/plan"
)

// OccupiedError refuses a change that would take desktops from people who are in, or were within empty_after.
type OccupiedError struct{ People []Occupant }

// Occupant is one of them.
type Occupant struct {
	Seat string // its id
	Name string
	Away time.Duration // since the last connection, or the last way in that was given; 0 while connected
}

// Error says what the change does to whom.
func (e *OccupiedError) Error() string {
	var who []string
	for _, o := range e.People {
		is := " is in one now"
		if o.Away > 0 {
			is = " was in one " + greenroom.Duration(o.Away.Round(time.Second)).String() + " ago"
		}
		who = append(who, o.Name+is)
	}
	return "This change removes desktops that people use, with what is open on them: " + strings.Join(who, ", ") + "."
}

// Unwrap makes it an ErrConflict.
func (e *OccupiedError) Unwrap() error { return greenroom.ErrConflict }

// occupied refuses what takes desktops from people; with force it notes that the organiser knows, and returns from whom.
func occupied(before, after *greenroom.Meeting, force bool, now time.Time) ([]Occupant, error) {
	var people []Occupant
	for _, seat := range before.Present() {
		if !before.Keeps(seat, now) {
			continue
		}
		is := after.Seat(seat.ID)
		moved := plan.Moved(after, now) && !plan.Moved(before, now)
		replaced := is != nil && is.Replacing() && !seat.Replacing()
		switch {
		case is != nil && !moved && !replaced:
			continue
		case is != nil && moved && force:
			is.Desktop.Released = true
		}
		people = append(people, Occupant{Seat: seat.ID, Name: nameOf(seat), Away: before.Away(seat, now)})
	}
	if len(people) == 0 || force {
		return people, nil
	}
	err := &OccupiedError{People: people}
	return nil, &greenroom.UserError{Message: err.Error(), Cause: err}
}

// forced adds to an event's data from whom a forced change takes desktops.
func forced(data map[string]string, people []Occupant) map[string]string {
	if len(people) == 0 {
		return data
	}
	if data == nil {
		data = map[string]string{}
	}
	data["forced"] = (&OccupiedError{People: people}).Error()
	return data
}
