package plan_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"greenroom"
	"greenroom/internal/plan"
)

// removed is a desktop that was removed unused.
func removed(at time.Time) greenroom.Desktop {
	return greenroom.Desktop{Phase: greenroom.Gone, Attempt: 1, Cleared: true, EndReason: greenroom.RemovedNoShow,
		Timings: map[greenroom.Phase]time.Time{greenroom.Terminating: at, greenroom.Gone: at}}
}

// waiting is a meeting whose desktops were removed unused.
func waiting() greenroom.Meeting {
	m := ok(greenroom.Ready)
	for i := range m.Seats {
		m.Seats[i].Desktop = removed(start.Add(15 * time.Minute))
	}
	return m
}

// moved is a meeting in use whose start was moved three hours ahead.
func moved(alter func(m *greenroom.Meeting)) greenroom.Meeting {
	m := ok(greenroom.Ready)
	inUse(&m, "teacher", start)
	m.StartsAt, m.EndsAt = m.StartsAt.Add(3*time.Hour), m.EndsAt.Add(3*time.Hour)
	alter(&m)
	return m
}

// away disconnects a seat's participant, as the desktop tells it.
func away(m *greenroom.Meeting, role string, at time.Time) {
	leave(m, role, at)
	m.Seat(role).Desktop.Agent.DisconnectedAt = at
}

// TestPresence holds one row per rule that asks whether somebody is there.
func TestPresence(t *testing.T) {
	t.Parallel()
	const m1 = time.Minute
	teacher := func(p greenroom.Phase) map[string]greenroom.Phase {
		return map[string]greenroom.Phase{"teacher": p, "student": greenroom.Terminating}
	}
	tests := []struct {
		name    string
		meeting greenroom.Meeting
		at      time.Duration // after the start
		phases  map[string]greenroom.Phase
		state   greenroom.State
		end     greenroom.EndReason
		wake    time.Duration // after the start; 0 is not asserted
	}{
		{name: "a meeting whose desktops were removed unused waits for its end", meeting: waiting(), at: 30 * m1,
			phases: both(greenroom.Gone), state: greenroom.Waiting, wake: 60 * m1},
		{name: "whoever comes then gets a desktop, and nobody else", meeting: func() greenroom.Meeting {
			m := waiting()
			m.Seat("student").RequestedAt = start.Add(40 * m1)
			return m
		}(), at: 40 * m1, phases: map[string]greenroom.Phase{"teacher": greenroom.Gone, "student": greenroom.Launching}, state: greenroom.Preparing, wake: 42 * m1},
		{name: "a meeting to which nobody came ends with its time", meeting: waiting(), at: 60 * m1,
			phases: both(greenroom.Gone), state: greenroom.Ended, end: greenroom.NoShow},
		{name: "so does one whose desktops are still there", meeting: func() greenroom.Meeting {
			m := ok(greenroom.Ready)
			m.EndsAt = start.Add(10 * m1)
			return m
		}(), at: 10 * m1, phases: both(greenroom.Terminating), state: greenroom.Ending, end: greenroom.NoShow},
		{name: "who asked for a desktop before the end has the grace", meeting: func() greenroom.Meeting {
			m := waiting()
			m.Seat("student").RequestedAt = start.Add(59 * m1)
			return m
		}(), at: 60 * m1, phases: map[string]greenroom.Phase{"teacher": greenroom.Gone, "student": greenroom.Launching}, state: greenroom.Preparing},
		{name: "a desktop that is on its way at the end has the grace", meeting: func() greenroom.Meeting {
			m := ok(greenroom.Proving)
			for i := range m.Seats {
				m.Seats[i].Desktop.Timings[greenroom.Proving] = start.Add(59 * m1)
			}
			return m
		}(), at: 60 * m1, phases: both(greenroom.Proving), state: greenroom.Preparing},
		{name: "a meeting whose seats failed or were removed unused waits, too", meeting: func() greenroom.Meeting {
			m := waiting()
			s := m.Seat("teacher")
			s.Failures, s.Desktop = 8, greenroom.Desktop{Phase: greenroom.Failed, Attempt: 8, Cleared: true, EndReason: greenroom.RemovedFailed}
			return m
		}(), at: 30 * m1, phases: map[string]greenroom.Phase{"teacher": greenroom.Failed, "student": greenroom.Gone}, state: greenroom.Waiting, wake: 60 * m1},
		{name: "who was let in a moment ago is not late", meeting: func() greenroom.Meeting {
			m := ok(greenroom.Ready)
			m.Seat("teacher").EnteredAt = start.Add(14 * m1)
			return m
		}(), at: 15 * m1, phases: teacher(greenroom.Ready), state: greenroom.Preparing, wake: 15*m1 + 500*time.Millisecond},
		{name: "who was let in and never connected is", meeting: func() greenroom.Meeting {
			m := ok(greenroom.Ready)
			m.Seat("teacher").EnteredAt = start.Add(14 * m1)
			return m
		}(), at: 16 * m1, phases: both(greenroom.Terminating), state: greenroom.Preparing},

		{name: "a moved meeting leaves the connected their desktops", meeting: moved(func(*greenroom.Meeting) {}), at: 5 * m1,
			phases: teacher(greenroom.InUse), state: greenroom.InProgress},
		{name: "and those who reload", meeting: moved(func(m *greenroom.Meeting) { away(m, "teacher", start.Add(5*m1)) }), at: 5 * m1,
			phases: teacher(greenroom.InUse), state: greenroom.InProgress},
		{name: "and those whose network is away for less than empty_after", meeting: moved(func(m *greenroom.Meeting) { away(m, "teacher", start.Add(5*m1)) }),
			at: 15*m1 - time.Second, phases: teacher(greenroom.InUse), state: greenroom.InProgress},
		{name: "and takes it after that", meeting: moved(func(m *greenroom.Meeting) { away(m, "teacher", start.Add(5*m1)) }), at: 15 * m1,
			phases: teacher(greenroom.Terminating), state: greenroom.Preparing},
		{name: "and those who were just given the way in", meeting: moved(func(m *greenroom.Meeting) {
			m.Seat("teacher").Desktop = desktop(m.ID, "teacher", greenroom.Ready)
			m.Seat("teacher").EnteredAt = start.Add(4 * m1)
		}), at: 5 * m1, phases: teacher(greenroom.Ready), state: greenroom.Preparing},
		{name: "and those of whom nobody knows whether they left", meeting: moved(func(m *greenroom.Meeting) {
			m.Blueprint.Agent = "none"
			m.Seat("teacher").Desktop.Agent = greenroom.AgentFacts{}
		}), at: 50 * m1, phases: teacher(greenroom.InUse), state: greenroom.InProgress},
		{name: "but an organiser who moves it knowingly takes them", meeting: moved(func(m *greenroom.Meeting) { m.Seat("teacher").Desktop.Released = true }), at: 5 * m1,
			phases: teacher(greenroom.Terminating), state: greenroom.Preparing},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := decide(tt.meeting, start.Add(tt.at))
			if diff := cmp.Diff(tt.phases, phases(d.Meeting)); diff != "" {
				t.Errorf("phases (-want +got):\n%s", diff)
			}
			if got := d.Meeting.State(); got != tt.state {
				t.Errorf("state %s, want %s", got, tt.state)
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

// TestTheOrganiserReadsWhatWillHappen compares what is told of the end with what is decided.
func TestTheOrganiserReadsWhatWillHappen(t *testing.T) {
	t.Parallel()
	const m1 = time.Minute
	used := func(left time.Duration) greenroom.Meeting {
		m := ok(greenroom.Ready)
		inUse(&m, "teacher", start)
		inUse(&m, "student", start)
		for _, role := range []string{"teacher", "student"} {
			away(&m, role, start.Add(left))
		}
		return m
	}
	connected := ok(greenroom.Ready)
	inUse(&connected, "teacher", start)
	for name, m := range map[string]greenroom.Meeting{
		"waiting": waiting(), "ready": ok(greenroom.Ready), "everybody left": used(20 * m1), "everybody left at the end": used(64 * m1), "connected": connected,
	} {
		at, why := plan.EndOutlook(&m)
		if before := decide(m, at.Add(-time.Second)); before.Meeting.EndReason != "" {
			t.Errorf("%s: told %s (%s), and it ended before as %s", name, at.Sub(start), why, before.Meeting.EndReason)
		}
		if d := decide(m, at); d.Meeting.EndReason == "" {
			t.Errorf("%s: told %s (%s), and it did not end", name, at.Sub(start), why)
		}
	}
}
