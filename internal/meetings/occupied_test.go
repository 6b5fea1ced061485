package meetings_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/meetings"
)

// TestEditAsksBeforeItTakesDesktops makes each change that would take the teacher's desktop, with the teacher in each state.
func TestEditAsksBeforeItTakesDesktops(t *testing.T) {
	t.Parallel()
	present := map[string]struct {
		alter func(m *greenroom.Meeting)
		told  string // "" : nobody is in
	}{
		"connected": {func(m *greenroom.Meeting) { m.Seat("teacher").Desktop.Agent.Connections = 1 }, "Teacher One is in one now"},
		"reloading": {func(m *greenroom.Meeting) { m.Seat("teacher").Desktop.Agent.DisconnectedAt = time.Now() }, "Teacher One was in one"},
		"away for nine minutes": {func(m *greenroom.Meeting) {
			m.Seat("teacher").Desktop.Agent.DisconnectedAt = time.Now().Add(-9 * time.Minute)
		}, "Teacher One was in one 9m"},
		"on the way in":                 {func(m *greenroom.Meeting) { m.Seat("teacher").EnteredAt = time.Now() }, "Teacher One was in one"},
		"of a desktop that cannot tell": {func(m *greenroom.Meeting) { m.Blueprint.Agent = "none" }, "Teacher One is in one now"},
		"gone for eleven minutes": {func(m *greenroom.Meeting) {
			m.Seat("teacher").Desktop.Agent.DisconnectedAt = time.Now().Add(-11 * time.Minute)
		}, ""},
	}
	later := time.Now().Add(3 * time.Hour).Format(time.RFC3339)
	changes := map[string]meetings.Edit{
		"moves the start":   {StartsAt: &later},
		"drops the seat":    {Seats: []meetings.SeatInput{{Role: "student"}}},
		"does it all":       {StartsAt: &later, Seats: []meetings.SeatInput{{Role: "student"}}},
		"drops another one": {Seats: []meetings.SeatInput{{Role: "teacher"}}},
	}
	for who, state := range present {
		for what, edit := range changes {
			t.Run(who+", "+what, func(t *testing.T) {
				t.Parallel()
				b := setup(t)
				m := b.schedule()
				b.stand(m.ID, "teacher", greenroom.InUse)
				m = b.alter(m.ID, func(m *greenroom.Meeting) {
					m.Seat("teacher").Desktop.Timings[greenroom.Ready] = m.StartsAt
					state.alter(m)
				})
				asks := state.told != "" && what != "drops another one"
				got, err := b.Edit(t.Context(), m.ID, edit, 0)
				occupied, refused := errors.AsType[*meetings.OccupiedError](err)
				if !asks {
					if err != nil {
						t.Errorf("refused: %v", err)
					}
					return
				}
				if !refused || !errors.Is(err, greenroom.ErrConflict) || len(occupied.People) != 1 || occupied.People[0].Seat != "teacher" ||
					!strings.Contains(greenroom.Sentence(err, ""), state.told) {
					t.Fatalf("error %v, and it says %q", err, greenroom.Sentence(err, ""))
				}
				if is, _ := b.Meeting(t.Context(), m.ID); !is.StartsAt.Equal(m.StartsAt) || is.Version != m.Version || is.Seat("teacher") == nil {
					t.Errorf("a change that was refused was made: %+v", is)
				}
				edit.Force = true
				if got, err = b.Edit(t.Context(), m.ID, edit, 0); err != nil || got.Version != m.Version+1 {
					t.Fatalf("forced: version %d, %v", got.Version, err)
				}
				events, _ := b.Events(t.Context(), m.ID, 0, 100)
				if last := events[len(events)-1]; !strings.Contains(last.Data["forced"], state.told) {
					t.Errorf("the timeline does not say from whom: %+v", last)
				}
				if seat := got.AnySeat("teacher"); !seat.Removed && !seat.Desktop.Released {
					t.Errorf("forced, and the desktop stays: %+v", seat)
				}
			})
		}
	}
}

// TestAnEditThatTakesNothingIsNotAsked has the teacher connected.
func TestAnEditThatTakesNothingIsNotAsked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := b.schedule()
	b.stand(m.ID, "teacher", greenroom.InUse)
	b.alter(m.ID, func(m *greenroom.Meeting) { m.Seat("teacher").Desktop.Agent.Connections = 1 })
	title, length, soon := "Geometry", "45m", time.Now().Add(5*time.Minute).Format(time.RFC3339)
	for _, edit := range []meetings.Edit{{Title: &title}, {Duration: &length}, {StartsAt: &soon}, {Seats: []meetings.SeatInput{{Role: "teacher", Name: "Other"}, {Role: "student"}}}} {
		if _, err := b.Edit(t.Context(), m.ID, edit, 0); err != nil {
			t.Errorf("%+v: %v", edit, err)
		}
	}
}
