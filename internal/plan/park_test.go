package plan_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"greenroom"
	"greenroom/internal/plan"
)

// parked is a meeting that an operator has held since its start for an hour.
func parked(m greenroom.Meeting) greenroom.Meeting {
	plan.Park(&m, start.Add(time.Hour), "looking at it", nil, start)
	return m
}

func TestParkedNothingIsDecided(t *testing.T) {
	t.Parallel()
	for _, phase := range greenroom.Phases() {
		t.Run(string(phase), func(t *testing.T) {
			t.Parallel()
			m := parked(ok(phase))
			for _, instances := range [][]plan.Instance{listed(&m), nil} {
				d := mustPlan(plan.Snapshot{Meeting: m, Zone: "desk.localhost", Observed: true, Instances: instances}, start.Add(59*time.Minute))
				if d.Changed || len(d.Events)+len(d.Effects) > 0 {
					t.Errorf("something is done: %v %v", d.Events, d.Effects)
				}
				if !d.Wake.Equal(start.Add(time.Hour)) {
					t.Errorf("wake %v, want the end of the parking", d.Wake)
				}
			}
		})
	}
}

func TestParkingEnds(t *testing.T) {
	t.Parallel()
	t.Run("by itself, and is told", func(t *testing.T) {
		t.Parallel()
		m := parked(ok(greenroom.Planned))
		m.EndsAt = start.Add(2 * time.Hour)
		d := decide(m, start.Add(time.Hour))
		if d.Events[0].Kind != greenroom.EventResumed || !d.Meeting.ParkedUntil.IsZero() || d.Meeting.ParkedReason != "" {
			t.Errorf("%+v, parked until %v", d.Events, d.Meeting.ParkedUntil)
		}
		if diff := cmp.Diff(both(greenroom.Launching), phases(d.Meeting)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("with the host's end, at once", func(t *testing.T) {
		t.Parallel()
		m := parked(ok(greenroom.Ready))
		plan.End(&m, greenroom.EndedByHost, "", nil, start.Add(time.Minute))
		if diff := cmp.Diff(both(greenroom.Terminating), phases(decide(m, start.Add(time.Minute)).Meeting)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("a meeting that was ending goes on ending", func(t *testing.T) {
		t.Parallel()
		m := ok(greenroom.Ready)
		plan.End(&m, greenroom.EndedByHost, "", nil, start)
		m = parked(m)
		if d := decide(m, start.Add(time.Minute)); d.Changed {
			t.Errorf("changed while it is parked: %v", d.Events)
		}
		if diff := cmp.Diff(both(greenroom.Terminating), phases(decide(m, start.Add(time.Hour)).Meeting)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("a stage gets its whole time again", func(t *testing.T) {
		t.Parallel()
		m := parked(ok(greenroom.Booting))
		plan.Resume(&m, "", nil, start.Add(30*time.Minute))
		instances := listed(&m)
		for i := range instances {
			instances[i].Running, instances[i].Address = false, ""
		}
		at := func(now time.Time) greenroom.Meeting {
			return mustPlan(plan.Snapshot{Meeting: m, Observed: true, Instances: instances}, now).Meeting
		}
		if diff := cmp.Diff(both(greenroom.Booting), phases(at(start.Add(34*time.Minute)))); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(both(greenroom.Failed), phases(at(start.Add(35*time.Minute)))); diff != "" {
			t.Error(diff)
		}
	})
}

// TestUseWhileParkedCounts is the case that would end a session in use for want of guests.
func TestUseWhileParkedCounts(t *testing.T) {
	t.Parallel()
	came := func(connections int) greenroom.Meeting {
		m := parked(ok(greenroom.Ready))
		for i := range m.Seats {
			m.Seats[i].Desktop.Agent.Connections, m.Seats[i].Desktop.Agent.ConnectedAt = connections, start.Add(5*time.Minute)
			if connections == 0 {
				m.Seats[i].LeftAt = start.Add(55 * time.Minute)
			}
		}
		return m
	}
	t.Run("connected past the end", func(t *testing.T) {
		t.Parallel()
		m := came(1)
		m.EndsAt = start.Add(40 * time.Minute)
		d := decide(m, start.Add(time.Hour))
		if diff := cmp.Diff(both(greenroom.InUse), phases(d.Meeting)); diff != "" || d.Meeting.EndReason != "" {
			t.Errorf("ended as %q: %s", d.Meeting.EndReason, diff)
		}
		if used := d.Meeting.Seats[0].UsedAt; !used.Equal(start.Add(5 * time.Minute)) {
			t.Errorf("used at %v", used)
		}
	})
	t.Run("came and left", func(t *testing.T) {
		t.Parallel()
		m := came(0)
		m.EndsAt = start.Add(2 * time.Hour)
		d := decide(m, start.Add(time.Hour))
		if diff := cmp.Diff(both(greenroom.InUse), phases(d.Meeting)); diff != "" {
			t.Error(diff)
		}
		if d = decide(d.Meeting, start.Add(65*time.Minute)); d.Meeting.EndReason != greenroom.Completed {
			t.Errorf("ended as %q", d.Meeting.EndReason)
		}
	})
}
