package plan_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"greenroom"
	"greenroom/internal/plan"
)

var start = time.Date(2026, 12, 1, 15, 0, 0, 0, time.UTC)

// ok is a meeting of an hour from start whose two desktops are in phase, as if they had come there in time.
func ok(phase greenroom.Phase) greenroom.Meeting {
	m := greenroom.Meeting{
		ID: "k3v9k3v9k3v9k3v9", Title: "Algebra", StartsAt: start, EndsAt: start.Add(time.Hour),
		Blueprint: greenroom.DefaultBlueprint(), CreatedAt: start.Add(-24 * time.Hour),
	}
	for _, role := range []string{"teacher", "student"} {
		m.Seats = append(m.Seats, greenroom.Seat{ID: role, Role: role, Key: "k", Desktop: desktop(m.ID, role, phase)})
	}
	return m
}

func desktop(meeting, role string, phase greenroom.Phase) greenroom.Desktop {
	d := greenroom.Desktop{Phase: phase, Attempt: 1, Timings: map[greenroom.Phase]time.Time{greenroom.Planned: start.Add(-24 * time.Hour)}}
	entered := start.Add(-10 * time.Minute)
	for _, p := range []greenroom.Phase{greenroom.Launching, greenroom.Booting, greenroom.Naming, greenroom.Proving, greenroom.Ready, greenroom.InUse} {
		if phase == greenroom.Planned {
			break
		}
		d.Timings[p] = entered
		d.KillAt = start.Add(-10 * time.Minute).Add(12 * time.Hour)
		if p == greenroom.Booting {
			d.InstanceID = greenroom.InstanceIDFromToken(meeting + role)
			d.Hostname = d.InstanceID + ".desk.localhost"
		}
		if p == greenroom.Naming {
			d.Address = "127.0.1.1"
		}
		if p == greenroom.Proving {
			d.Agent.ReadyAt = entered
		}
		if p == greenroom.Ready { // no look is due as long as a test does not ask for one
			d.Trust = greenroom.Trust{ProvedAt: start.Add(30 * 24 * time.Hour), LookedAt: start.Add(30 * 24 * time.Hour)}
		}
		if p == phase {
			break
		}
	}
	return d
}

// inUse connects a seat's participant.
func inUse(m *greenroom.Meeting, role string, since time.Time) {
	s := m.Seat(role)
	s.Desktop = desktop(m.ID, role, greenroom.InUse)
	s.Desktop.Timings[greenroom.InUse] = since
	s.UsedAt, s.Desktop.Agent.Connections, s.Desktop.Agent.ConnectedAt = since, 1, since
}

// leave disconnects a seat's participant.
func leave(m *greenroom.Meeting, role string, at time.Time) {
	s := m.Seat(role)
	s.Desktop.Agent.Connections, s.LeftAt = 0, at
}

func listed(m *greenroom.Meeting) []plan.Instance {
	var out []plan.Instance
	for i := range m.Seats {
		if d := m.Seats[i].Desktop; d.InstanceID != "" {
			out = append(out, plan.Instance{ID: d.InstanceID, Handle: m.Handle(&m.Seats[i]), Address: "127.0.1.1", Running: true})
		}
	}
	return out
}

func decide(m greenroom.Meeting, now time.Time) plan.Decision {
	return mustPlan(plan.Snapshot{Meeting: m, Zone: "desk.localhost", Observed: true, Instances: listed(&m)}, now)
}

func phases(m greenroom.Meeting) map[string]greenroom.Phase {
	out := map[string]greenroom.Phase{}
	for _, s := range m.Seats {
		out[s.ID] = s.Desktop.Phase
	}
	return out
}

func verbs(d plan.Decision) []string {
	var out []string
	for _, e := range d.Effects {
		out = append(out, string(e.Do)+" "+e.Handle.Seat)
	}
	return out
}

func both(p greenroom.Phase) map[string]greenroom.Phase {
	return map[string]greenroom.Phase{"teacher": p, "student": p}
}

// TestRules holds one row per rule: the meeting, one thing about it, the time, and what must follow.
func TestRules(t *testing.T) {
	t.Parallel()
	const m1 = time.Minute
	tests := []struct {
		name    string
		meeting func() greenroom.Meeting
		at      time.Duration // after the start
		phases  map[string]greenroom.Phase
		effects []string
		end     greenroom.EndReason
		wake    time.Duration // after the start; 0 is not asserted
	}{
		{name: "before lead nothing happens", meeting: func() greenroom.Meeting { return ok(greenroom.Planned) }, at: -11 * m1,
			phases: both(greenroom.Planned), wake: -10 * m1},
		{name: "at lead both are launched", meeting: func() greenroom.Meeting { return ok(greenroom.Planned) }, at: -10 * m1,
			phases: both(greenroom.Launching), effects: []string{"launch teacher", "launch student"}},
		{name: "a start that is nearer than lead launches at once", meeting: func() greenroom.Meeting { return ok(greenroom.Planned) }, at: -1 * m1,
			phases: both(greenroom.Launching), effects: []string{"launch teacher", "launch student"}},
		{name: "running with an address is named", meeting: func() greenroom.Meeting { return ok(greenroom.Booting) }, at: -9 * m1,
			phases: both(greenroom.Naming), effects: []string{"publish teacher", "publish student"}},
		{name: "named is proved", meeting: func() greenroom.Meeting { return ok(greenroom.Proving) }, at: -9 * m1,
			phases: both(greenroom.Proving), effects: []string{"prove teacher", "prove student"}},
		{name: "no proof before the agent is ready", meeting: func() greenroom.Meeting {
			m := ok(greenroom.Proving)
			for i := range m.Seats {
				m.Seats[i].Desktop.Agent.ReadyAt = time.Time{}
			}
			return m
		}, at: -9 * m1, phases: both(greenroom.Proving), wake: -7 * m1},
		{name: "a stage past its deadline fails and is cleared away", meeting: func() greenroom.Meeting { return ok(greenroom.Proving) }, at: -7 * m1,
			phases: both(greenroom.Failed), effects: []string{"unpublish teacher", "terminate teacher", "unpublish student", "terminate student"}},
		{name: "ready waits for somebody", meeting: func() greenroom.Meeting { return ok(greenroom.Ready) }, at: 0,
			phases: both(greenroom.Ready), wake: 15 * m1},
		{name: "a connection is use", meeting: func() greenroom.Meeting {
			m := ok(greenroom.Ready)
			m.Seat("teacher").Desktop.Agent.Connections = 1
			return m
		}, at: m1, phases: map[string]greenroom.Phase{"teacher": greenroom.InUse, "student": greenroom.Ready}, wake: 15 * m1},
		{name: "nobody came: the machines go, the meeting stays", meeting: func() greenroom.Meeting { return ok(greenroom.Ready) }, at: 15 * m1,
			phases:  both(greenroom.Terminating),
			effects: []string{"unpublish teacher", "terminate teacher", "unpublish student", "terminate student"}},
		{name: "one of two came: only the other's desktop goes", meeting: func() greenroom.Meeting {
			m := ok(greenroom.Ready)
			inUse(&m, "teacher", start)
			return m
		}, at: 15 * m1, phases: map[string]greenroom.Phase{"teacher": greenroom.InUse, "student": greenroom.Terminating},
			effects: []string{"unpublish student", "terminate student"}},
		{name: "a late desktop's person gets the whole time", meeting: func() greenroom.Meeting {
			m := ok(greenroom.Ready)
			m.Seat("student").Desktop.Timings[greenroom.Ready] = start.Add(10 * m1)
			inUse(&m, "teacher", start)
			return m
		}, at: 15 * m1, phases: map[string]greenroom.Phase{"teacher": greenroom.InUse, "student": greenroom.Ready}, wake: 25 * m1},
		{name: "who comes late gets a new desktop", meeting: func() greenroom.Meeting {
			m := ok(greenroom.Ready)
			inUse(&m, "teacher", start)
			s := m.Seat("student")
			s.Desktop = greenroom.Desktop{Phase: greenroom.Gone, Attempt: 1, Cleared: true, EndReason: greenroom.RemovedNoShow,
				Timings: map[greenroom.Phase]time.Time{greenroom.Terminating: start.Add(15 * m1)}}
			s.RequestedAt = start.Add(20 * m1)
			return m
		}, at: 20 * m1, phases: map[string]greenroom.Phase{"teacher": greenroom.InUse, "student": greenroom.Launching}, effects: []string{"launch student"}},
		{name: "everybody left", meeting: func() greenroom.Meeting {
			m := ok(greenroom.Ready)
			inUse(&m, "teacher", start)
			inUse(&m, "student", start)
			leave(&m, "teacher", start.Add(20*m1))
			leave(&m, "student", start.Add(25*m1))
			return m
		}, at: 35 * m1, phases: both(greenroom.Terminating), end: greenroom.Completed,
			effects: []string{"unpublish teacher", "terminate teacher", "unpublish student", "terminate student"}},
		{name: "not empty yet", meeting: func() greenroom.Meeting {
			m := ok(greenroom.Ready)
			inUse(&m, "teacher", start)
			inUse(&m, "student", start)
			leave(&m, "teacher", start.Add(20*m1))
			leave(&m, "student", start.Add(25*m1))
			return m
		}, at: 34 * m1, phases: both(greenroom.InUse), wake: 35 * m1},
		{name: "those who tried early do not end the meeting before it starts", meeting: func() greenroom.Meeting {
			m := ok(greenroom.Ready)
			inUse(&m, "teacher", start.Add(-9*m1))
			leave(&m, "teacher", start.Add(-8*m1))
			return m
		}, at: 9 * m1, phases: map[string]greenroom.Phase{"teacher": greenroom.InUse, "student": greenroom.Ready}, wake: 10 * m1},
		{name: "who has just connected keeps an empty meeting open", meeting: func() greenroom.Meeting {
			m := ok(greenroom.Ready)
			inUse(&m, "teacher", start)
			leave(&m, "teacher", start.Add(m1))
			m.Seat("student").Desktop.Agent.Connections = 1
			return m
		}, at: 30 * m1, phases: both(greenroom.InUse)},
		{name: "who has just connected keeps the desktop of a moved meeting", meeting: func() greenroom.Meeting {
			m := ok(greenroom.Ready)
			for i := range m.Seats {
				m.Seats[i].Desktop.Agent.Connections = 1
			}
			m.StartsAt, m.EndsAt = m.StartsAt.Add(time.Hour), m.EndsAt.Add(time.Hour)
			return m
		}, at: -5 * m1, phases: both(greenroom.InUse)},
		{name: "a record that may still be being written is not removed before", meeting: func() greenroom.Meeting { return ok(greenroom.Naming) }, at: -8 * m1,
			phases: both(greenroom.Failed), effects: []string{"terminate teacher", "terminate student"}},
		{name: "past the end the connected stay", meeting: func() greenroom.Meeting {
			m := ok(greenroom.Ready)
			inUse(&m, "teacher", start)
			inUse(&m, "student", start)
			return m
		}, at: 80 * m1, phases: both(greenroom.InUse), wake: 90 * m1},
		{name: "overtime is the limit", meeting: func() greenroom.Meeting {
			m := ok(greenroom.Ready)
			inUse(&m, "teacher", start)
			inUse(&m, "student", start)
			return m
		}, at: 90 * m1, phases: both(greenroom.Terminating), end: greenroom.Expired,
			effects: []string{"unpublish teacher", "terminate teacher", "unpublish student", "terminate student"}},
		{name: "past end and grace with nobody connected", meeting: func() greenroom.Meeting {
			m := ok(greenroom.Ready)
			inUse(&m, "teacher", start)
			inUse(&m, "student", start)
			leave(&m, "teacher", start.Add(50*m1))
			leave(&m, "student", start.Add(55*m1))
			return m
		}, at: 65 * m1, phases: both(greenroom.Terminating), end: greenroom.Completed,
			effects: []string{"unpublish teacher", "terminate teacher", "unpublish student", "terminate student"}},
		{name: "after the end a broken connection may come back", meeting: func() greenroom.Meeting {
			m := ok(greenroom.Ready)
			inUse(&m, "teacher", start)
			inUse(&m, "student", start)
			leave(&m, "student", start.Add(64*m1))
			leave(&m, "teacher", start.Add(70*m1))
			return m
		}, at: 79 * m1, phases: both(greenroom.InUse), wake: 80 * m1},
		{name: "overtime ends that, too", meeting: func() greenroom.Meeting {
			m := ok(greenroom.Ready)
			inUse(&m, "teacher", start)
			inUse(&m, "student", start)
			leave(&m, "student", start.Add(64*m1))
			leave(&m, "teacher", start.Add(85*m1))
			return m
		}, at: 90 * m1, phases: both(greenroom.Terminating), end: greenroom.Completed,
			effects: []string{"unpublish teacher", "terminate teacher", "unpublish student", "terminate student"}},
		{name: "both have reported", meeting: func() greenroom.Meeting {
			m := ok(greenroom.Ready)
			inUse(&m, "teacher", start)
			for i := range m.Seats {
				m.Seats[i].SessionData = &greenroom.SessionData{URL: "s3://x", At: start}
			}
			return m
		}, at: m1, phases: both(greenroom.Terminating), end: greenroom.Completed,
			effects: []string{"unpublish teacher", "terminate teacher", "unpublish student", "terminate student"}},
		{name: "the host ended it", meeting: func() greenroom.Meeting {
			m := ok(greenroom.Ready)
			plan.End(&m, greenroom.EndedByHost, "", nil, start)
			return m
		}, at: m1, phases: both(greenroom.Terminating), end: greenroom.EndedByHost,
			effects: []string{"unpublish teacher", "terminate teacher", "unpublish student", "terminate student"}},
		{name: "cancelled before launch leaves nothing to do", meeting: func() greenroom.Meeting {
			m := ok(greenroom.Planned)
			plan.End(&m, greenroom.Cancelled, "", nil, start)
			return m
		}, at: -60 * m1, phases: both(greenroom.Gone), end: greenroom.Cancelled},
		{name: "moved to a later time releases the desktops", meeting: func() greenroom.Meeting {
			m := ok(greenroom.Ready)
			m.StartsAt, m.EndsAt = m.StartsAt.Add(time.Hour), m.EndsAt.Add(time.Hour)
			return m
		}, at: 0, phases: both(greenroom.Terminating),
			effects: []string{"unpublish teacher", "terminate teacher", "unpublish student", "terminate student"}},
		{name: "extended stays", meeting: func() greenroom.Meeting {
			m := ok(greenroom.Ready)
			inUse(&m, "teacher", start)
			inUse(&m, "student", start)
			m.EndsAt = m.EndsAt.Add(time.Hour)
			return m
		}, at: 95 * m1, phases: both(greenroom.InUse), wake: 150 * m1},
		{name: "a machine past its kill time goes", meeting: func() greenroom.Meeting {
			m := ok(greenroom.Ready)
			m.EndsAt = start.Add(20 * time.Hour)
			inUse(&m, "teacher", start)
			inUse(&m, "student", start)
			m.Seat("student").Desktop.KillAt = start.Add(3 * time.Hour)
			return m
		}, at: 180 * m1, phases: map[string]greenroom.Phase{"teacher": greenroom.InUse, "student": greenroom.Terminating},
			effects: []string{"unpublish student", "terminate student"}},
		{name: "a removed seat's desktop goes", meeting: func() greenroom.Meeting {
			m := ok(greenroom.Ready)
			m.Seat("student").Removed = true
			return m
		}, at: 0, phases: map[string]greenroom.Phase{"teacher": greenroom.Ready, "student": greenroom.Terminating},
			effects: []string{"unpublish student", "terminate student"}},
		{name: "an agent that will never be ready fails its desktop", meeting: func() greenroom.Meeting {
			m := ok(greenroom.Proving)
			m.Seat("student").Desktop.Agent.Error = "xterm is missing."
			return m
		}, at: -9 * m1, phases: map[string]greenroom.Phase{"teacher": greenroom.Proving, "student": greenroom.Failed},
			effects: []string{"prove teacher", "unpublish student", "terminate student"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := decide(tt.meeting(), start.Add(tt.at))
			if diff := cmp.Diff(tt.phases, phases(d.Meeting)); diff != "" {
				t.Errorf("phases (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.effects, verbs(d)); diff != "" {
				t.Errorf("effects (-want +got):\n%s", diff)
			}
			if d.Meeting.EndReason != tt.end {
				t.Errorf("end reason %q, want %q", d.Meeting.EndReason, tt.end)
			}
			if tt.wake != 0 && !d.Wake.Equal(start.Add(tt.wake)) {
				t.Errorf("wake at start%+v (%s), want start%+v", d.Wake.Sub(start), d.Why, tt.wake)
			}
		})
	}
}

// TestLostMachines covers what is decided when the provider no longer lists an instance.
func TestLostMachines(t *testing.T) {
	t.Parallel()
	at := func(m greenroom.Meeting, now time.Time, instances []plan.Instance) plan.Decision {
		return mustPlan(plan.Snapshot{Meeting: m, Zone: "desk.localhost", Observed: true, Instances: instances}, now)
	}
	t.Run("absent once is no proof", func(t *testing.T) {
		t.Parallel()
		d := at(ok(greenroom.Ready), start, nil)
		if diff := cmp.Diff(both(greenroom.Ready), phases(d.Meeting)); diff != "" {
			t.Error(diff)
		}
		if d.Wake.Sub(start) != 10*time.Second {
			t.Errorf("second look after %s", d.Wake.Sub(start))
		}
	})
	t.Run("absent over two looks is lost", func(t *testing.T) {
		t.Parallel()
		d := at(at(ok(greenroom.Ready), start, nil).Meeting, start.Add(10*time.Second), nil)
		if diff := cmp.Diff(both(greenroom.Failed), phases(d.Meeting)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("back again is forgiven", func(t *testing.T) {
		t.Parallel()
		m := at(ok(greenroom.Ready), start, nil).Meeting
		d := at(m, start.Add(9*time.Second), listed(&m))
		if !d.Meeting.Seats[0].Desktop.MissingSince.IsZero() {
			t.Error("the absence is still held against it")
		}
	})
	t.Run("said to be dead is lost at once", func(t *testing.T) {
		t.Parallel()
		m := ok(greenroom.InUse)
		instances := listed(&m)
		instances[0].Running, instances[0].Ending, instances[0].Dead = false, true, true
		d := at(m, start, instances)
		if diff := cmp.Diff(map[string]greenroom.Phase{"teacher": greenroom.Failed, "student": greenroom.InUse}, phases(d.Meeting)); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"unpublish teacher", "terminate teacher"}, verbs(d)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("an unanswered launch is found by its token", func(t *testing.T) {
		t.Parallel()
		m := ok(greenroom.Launching)
		d := at(m, start.Add(-9*time.Minute), []plan.Instance{{ID: "i-00000000000000001", Handle: m.Handle(&m.Seats[0])}})
		if got := d.Meeting.Seats[0].Desktop; got.Phase != greenroom.Booting || got.InstanceID != "i-00000000000000001" {
			t.Errorf("phase %s, instance %q", got.Phase, got.InstanceID)
		}
	})
	t.Run("a failed desktop is replaced only when nothing of it is left", func(t *testing.T) {
		t.Parallel()
		m := ok(greenroom.Proving)
		now := start.Add(-7 * time.Minute)
		d := decide(m, now)
		for i := range d.Meeting.Seats {
			d.Meeting.Seats[i].Desktop.Unpublished = true
			d.Meeting.Seats[i].Desktop.RemovalAskedAt = now
		}
		if d = decide(d.Meeting, now.Add(time.Second)); phases(d.Meeting)["teacher"] != greenroom.Failed {
			t.Fatal("replaced while its instance is still listed")
		}
		d = at(d.Meeting, now.Add(2*time.Second), nil)
		if got := d.Meeting.Seats[0].Desktop; got.Phase != greenroom.Launching || got.Attempt != 2 || got.InstanceID != "" {
			t.Errorf("got %s attempt %d instance %q, want a second attempt launching", got.Phase, got.Attempt, got.InstanceID)
		}
	})
}

func TestPollsLessOftenWithPushEvents(t *testing.T) {
	t.Parallel()
	looks := func(push bool) (n int) {
		m := ok(greenroom.Booting)
		for i := range m.Seats {
			m.Seats[i].Desktop.Address = ""
		}
		for now := start; now.Before(start.Add(2 * time.Minute)); n++ {
			for i := range m.Seats {
				m.Seats[i].Desktop.Timings[greenroom.Booting] = start
			}
			d := mustPlan(plan.Snapshot{Meeting: m, Zone: "desk.localhost", Observed: true, Instances: pending(&m), PushEvents: push}, now)
			if !d.Wake.After(now) || d.Wake.Sub(now) > 30*time.Second {
				t.Fatalf("push %t: after %s it looks again in %s", push, now.Sub(start), d.Wake.Sub(now))
			}
			now = d.Wake
		}
		return n
	}
	if all, some := looks(false), looks(true); some > 10 || all < 3*some {
		t.Errorf("%d polls in two minutes without push events, and %d with", all, some)
	}
}

// pending lists the machines of m before they run.
func pending(m *greenroom.Meeting) []plan.Instance {
	list := listed(m)
	for i := range list {
		list[i].Running, list[i].Address = false, ""
	}
	return list
}
