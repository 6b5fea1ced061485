package plan_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/plan"
)

// leaving is a meeting that the host ended a second ago, with desktops in use that have end hooks.
func leaving() greenroom.Meeting {
	m := ok(greenroom.InUse)
	for i := range m.Seats {
		inUse(&m, m.Seats[i].ID, start)
		m.Seats[i].Desktop.Agent.EndHooks = true
	}
	plan.End(&m, greenroom.EndedByHost, "", nil, start.Add(time.Minute))
	return decide(m, start.Add(time.Minute)).Meeting
}

func TestEndHooksAreWaitedFor(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(d *greenroom.Desktop)
		after  time.Duration
		goes   bool
	}{
		"while they run":               {func(*greenroom.Desktop) {}, 30 * time.Second, false},
		"not longer than wrap_up":      {func(*greenroom.Desktop) {}, 75 * time.Second, true},
		"not when they have ended":     {func(d *greenroom.Desktop) { d.Agent.EndedAt = start.Add(61 * time.Second) }, 2 * time.Second, true},
		"not when there are none":      {func(d *greenroom.Desktop) { d.Agent.EndHooks = false }, 0, true},
		"not when nobody used it":      {func(d *greenroom.Desktop) { delete(d.Timings, greenroom.InUse) }, 0, true},
		"not beyond its kill time":     {func(d *greenroom.Desktop) { d.KillAt = start.Add(63 * time.Second) }, 3 * time.Second, true},
		"not for a desktop that broke": {func(d *greenroom.Desktop) { d.Phase = greenroom.Failed }, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := leaving()
			for i := range m.Seats {
				c.change(&m.Seats[i].Desktop)
			}
			d := decide(m, start.Add(time.Minute+c.after))
			if _, next := plan.Outlook(&m, m.Seat("teacher"), start.Add(time.Minute+c.after)); strings.Contains(next, "end hooks") == c.goes {
				t.Errorf("people are told: %s", next)
			}
			if goes := slices.Contains(verbs(d), "terminate teacher"); goes != c.goes {
				t.Errorf("%v, wake %v: %s", verbs(d), d.Wake, d.Why)
			}
		})
	}
}

// own makes the desktops those of an image without our agent.
func own(m greenroom.Meeting) greenroom.Meeting {
	m.Blueprint.Protocol, m.Blueprint.Agent = "dcv", "none"
	for i := range m.Seats {
		m.Seats[i].Desktop.Agent = greenroom.AgentFacts{}
	}
	return m
}

func TestWithoutAgentTheProofAloneDecides(t *testing.T) {
	t.Parallel()
	if d := decide(own(ok(greenroom.Proving)), start.Add(-10*time.Minute)); !slices.Contains(verbs(d), "prove teacher") {
		t.Errorf("nothing is proved: %v", verbs(d))
	}
	waiting := ok(greenroom.Proving)
	waiting.Blueprint.Protocol = "dcv"
	for i := range waiting.Seats {
		waiting.Seats[i].Desktop.Agent.ReadyAt = time.Time{}
	}
	if d := decide(waiting, start.Add(-10*time.Minute)); len(verbs(d)) > 0 {
		t.Errorf("proved before its warm-up: %v", verbs(d))
	}
}

func TestWithoutAgentTheJoinIsTheUse(t *testing.T) {
	t.Parallel()
	m := own(ok(greenroom.Ready))
	m.Seat("teacher").EnteredAt = start.Add(time.Minute)
	d := decide(m, start.Add(2*time.Minute))
	if got := d.Meeting.Seat("teacher"); got.Desktop.Phase != greenroom.InUse || !got.UsedAt.Equal(start.Add(time.Minute)) {
		t.Errorf("phase %s, used at %v", got.Desktop.Phase, got.UsedAt)
	}
	if got := d.Meeting.Seat("student").Desktop.Phase; got != greenroom.Ready {
		t.Errorf("the student never came, and is %s", got)
	}
	// Nobody can tell whether somebody is there: neither an empty hour nor overtime is known.
	for at, want := range map[time.Duration]greenroom.EndReason{59 * time.Minute: "", 64 * time.Minute: "", 65 * time.Minute: greenroom.Completed} {
		if got := decide(d.Meeting, start.Add(at)).Meeting.EndReason; got != want {
			t.Errorf("after %s: ended as %q, want %q", at, got, want)
		}
	}
}

func TestWithoutAgentAnOldEntryIsNoUse(t *testing.T) {
	t.Parallel()
	m := own(ok(greenroom.Ready))
	m.Seat("teacher").EnteredAt = m.Seat("teacher").Desktop.Timings[greenroom.Ready].Add(-time.Minute) // into the desktop before this one
	d := decide(m, start)
	if got := d.Meeting.Seat("teacher").Desktop.Phase; got != greenroom.Ready {
		t.Errorf("is %s", got)
	}
}
