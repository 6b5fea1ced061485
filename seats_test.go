package greenroom_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"greenroom"
)

func TestNewSeatID(t *testing.T) {
	t.Parallel()
	long := "a-role-of-exactly-32-characters-x"[:32]
	for _, c := range []struct {
		name    string
		roles   []string
		have    []string
		dropped map[string]int
		role    string
		alone   bool
		want    string
	}{
		{"alone", []string{"teacher", "student"}, nil, nil, "student", true, "student"},
		{"first of several", []string{"student"}, nil, nil, "student", false, "student-1"},
		{"third of several", []string{"student"}, []string{"student-1", "student-2"}, nil, "student", false, "student-3"},
		{"beside one that was alone", []string{"student"}, []string{"student"}, nil, "student", false, "student-2"},
		{"after one that was taken off", []string{"student"}, nil, map[string]int{"student": 3}, "student", true, "student-2"},
		{"never what was taken off", []string{"student"}, []string{"student"}, map[string]int{"student-2": 1}, "student", false, "student-3"},
		{"never another role's name", []string{"student", "student-2"}, []string{"student"}, nil, "student", false, "student-3"},
		{"a long role", []string{long}, []string{long}, nil, long, false, long[:30] + "-2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := greenroom.Meeting{Blueprint: greenroom.Blueprint{Seats: c.roles}, Dropped: c.dropped}
			for _, id := range c.have {
				m.Seats = append(m.Seats, greenroom.Seat{ID: id, Role: c.role})
			}
			got := m.NewSeatID(c.role, c.alone)
			if got != c.want || !greenroom.ValidRole(got) {
				t.Errorf("got %q, want %q", got, c.want)
			}
			kept := greenroom.Meeting{Blueprint: m.Blueprint, Seats: []greenroom.Seat{{ID: got}}}
			if kept.FillRoles(); kept.Seats[0].Role != c.role {
				t.Errorf("%s is read as of the role %q, want %q", got, kept.Seats[0].Role, c.role)
			}
		})
	}
}

// Ids never repeat, whatever is added and taken off, and each tells its role even when that was not kept.
func TestSeatIDsNeverRepeat(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := greenroom.Meeting{Blueprint: greenroom.Blueprint{Seats: []string{"student", "student-1", "s"}}, Dropped: map[string]int{}}
		seen := map[string]bool{}
		for i := range rapid.IntRange(1, 40).Draw(t, "steps") {
			if len(m.Seats) > 0 && rapid.IntRange(0, 2).Draw(t, "remove") == 0 {
				n := rapid.IntRange(0, len(m.Seats)-1).Draw(t, "which")
				m.Dropped[m.Seats[n].ID] = 1
				m.Seats = slices.Delete(m.Seats, n, n+1)
				continue
			}
			role := rapid.SampledFrom(m.Blueprint.Seats).Draw(t, "role")
			id := m.NewSeatID(role, m.OfRole(role) == 0 && rapid.Bool().Draw(t, "alone"))
			if seen[id] {
				t.Fatalf("step %d: %s was given before", i, id)
			}
			seen[id] = true
			m.Seats = append(m.Seats, greenroom.Seat{ID: id})
			m.FillRoles()
			if got := m.AnySeat(id).Role; got != role {
				t.Fatalf("%s is read as of the role %q, want %q", id, got, role)
			}
			m.Seats[len(m.Seats)-1].Role = role
		}
	})
}

func TestSetRolesKeepsWhatOlderVersionsRead(t *testing.T) {
	t.Parallel()
	b := greenroom.DefaultBlueprint()
	b.SetRoles([]greenroom.Role{{Name: "teacher", Count: 1}, {Name: "student", Count: 3, Max: 40, Screen: "1024x768"}, {Name: "guest"}})
	if fmt.Sprint(b.Seats) != "[teacher student guest]" || len(b.Roles) != 2 {
		t.Errorf("seats %v, roles %v", b.Seats, b.Roles)
	}
	if got := fmt.Sprint(b.DefaultSeats()); got != "[teacher student student student]" {
		t.Error(got)
	}
	if b.For("teacher").Screen != "1280x800" || b.For("student").Screen != "1024x768" || b.SameMachines("teacher", "student") || !b.SameMachines("teacher", "guest") {
		t.Errorf("%+v", b)
	}
}

// A seat whose desktop was removed gets one on demand: nothing is being prepared for it while the others are ready.
func TestReadyBesideSeatsWithoutADesktop(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		phases []greenroom.Phase
		want   greenroom.State
	}{
		{[]greenroom.Phase{greenroom.Ready, greenroom.Gone}, greenroom.AllReady},
		{[]greenroom.Phase{greenroom.Gone, greenroom.Gone}, greenroom.Waiting},
		{[]greenroom.Phase{greenroom.Ready, greenroom.Gone, greenroom.Booting}, greenroom.Preparing},
		{[]greenroom.Phase{greenroom.Ready, greenroom.Gone, greenroom.InUse}, greenroom.InProgress},
	} {
		var m greenroom.Meeting
		for _, phase := range c.phases {
			m.Seats = append(m.Seats, greenroom.Seat{Desktop: greenroom.Desktop{Phase: phase}})
		}
		if got := m.State(); got != c.want {
			t.Errorf("%v is %s, want %s", c.phases, got, c.want)
		}
	}
}
