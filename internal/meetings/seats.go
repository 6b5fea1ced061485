package meetings

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"greenroom"
)

// DefaultMaxSeats bounds the seats of a meeting where nothing else is configured.
const DefaultMaxSeats = 200

// maxSeats bounds the seats of one meeting.
func (s *Service) maxSeats() int { return cmp.Or(s.MaxSeats, DefaultMaxSeats) }

// seatAll gives a new meeting its seats; nil are the unnamed ones that its blueprint counts.
func (s *Service) seatAll(m *greenroom.Meeting, in []SeatInput, now time.Time, bad *greenroom.InvalidError) {
	if in == nil {
		for _, role := range m.Blueprint.DefaultSeats() {
			in = append(in, SeatInput{Role: role})
		}
	}
	if len(in) == 0 {
		bad.Add("seats", "a meeting has at least one seat")
		return
	}
	checkNewIDs(in, bad)
	s.addSeats(m, in, func(i int) string { return fmt.Sprintf("seats[%d].", i) }, now, bad)
}

// checkNewIDs refuses ids that a request wants for new seats.
func checkNewIDs(in []SeatInput, bad *greenroom.InvalidError) {
	for i := range in {
		if in[i].ID != "" {
			bad.Add(fmt.Sprintf("seats[%d].id", i), "greenroom chooses the ids of new seats; leave it out")
		}
	}
}

// addSeats adds a seat for each of in. Field gives what the fields of the ith are below.
func (s *Service) addSeats(m *greenroom.Meeting, in []SeatInput, field func(i int) string, now time.Time, bad *greenroom.InvalidError) []*greenroom.Seat {
	if n := len(m.Present()) + len(in); n > s.maxSeats() {
		bad.Add("seats", "a meeting has at most %d seats (max_seats); this one would have %d", s.maxSeats(), n)
		return nil
	}
	if len(m.Seats)+len(in) > 2*s.maxSeats() {
		bad.Add("seats", "too many desktops of seats that were taken off are still going; try again in a moment")
		return nil
	}
	if n := m.SeatsEver() + len(in); n > greenroom.MaxSeatsEver {
		bad.Add("seats", "a meeting has at most %d seats over its life, those that were taken off included; schedule a new meeting", greenroom.MaxSeatsEver)
		return nil
	}
	wanted := map[string]int{}
	for i, seat := range in {
		checkRole(m, seat.Role, m.OfRole(seat.Role)+wanted[seat.Role], field(i)+"role", bad)
		wanted[seat.Role]++
		checkPerson(field(i), seat.Name, seat.Email, bad)
	}
	if len(bad.Fields) > 0 {
		return nil
	}
	alone := map[string]bool{}
	for role, n := range wanted {
		alone[role] = n == 1 && m.OfRole(role) == 0
	}
	for _, i := range in {
		m.Seats = append(m.Seats, newSeat(m.NewSeatID(i.Role, alone[i.Role]), i, now))
	}
	added := make([]*greenroom.Seat, 0, len(in))
	for i := range m.Seats[len(m.Seats)-len(in):] {
		added = append(added, &m.Seats[len(m.Seats)-len(in)+i])
	}
	return added
}

// checkRole judges whether a meeting that has so many seats of the role can have one more.
func checkRole(m *greenroom.Meeting, role string, have int, field string, bad *greenroom.InvalidError) {
	b := m.Blueprint
	r, known := b.Role(role)
	switch {
	case !known:
		bad.Add(field, "blueprint %q has the roles %s; %q is not one of them", b.Name, strings.Join(b.Seats, ", "), clip(role))
	case r.Max > 0 && have >= r.Max:
		bad.Add(field, "a meeting of blueprint %q has at most %d seats of the role %q", b.Name, r.Max, role)
	}
}

func newSeat(id string, in SeatInput, now time.Time) greenroom.Seat {
	return greenroom.Seat{
		ID: id, Role: in.Role, Name: strings.TrimSpace(in.Name), Email: strings.TrimSpace(in.Email), Key: greenroom.NewSecret(),
		Desktop: greenroom.Desktop{Phase: greenroom.Planned, Attempt: 1, Timings: map[greenroom.Phase]time.Time{greenroom.Planned: now}},
	}
}

// reseat makes the seats those of in: those that are there already keep link and desktop.
func (s *Service) reseat(m *greenroom.Meeting, in []SeatInput, now time.Time, bad *greenroom.InvalidError) bool {
	if len(in) == 0 {
		bad.Add("seats", "a meeting has at least one seat")
		return false
	}
	found := match(m, in, bad)
	changed := false
	for _, seat := range m.Present() {
		if !slices.Contains(found, seat) {
			seat.Removed, changed = true, true
		}
	}
	var added []SeatInput
	var places []int
	for i, want := range in {
		field := fmt.Sprintf("seats[%d].", i)
		if found[i] == nil {
			added, places = append(added, want), append(places, i)
			continue
		}
		checkChange(field, *found[i], want.Name, want.Email, bad)
		changed = rename(found[i], &want.Name, &want.Email) || changed
	}
	s.addSeats(m, added, func(i int) string { return fmt.Sprintf("seats[%d].", places[i]) }, now, bad)
	return changed || len(added) > 0
}

// match finds which seat of m each of in is: the one with its id; without an id the only one of its role where in has only
// one of that role, too; else one of its role with the same name and address. Nil is a new seat: so nobody gets
// the link of somebody else.
func match(m *greenroom.Meeting, in []SeatInput, bad *greenroom.InvalidError) []*greenroom.Seat {
	found := make([]*greenroom.Seat, len(in))
	asked := map[string]int{}
	for i, want := range in {
		asked[want.Role]++
		if want.ID == "" {
			continue
		}
		seat, field := m.Seat(want.ID), fmt.Sprintf("seats[%d].", i)
		switch {
		case seat == nil:
			bad.Add(field+"id", "the meeting has no seat %q", clip(want.ID))
		case want.Role != "" && want.Role != seat.Role:
			bad.Add(field+"role", "the seat %q has the role %q, which cannot be changed; take it off and add another", seat.ID, seat.Role)
		case slices.Contains(found, seat):
			bad.Add(field+"id", "duplicate seat %q", seat.ID)
		default:
			found[i] = seat
		}
	}
	for i, want := range in {
		if found[i] != nil || want.ID != "" {
			continue
		}
		at := slices.IndexFunc(m.Present(), func(s *greenroom.Seat) bool {
			only := asked[want.Role] == 1 && m.OfRole(want.Role) == 1
			same := s.Name == strings.TrimSpace(want.Name) && s.Email == strings.TrimSpace(want.Email)
			return s.Role == want.Role && (only || same) && !slices.Contains(found, s)
		})
		if at >= 0 {
			found[i] = m.Present()[at]
		}
	}
	return found
}

// rename gives a seat's participant another name or address, and reports whether that was a change. Nil stays.
func rename(seat *greenroom.Seat, name, email *string) bool {
	was := *seat
	if name != nil {
		seat.Name = strings.TrimSpace(*name)
	}
	if email != nil {
		seat.Email = strings.TrimSpace(*email)
	}
	return seat.Name != was.Name || seat.Email != was.Email
}

// noSeat tells the organiser that the meeting has no seat of that id.
func noSeat(id string) error {
	return &greenroom.UserError{Message: fmt.Sprintf("The meeting has no seat %q.", clip(id)), Cause: greenroom.ErrNotFound}
}
