package plan_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"greenroom"
)

// TestTheMachineSlept: the first look after a sleep of hours, or after a clock was set, in one row each. A meeting that began and ended
// meanwhile is over at once: nothing is launched for it, and nobody who is in a desktop loses it to a clock that was set back.
func TestTheMachineSlept(t *testing.T) {
	t.Parallel()
	used := ok(greenroom.Ready)
	inUse(&used, "teacher", start)
	for name, c := range map[string]struct {
		meeting greenroom.Meeting
		at      time.Duration // after the start; the meeting is an hour long
		state   greenroom.State
		end     greenroom.EndReason
		phases  map[string]greenroom.Phase
	}{
		"slept before it began, nothing was started": {ok(greenroom.Planned), 8 * time.Hour, greenroom.Ended, greenroom.NoShow, both(greenroom.Gone)},
		"slept while desktops were launched":         {ok(greenroom.Launching), 8 * time.Hour, greenroom.Ending, greenroom.NoShow, both(greenroom.Terminating)},
		"slept while desktops booted":                {ok(greenroom.Booting), 8 * time.Hour, greenroom.Ending, greenroom.NoShow, both(greenroom.Terminating)},
		"slept while desktops were proved":           {ok(greenroom.Proving), 8 * time.Hour, greenroom.Ending, greenroom.NoShow, both(greenroom.Terminating)},
		"slept with desktops ready and unused":       {ok(greenroom.Ready), 8 * time.Hour, greenroom.Ending, greenroom.NoShow, both(greenroom.Terminating)},
		"slept with somebody in":                     {used, 8 * time.Hour, greenroom.Ending, greenroom.Expired, both(greenroom.Terminating)},
		"slept through the start alone":              {ok(greenroom.Planned), 30 * time.Minute, greenroom.Preparing, "", both(greenroom.Launching)},
		"the clock was set back with somebody in": {used, -30 * time.Minute, greenroom.InProgress, "",
			map[string]greenroom.Phase{"teacher": greenroom.InUse, "student": greenroom.Terminating}},
		"the clock was set ahead with somebody in": {used, 80 * time.Minute, greenroom.InProgress, "",
			map[string]greenroom.Phase{"teacher": greenroom.InUse, "student": greenroom.Terminating}}, // nobody came for it
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := decide(c.meeting, start.Add(c.at))
			if d.Meeting.State() != c.state || d.Meeting.EndReason != c.end {
				t.Errorf("it is %s, ended as %q", d.Meeting.State(), d.Meeting.EndReason)
			}
			for role, want := range c.phases {
				if got := phases(d.Meeting)[role]; got != want {
					t.Errorf("%s is %s, want %s", role, got, want)
				}
			}
			if launches := slices.ContainsFunc(verbs(d), func(v string) bool { return strings.HasPrefix(v, "launch") }); launches != (c.phases["student"] == greenroom.Launching) {
				t.Errorf("effects are %v", verbs(d))
			}
		})
	}
}
