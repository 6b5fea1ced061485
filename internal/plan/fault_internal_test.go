package plan

import (
	"errors"
	"testing"
	"time"

	"greenroom"
)

// TestAForbiddenMoveIsAnError asks for every pair of phases: each legal one is made, and each other changes nothing and says so.
func TestAForbiddenMoveIsAnError(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 12, 1, 15, 0, 0, 0, time.UTC)
	for _, from := range greenroom.Phases() {
		for _, to := range greenroom.Phases() {
			seat := &greenroom.Seat{ID: "teacher", Role: "teacher", Desktop: greenroom.Desktop{Phase: from, Attempt: 3}}
			p := &planner{now: now}
			p.move(seat, to, "a rule wants it")
			if from.CanBecome(to) {
				if seat.Desktop.Phase != to || len(p.faults) != 0 || len(p.events) != 1 {
					t.Errorf("%s to %s: %s, %v, %v", from, to, seat.Desktop.Phase, p.faults, p.events)
				}
				continue
			}
			var forbidden *ForbiddenMoveError
			if len(p.faults) != 1 || !errors.As(p.faults[0], &forbidden) || *forbidden != (ForbiddenMoveError{Seat: "teacher", Attempt: 3, From: from, To: to}) {
				t.Errorf("%s to %s: faults %v", from, to, p.faults)
			}
			if seat.Desktop.Phase != from || p.moved || len(p.events) != 0 || len(seat.Desktop.Timings) != 0 {
				t.Errorf("%s to %s was made in part: %+v, %v", from, to, seat.Desktop, p.events)
			}
		}
	}
}

// TestAFailureFromAPhaseThatCannotFail changes nothing, and says so.
func TestAFailureFromAPhaseThatCannotFail(t *testing.T) {
	t.Parallel()
	seat := &greenroom.Seat{ID: "teacher", Role: "teacher", Desktop: greenroom.Desktop{Phase: greenroom.Gone, Attempt: 1}}
	p := &planner{}
	p.fail(seat, "it failed")
	if len(p.faults) != 1 || seat.Failures != 0 || seat.Desktop.Error != "" || seat.Desktop.Phase != greenroom.Gone {
		t.Errorf("faults %v, %+v", p.faults, seat)
	}
}
