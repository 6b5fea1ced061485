package greenroom

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Role is one kind of place in a blueprint's meetings, and how its desktops differ from the blueprint's others. An empty
// field takes the blueprint's own value.
type Role struct {
	Name          string   `json:"name"`
	Count         int      `json:"count"`         // seats that a meeting has when its organiser names none
	Max           int      `json:"max,omitempty"` // seats that a meeting may have; 0 is as many as any meeting may have
	Screen        string   `json:"screen,omitempty"`
	Applications  []string `json:"applications,omitempty"`
	Image         string   `json:"image,omitempty"`          // for the provider ec2
	InstanceTypes []string `json:"instance_types,omitempty"` // for the provider ec2
}

// Plain reports whether nothing is said of the role: one seat, like the blueprint's others.
func (r Role) Plain() bool { return r.Count == 1 && r.Max == 0 && !r.Differs() }

// Differs reports whether the role's desktops are not like the blueprint's others.
func (r Role) Differs() bool {
	return r.Screen != "" || r.Applications != nil || r.Image != "" || r.InstanceTypes != nil
}

// MaxRoleCount bounds the seats of one role.
const MaxRoleCount = 1000

// Role returns what the blueprint says of the role of that name, and whether it has it.
func (b Blueprint) Role(name string) (Role, bool) {
	if i := slices.IndexFunc(b.Roles, func(r Role) bool { return r.Name == name }); i >= 0 {
		return b.Roles[i], true
	}
	return Role{Name: name, Count: 1}, slices.Contains(b.Seats, name)
}

// DefaultSeats lists the role of each seat that a meeting has when its organiser names none.
func (b Blueprint) DefaultSeats() []string {
	var out []string
	for _, name := range b.Seats {
		r, _ := b.Role(name)
		out = append(out, slices.Repeat([]string{name}, min(max(r.Count, 0), MaxRoleCount))...)
	}
	return out
}

// SetRoles makes roles those of the blueprint, in their order. Plain ones are kept as a name only: so versions that know
// nothing of roles read them, too.
func (b *Blueprint) SetRoles(roles []Role) {
	b.Seats, b.Roles = nil, nil
	for _, r := range roles {
		b.Seats = append(b.Seats, r.Name)
		if !r.Plain() {
			b.Roles = append(b.Roles, r)
		}
	}
}

// For is the blueprint of the desktops of a role.
func (b Blueprint) For(role string) Blueprint {
	r, _ := b.Role(role)
	if r.Screen != "" {
		b.Screen = r.Screen
	}
	if r.Applications != nil {
		b.Applications = r.Applications
	}
	if r.Image != "" {
		b.EC2.Image = r.Image
	}
	if r.InstanceTypes != nil {
		b.EC2.InstanceTypes = r.InstanceTypes
	}
	return b
}

// SameMachines reports whether desktops of both roles can be asked for in one call.
func (b Blueprint) SameMachines(role, other string) bool {
	r, _ := b.Role(role)
	o, _ := b.Role(other)
	return r.Image == o.Image && slices.Equal(r.InstanceTypes, o.InstanceTypes) &&
		r.Screen == o.Screen && slices.Equal(r.Applications, o.Applications)
}

func (b Blueprint) clone() Blueprint {
	b.Seats, b.Roles, b.Applications = slices.Clone(b.Seats), slices.Clone(b.Roles), slices.Clone(b.Applications)
	for i := range b.Roles {
		r := &b.Roles[i]
		r.Applications, r.InstanceTypes = slices.Clone(r.Applications), slices.Clone(r.InstanceTypes)
	}
	b.EC2 = b.EC2.clone()
	b.Rules.StageDeadline = maps.Clone(b.Rules.StageDeadline)
	return b
}

func (b Blueprint) validateRoles(prefix string, e *InvalidError) {
	if len(b.Seats) == 0 {
		e.Add(prefix+".seats", "name at least one role")
		return
	}
	for i, role := range b.Seats {
		if !ValidRole(role) {
			e.Add(fmt.Sprintf("%s.seats[%d]", prefix, i), "a role is 1 to 32 lower-case letters, digits and dashes, and begins with a letter; %q is not", role)
		}
		if slices.Index(b.Seats, role) != i {
			e.Add(fmt.Sprintf("%s.seats[%d]", prefix, i), "duplicate role %q", role)
		}
	}
	for _, r := range b.Roles {
		r.validate(prefix+".seats."+r.Name, b, e)
	}
	if len(b.DefaultSeats()) == 0 {
		e.Add(prefix+".seats", "every count is 0: a meeting needs at least one seat by default")
	}
}

func (r Role) validate(prefix string, b Blueprint, e *InvalidError) {
	if r.Count < 0 || r.Count > MaxRoleCount {
		e.Add(prefix+".count", "must be from 0 to %d, and is %d", MaxRoleCount, r.Count)
	}
	if r.Max < 0 || r.Max > MaxRoleCount {
		e.Add(prefix+".max", "must be from 1 to %d, or 0 for as many as a meeting can have, and is %d", MaxRoleCount, r.Max)
	} else if r.Max != 0 && r.Max < r.Count {
		e.Add(prefix+".max", "must not be less than count, which is %d, and is %d", r.Count, r.Max)
	}
	if r.Screen != "" {
		validateScreen(prefix+".screen", r.Screen, e)
	}
	if b.Provider == ProviderEC2 {
		EC2{Image: r.Image, InstanceTypes: r.InstanceTypes, LaunchTemplate: "lt" /* the blueprint has what a role leaves out */}.validate(prefix, e)
		return
	}
	for _, f := range []struct {
		name  string
		given bool
	}{{"image", r.Image != ""}, {"instance_types", r.InstanceTypes != nil}} {
		if f.given {
			e.Add(prefix+"."+f.name, "is for the provider ec2, and the blueprint's is %s", b.Provider)
		}
	}
}

// MaxSeatsEver bounds the seats that a meeting can have had: the ids of those that were taken off are kept, so that none
// is given again.
const MaxSeatsEver = 2000

// SeatsEver counts the seats that m has or had.
func (m *Meeting) SeatsEver() int { return len(m.Seats) + len(m.Dropped) }

// NewSeatID chooses the id of a seat that is to be added: the role's name if none of the role's seats ever had it and alone
// says that there is no other of the role, else the role's name and a number.
func (m *Meeting) NewSeatID(role string, alone bool) string {
	if alone && !m.taken(role) {
		return role
	}
	first := 1
	if m.taken(role) {
		first = 2
	}
	for n := first; ; n++ {
		suffix := "-" + itoa(n)
		id := role[:min(len(role), maxRole-len(suffix))] + suffix
		if !m.taken(id) && !slices.Contains(m.Blueprint.Seats, id) {
			return id
		}
	}
}

// taken reports whether a seat of m has or had that id.
func (m *Meeting) taken(id string) bool {
	_, dropped := m.Dropped[id]
	return dropped || m.AnySeat(id) != nil
}

// OfRole counts the seats of the role that are not removed.
func (m *Meeting) OfRole(role string) int {
	n := 0
	for _, s := range m.Present() {
		if s.Role == role {
			n++
		}
	}
	return n
}

// FillRoles gives each seat the role that its id says where none was stored: by versions that know a seat by its role only,
// or that have written a meeting since and have dropped what they do not know.
func (m *Meeting) FillRoles() {
	for i := range m.Seats {
		if s := &m.Seats[i]; s.Role == "" {
			s.Role = m.Blueprint.roleOf(s.ID)
		}
	}
}

// roleOf reads the role out of a seat's id.
func (b Blueprint) roleOf(id string) string {
	if slices.Contains(b.Seats, id) {
		return id
	}
	at := strings.LastIndexByte(id, '-')
	if at < 0 || strings.Trim(id[at+1:], "0123456789") != "" {
		return id
	}
	for _, role := range b.Seats {
		if role == id[:at] || len(id) == maxRole && strings.HasPrefix(role, id[:at]) {
			return role
		}
	}
	return id
}
