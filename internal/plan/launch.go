package plan

import (
	"slices"
	"strconv"
	"strings"

	"greenroom"
)

// launchTogether decides how the desktops that begin to launch are asked for: in which place, and which of them in one call.
// It is saved before anybody asks, since an idempotency token is worth nothing if a second asker asks for something else.
func (p *planner) launchTogether() {
	if len(p.Places) == 0 {
		return
	}
	var groups []*launchGroup
	for i := range p.m.Seats {
		s := &p.m.Seats[i]
		d := &s.Desktop
		if d.Phase != greenroom.Launching || d.InstanceID != "" || len(d.Launch.Seats) > 0 {
			continue
		}
		at := slices.IndexFunc(groups, func(g *launchGroup) bool { return p.fits(g, s) })
		if at < 0 {
			at, groups = len(groups), append(groups, &launchGroup{})
		}
		g := groups[at]
		g.seats, g.size = append(g.seats, s), g.size+len(launchName(s))+1
	}
	for _, g := range groups {
		p.launchAs(g.seats)
	}
}

// launchGroup is the seats of one call to the provider, and how many bytes they take in its tag.
type launchGroup struct {
	seats []*greenroom.Seat
	size  int
}

// fits reports whether the seat's desktop can be asked for in the group's call: everything in a call is the same for all.
func (p *planner) fits(g *launchGroup, s *greenroom.Seat) bool {
	first := g.seats[0]
	return p.m.Blueprint.LaunchTogether() && s.Desktop.KillAt.Equal(first.Desktop.KillAt) &&
		p.m.Blueprint.SameMachines(s.Role, first.Role) && g.size+len(launchName(s))+1 <= greenroom.MaxLaunchText
}

// launchAs makes one call of the group, in the best place that had not just refused one of them.
func (p *planner) launchAs(group []*greenroom.Seat) {
	var seats, tried []string
	for _, s := range group {
		seats = append(seats, launchName(s))
		tried = append(tried, s.Desktop.Tried...)
	}
	places := p.placesOf(group[0].Role)
	place := places[0]
	i := slices.IndexFunc(places, func(place string) bool { return !slices.Contains(tried, place) })
	if i >= 0 {
		place = places[i]
	}
	for _, s := range group {
		s.Desktop.Launch = greenroom.Launch{Seats: slices.Clone(seats), Place: place}
		if i < 0 { // all of them had none: the round begins again
			s.Desktop.Tried = nil
		}
	}
	p.changed = true
}

// placesOf is where the provider has machines for a role, the best first.
func (p *planner) placesOf(role string) []string {
	if own, ok := p.RolePlaces[role]; ok {
		return own
	}
	return p.Places
}

func launchName(s *greenroom.Seat) string {
	return strings.Join([]string{s.ID, strconv.Itoa(s.Desktop.Attempt)}, ".")
}
