package plan

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"greenroom"
)

// TestRulesThatNeverComeToRest decide nothing and say so. No two rules contradict each other, so the bound is lowered below what a
// meeting needs; the test runs alone for that.
func TestRulesThatNeverComeToRest(t *testing.T) {
	defer func(n int) { maxRounds = n }(maxRounds)
	maxRounds = 1
	start := time.Date(2026, 12, 1, 15, 0, 0, 0, time.UTC)
	m := greenroom.Meeting{ID: "k3v9k3v9k3v9k3v9", StartsAt: start, EndsAt: start.Add(time.Hour), Blueprint: greenroom.DefaultBlueprint(),
		Seats: []greenroom.Seat{{ID: "teacher", Role: "teacher", Desktop: greenroom.Desktop{Phase: greenroom.Planned}}}}
	d, err := Plan(Snapshot{Meeting: m}, start)
	if !errors.Is(err, ErrUnsettled) {
		t.Fatalf("error %v", err)
	}
	if diff := cmp.Diff(m, d.Meeting); diff != "" || d.Changed || len(d.Effects) > 0 || len(d.Events) > 0 || !d.Wake.IsZero() {
		t.Errorf("something was decided: %+v\n%s", d, diff)
	}
}
