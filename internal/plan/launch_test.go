package plan_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"greenroom"
	"greenroom/internal/plan"
)

// onEC2 is a meeting whose desktops may share a launch.
func onEC2(phase greenroom.Phase) greenroom.Meeting {
	m := ok(phase)
	m.Blueprint.Provider = "ec2"
	return m
}

func decideIn(m greenroom.Meeting, now time.Time, places ...string) plan.Decision {
	return mustPlan(plan.Snapshot{Meeting: m, Zone: "desk.localhost", Observed: true, Instances: listed(&m), Places: places}, now)
}

func launches(m greenroom.Meeting) map[string]greenroom.Launch {
	out := map[string]greenroom.Launch{}
	for _, s := range m.Seats {
		out[s.ID] = s.Desktop.Launch
	}
	return out
}

func TestDesktopsThatStartTogetherShareALaunch(t *testing.T) {
	t.Parallel()
	at := start.Add(-10 * time.Minute)
	d := decideIn(onEC2(greenroom.Planned), at, "a", "b")
	together := greenroom.Launch{Seats: []string{"teacher.1", "student.1"}, Place: "a"}
	if diff := cmp.Diff(map[string]greenroom.Launch{"teacher": together, "student": together}, launches(d.Meeting)); diff != "" || !d.Changed {
		t.Errorf("changed %t, launches (-want +got):\n%s", d.Changed, diff)
	}

	t.Run("AndKeepIt", func(t *testing.T) {
		t.Parallel()
		again := decideIn(d.Meeting, at.Add(time.Second), "b")
		if diff := cmp.Diff(launches(d.Meeting), launches(again.Meeting)); diff != "" || again.Changed {
			t.Errorf("changed %t:\n%s", again.Changed, diff)
		}
	})

	t.Run("UnlessTheBlueprintSaysSo", func(t *testing.T) {
		t.Parallel()
		m := onEC2(greenroom.Planned)
		m.Blueprint.EC2.SeparateCalls = true
		want := map[string]greenroom.Launch{"teacher": {Seats: []string{"teacher.1"}, Place: "a"}, "student": {Seats: []string{"student.1"}, Place: "a"}}
		if diff := cmp.Diff(want, launches(decideIn(m, at, "a").Meeting)); diff != "" {
			t.Error(diff)
		}
	})

	t.Run("AndOneThatIsReplacedIsAlone", func(t *testing.T) {
		t.Parallel()
		m := onEC2(greenroom.Ready)
		m.Seats[1].Desktop = greenroom.Desktop{Phase: greenroom.Planned, Attempt: 2}
		if diff := cmp.Diff(greenroom.Launch{Seats: []string{"student.2"}, Place: "a"}, launches(decideIn(m, at, "a").Meeting)["student"]); diff != "" {
			t.Error(diff)
		}
	})

	t.Run("AsFarAsATagHoldsThem", func(t *testing.T) {
		t.Parallel()
		m := onEC2(greenroom.Planned)
		m.Seats = nil
		for n := range 64 {
			role := fmt.Sprintf("participant-number-%d", n)
			m.Seats = append(m.Seats, greenroom.Seat{ID: role, Role: role, Key: "k", Desktop: desktop(m.ID, role, greenroom.Planned)})
		}
		d := decideIn(m, at, "a")
		seen := map[string]bool{}
		for _, s := range d.Meeting.Seats {
			size := 0
			for _, name := range s.Desktop.Launch.Seats {
				size += len(name) + 1
			}
			if size == 0 || size-1 > greenroom.MaxLaunchText {
				t.Errorf("%s has a launch of %d bytes", s.ID, size)
			}
			seen[s.Desktop.Launch.Seats[0]] = true
		}
		if len(seen) < 5 || len(seen) > 7 {
			t.Errorf("64 seats have %d launches", len(seen))
		}
	})

	t.Run("WhereThereAreNoPlacesThereIsNone", func(t *testing.T) {
		t.Parallel()
		if diff := cmp.Diff(map[string]greenroom.Launch{"teacher": {}, "student": {}}, launches(decideIn(ok(greenroom.Planned), at).Meeting)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestNoCapacityGoesToTheNextPlace(t *testing.T) {
	t.Parallel()
	now := start.Add(-10 * time.Minute)
	m := onEC2(greenroom.Planned)
	var went []string
	for range 4 {
		d := decideIn(m, now, "a", "b")
		m = d.Meeting
		var outcomes []plan.Outcome
		for _, e := range d.Effects {
			outcomes = append(outcomes, plan.Outcome{Effect: e, Err: greenroom.ErrCapacity})
		}
		went = append(went, m.Seats[0].Desktop.Launch.Place)
		if len(outcomes) != 2 || len(m.Seats[1].Desktop.Launch.Seats) != 2 {
			t.Fatalf("effects are %v, launch is %+v", verbs(d), m.Seats[1].Desktop.Launch)
		}
		mustSettle(&m, "desk.localhost", outcomes, now)
		for tries := 0; m.Seats[0].Desktop.Phase == greenroom.Failed; tries++ { // until the attempt is certainly dead
			d := decideIn(m, now, "a", "b")
			if m = d.Meeting; len(d.Effects) > 0 && m.Seats[0].Desktop.Phase == greenroom.Failed {
				t.Fatalf("effects before the attempt is dead: %v", verbs(d))
			}
			if m.Seats[0].Desktop.Phase != greenroom.Failed {
				break
			}
			now = d.Wake
			if tries > 100 {
				t.Fatal("it is never certain")
			}
		}
	}
	if diff := cmp.Diff([]string{"a", "b", "a", "b"}, went); diff != "" {
		t.Error(diff)
	}
}

func TestWaitingForATurnIsNoFailure(t *testing.T) {
	t.Parallel()
	now := start.Add(-10 * time.Minute)
	m := decideIn(onEC2(greenroom.Planned), now, "a").Meeting
	turn := now.Add(20 * time.Minute) // much longer than the stage may take
	var outcomes []plan.Outcome
	for i := range m.Seats {
		outcomes = append(outcomes, plan.Outcome{Effect: plan.Effect{Do: plan.Launch, Handle: m.Handle(&m.Seats[i])}, Err: greenroom.ErrThrottled, TurnAt: turn})
	}
	if events := mustSettle(&m, "desk.localhost", outcomes, now); len(events) != 2 {
		t.Errorf("it is told in %d events", len(events))
	}
	if events := mustSettle(&m, "desk.localhost", outcomes, now.Add(time.Minute)); len(events) != 0 {
		t.Errorf("it is told again: %v", events)
	}
	if d := decideIn(m, turn.Add(-time.Second), "a"); len(d.Effects) != 0 || d.Meeting.Seats[0].Desktop.Phase != greenroom.Launching || !d.Wake.Equal(turn) {
		t.Errorf("before the turn: %v, %v, wake %v", verbs(d), phases(d.Meeting), d.Wake)
	}
	if d := decideIn(m, turn, "a"); len(d.Effects) != 2 {
		t.Errorf("at the turn: %v", verbs(d))
	}
	if d := decideIn(m, turn.Add(2*time.Minute), "a"); d.Meeting.Seats[0].Desktop.Phase != greenroom.Failed {
		t.Errorf("the stage's time after the turn: %v", phases(d.Meeting))
	}
}
