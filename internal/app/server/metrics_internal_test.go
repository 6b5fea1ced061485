package server

import (
	"testing"

	"greenroom/internal/meetings"
	"greenroom/internal/plan"
)

// TestStuckMeetingsAreCounted counts a meeting with two findings once, and a parked one not at all.
func TestStuckMeetingsAreCounted(t *testing.T) {
	t.Parallel()
	m := newMetrics("v1")
	m.countStuck([]meetings.Stuck{
		{Meeting: "one", Trouble: plan.Trouble{Kind: "overdue"}},
		{Meeting: "one", Trouble: plan.Trouble{Kind: "slow_stage"}},
		{Meeting: "two", Trouble: plan.Trouble{Kind: "given_up"}},
		{Meeting: "three", Trouble: plan.Trouble{Kind: "parked", Note: true}},
	})
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "greenroom_meetings_stuck" {
			if got := f.GetMetric()[0].GetGauge().GetValue(); got != 2 {
				t.Errorf("%v meetings are stuck, want 2", got)
			}
			return
		}
	}
	t.Error("the metric is not there")
}
