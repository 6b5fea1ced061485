package plan_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"greenroom"
	"greenroom/internal/plan"
)

// refuse answers every launch of a decision with a full quota.
func refuse(m *greenroom.Meeting, d plan.Decision, now time.Time) []greenroom.Event {
	var outcomes []plan.Outcome
	for _, e := range d.Effects {
		if e.Do == plan.Launch {
			outcomes = append(outcomes, plan.Outcome{Effect: e, Err: &greenroom.UserError{Message: "The quota is full.", Cause: greenroom.ErrBlocked}})
		}
	}
	return mustSettle(m, "desk.localhost", outcomes, now)
}

// TestAFullQuotaIsAskedUntilTheEnd has a provider with one place that refuses all the while.
func TestAFullQuotaIsAskedUntilTheEnd(t *testing.T) {
	t.Parallel()
	now := start.Add(-10 * time.Minute)
	m := onEC2(greenroom.Planned)
	var asked []time.Time
	told := 0
	for n := 0; m.EndReason == "" && n < 1000; n++ {
		d := decideIn(m, now, "a")
		m = d.Meeting
		if len(d.Effects) > 0 && m.EndReason == "" {
			asked = append(asked, now)
			for _, e := range refuse(&m, d, now) {
				if told++; e.Message != "The quota is full." || e.Data["blocked_since"] == "" {
					t.Errorf("told %+v", e)
				}
			}
			if trouble := plan.Stuck(&m, now); len(trouble) != 2 || trouble[0].Kind != "blocked" || trouble[0].Error != "The quota is full." {
				t.Errorf("stuck says %+v", trouble)
			}
			d = decideIn(m, now, "a")
		}
		now = d.Wake
	}
	if told != 2 {
		t.Errorf("two seats are told of %d times", told)
	}
	for i, at := range asked[1:] {
		if pause := at.Sub(asked[i]); pause < 30*time.Second || pause > time.Minute {
			t.Fatalf("asked again after %s", pause)
		}
	}
	if last := asked[len(asked)-1]; m.EndReason != greenroom.GaveUp || m.EndedAt.Before(m.EndsAt) || last.Before(m.EndsAt.Add(-time.Minute)) {
		t.Errorf("ended as %q at %s, last asked at %s; the end is %s", m.EndReason, m.EndedAt, last, m.EndsAt)
	}
	if s := m.Seats[0]; s.Failures != 0 || s.Desktop.Attempt != 1 {
		t.Errorf("%d failures, attempt %d", s.Failures, s.Desktop.Attempt)
	}
}

// TestAFullQuotaGoesToTheNextType has a provider that no longer names the places of a type whose quota is full.
func TestAFullQuotaGoesToTheNextType(t *testing.T) {
	t.Parallel()
	now := start.Add(-10 * time.Minute)
	m := onEC2(greenroom.Planned)
	places := []string{"t/a", "m/a"}
	var went []string
	events := 0
	for n := 0; now.Before(start.Add(30*time.Minute)) && n < 1000; n++ {
		d := decideIn(m, now, places...)
		m, events = d.Meeting, events+len(d.Events)
		if place := m.Seats[0].Desktop.Launch.Place; len(d.Effects) > 0 {
			if len(went) == 0 || went[len(went)-1] != place {
				went = append(went, place)
			}
			events += len(refuse(&m, d, now))
			places = slices.DeleteFunc([]string{"t/a", "m/a"}, func(p string) bool { return p == place })
			continue
		}
		now = d.Wake
	}
	if diff := cmp.Diff([]string{"t/a", "m/a", "t/a"}, went[:min(3, len(went))]); diff != "" || len(went) > 16 {
		t.Errorf("it went to %v", went)
	}
	if events > 150 {
		t.Errorf("the timeline has %d entries", events)
	}
	if f := m.Seats[0].Failures; f != 0 || m.EndReason != "" {
		t.Errorf("%d failures, ended as %q", f, m.EndReason)
	}
}

func TestARefusalThatPassesLeavesNoTrace(t *testing.T) {
	t.Parallel()
	now := start.Add(-10 * time.Minute)
	m := decideIn(onEC2(greenroom.Planned), now, "a").Meeting
	refuse(&m, decideIn(m, now, "a"), now)
	if at, why := plan.Outlook(&m, &m.Seats[0], now); !at.Equal(m.Seats[0].Desktop.RetryAt) || !strings.Contains(why, "refused since") {
		t.Errorf("the outlook is %s %s", at, why)
	}
	soon := now.Add(time.Second)
	if d := decideIn(m, soon, "a"); len(d.Effects) != 0 {
		t.Errorf("asked at once: %v", verbs(d))
	}
	if !plan.AskAgain(&m, soon) || plan.AskAgain(&m, soon) {
		t.Error("a machine that goes makes the launch due, once")
	}
	d := decideIn(m, soon, "a")
	if len(d.Effects) != 2 {
		t.Fatalf("not asked: %v", verbs(d))
	}
	var outcomes []plan.Outcome
	for i, e := range d.Effects {
		outcomes = append(outcomes, plan.Outcome{Effect: e, InstanceID: fmt.Sprintf("i-%017d", i)})
	}
	mustSettle(&m, "desk.localhost", outcomes, soon)
	if b := m.Seats[0].Desktop.Blocked; b != (greenroom.Blocked{}) || len(plan.Stuck(&m, soon)) != 0 {
		t.Errorf("left: %+v, %v", b, plan.Stuck(&m, soon))
	}
}

// TestAPermanentErrorGivesUpAtTheStart and not before: until then the organiser can fix it and ask for a new desktop.
func TestAPermanentErrorGivesUpAtTheStart(t *testing.T) {
	t.Parallel()
	now := start.Add(-9 * time.Minute)
	m := onEC2(greenroom.Planned)
	for i := range m.Seats {
		m.Seats[i].Desktop = greenroom.Desktop{Phase: greenroom.Failed, Attempt: 1, Cleared: true, Permanent: true, Error: "No such image.",
			Timings: map[greenroom.Phase]time.Time{greenroom.Failed: now}}
	}
	d := decideIn(m, now, "a")
	if d.Meeting.EndReason != "" || !d.Wake.Equal(start) {
		t.Fatalf("ended as %q, wake %s", d.Meeting.EndReason, d.Wake)
	}
	if over := decideIn(m, start, "a"); over.Meeting.EndReason != greenroom.GaveUp {
		t.Errorf("at the start it goes on: %q", over.Meeting.EndReason)
	}
	m.Seats[0].ReplaceAttempt, m.Seats[0].ReplaceReason = 1, "The image is there now."
	if d := decideIn(m, now, "a"); !slices.Contains(verbs(d), "launch teacher") && len(d.Effects) != 1 {
		t.Errorf("the organiser's wish leads to %v, %v", verbs(d), phases(d.Meeting))
	}
}
