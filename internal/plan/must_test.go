package plan_test

import (
	"errors"
	"time"

	"greenroom"
	"greenroom/internal/plan"
)

// mustPlan is Plan where no rule may contradict another or the phase table.
func mustPlan(s plan.Snapshot, now time.Time) plan.Decision {
	d, err := plan.Plan(s, now)
	if err := errors.Join(append(d.Faults, err)...); err != nil {
		panic(err)
	}
	return d
}

// mustSettle is Settle where no outcome may ask for a forbidden move.
func mustSettle(m *greenroom.Meeting, zone string, outcomes []plan.Outcome, now time.Time) []greenroom.Event {
	events, faults := plan.Settle(m, zone, outcomes, now)
	if err := errors.Join(faults...); err != nil {
		panic(err)
	}
	return events
}
