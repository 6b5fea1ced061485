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
	var group []*greenroom.Seat
	size := 0
	for i := range p.m.Seats {
		s := &p.m.Seats[i]
		d := &s.Desktop
		if d.Phase != greenroom.Launching || d.InstanceID != "" || len(d.Launch.Seats) > 0 {
			continue
		}
		n := len(launchName(s)) + 1
		if len(group) > 0 && (!p.m.Blueprint.LaunchTogether() || !d.KillAt.Equal(group[0].Desktop.KillAt) || size+n > greenroom.MaxLaunchText) {
			p.launchAs(group)
			group, size = nil, 0
		}
		group, size = append(group, s), size+n
	}
	if len(group) > 0 {
		p.launchAs(group)
	}
}

// launchAs makes one call of the group, in the best place that had not just refused one of them.
func (p *planner) launchAs(group []*greenroom.Seat) {
	var seats, tried []string
	for _, s := range group {
		seats = append(seats, launchName(s))
		tried = append(tried, s.Desktop.Tried...)
	}
	place := p.Places[0]
	i := slices.IndexFunc(p.Places, func(place string) bool { return !slices.Contains(tried, place) })
	if i >= 0 {
		place = p.Places[i]
	}
	for _, s := range group {
		s.Desktop.Launch = greenroom.Launch{Seats: slices.Clone(seats), Place: place}
		if i < 0 { // all of them had none: the round begins again
			s.Desktop.Tried = nil
		}
	}
	p.changed = true
}

func launchName(s *greenroom.Seat) string {
	return strings.Join([]string{s.Role, strconv.Itoa(s.Desktop.Attempt)}, ".")
}
