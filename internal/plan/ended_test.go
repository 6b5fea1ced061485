package plan_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/plan"
)

// TestWhyAMachineEndedDecidesWhatIsNext as the error of a launch would have.
func TestWhyAMachineEndedDecidesWhatIsNext(t *testing.T) {
	t.Parallel()
	now := start.Add(-5 * time.Minute)
	for name, tt := range map[string]struct {
		phase              greenroom.Phase
		kind               error
		failures           int
		blocked, permanent bool
		tried              []string
	}{
		"capacity":            {phase: greenroom.Booting, kind: greenroom.ErrCapacity, failures: 1, tried: []string{"a"}},
		"spot is taken back":  {phase: greenroom.InUse, kind: greenroom.ErrCapacity, failures: 1, tried: []string{"a"}},
		"a full quota":        {phase: greenroom.Booting, kind: greenroom.ErrBlocked, blocked: true},
		"a key":               {phase: greenroom.Booting, kind: greenroom.ErrPermanent, failures: 1, permanent: true},
		"a key that was lost": {phase: greenroom.Ready, kind: greenroom.ErrPermanent, failures: 1},
		"nothing is said":     {phase: greenroom.Booting, failures: 1},
	} {
		m := onEC2(tt.phase)
		s := &m.Seats[1]
		s.Desktop.Launch = greenroom.Launch{Seats: []string{"student.1"}, Place: "a"}
		instances := listed(&m)
		i := slices.IndexFunc(instances, func(i plan.Instance) bool { return i.Handle == m.Handle(s) })
		says := "The desktop's machine stopped by itself."
		instances[i].Ending = true
		if tt.kind != nil {
			says = "That is why."
			instances[i].End = &greenroom.UserError{Message: says, Cause: fmt.Errorf("Some.Code: %w", tt.kind)}
		}
		d := mustPlan(plan.Snapshot{Meeting: m, Zone: "desk.localhost", Observed: true, Instances: instances, Places: []string{"a", "b"}}, now)
		got := d.Meeting.Seats[1]
		if got.Desktop.Phase != greenroom.Failed || got.Desktop.Error != says || got.Failures != tt.failures || got.Desktop.Permanent != tt.permanent ||
			got.Desktop.Blocked.Since.IsZero() == tt.blocked || !slices.Equal(got.Desktop.Tried, tt.tried) {
			t.Errorf("%s: %s, %q, %d failures, permanent %t, blocked %v, tried %v", name, got.Desktop.Phase, got.Desktop.Error, got.Failures, got.Desktop.Permanent, got.Desktop.Blocked, got.Desktop.Tried)
		}
		lost := slices.IndexFunc(d.Events, func(e greenroom.Event) bool { return e.Kind == greenroom.EventInstanceLost })
		if lost < 0 || (d.Events[lost].Data["cause"] != "") != (tt.kind != nil) {
			t.Errorf("%s: the timeline says %+v", name, d.Events)
		}
	}
}
