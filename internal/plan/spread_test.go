package plan_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/plan"
)

// TestANameThatSpreadsIsNoError : an accepted name is waited for until a time, told once, and after a minute the proof takes over.
func TestANameThatSpreadsIsNoError(t *testing.T) {
	t.Parallel()
	m := ok(greenroom.Naming)
	s := m.Seat("student")
	began := s.Desktop.Timings[greenroom.Naming]
	outcome := func(at time.Time, err error) []plan.Outcome {
		return []plan.Outcome{{Effect: plan.Effect{Do: plan.Publish, Handle: m.Handle(s)}, TurnAt: at, Err: err}}
	}
	now := began.Add(time.Second)
	mustSettle(&m, "desk.localhost", outcome(time.Time{}, errors.New("refused")), now)
	if s.Desktop.Error == "" {
		t.Fatal("a refusal is an error")
	}
	again := now.Add(5 * time.Second)
	events := mustSettle(&m, "desk.localhost", outcome(again, nil), now)
	if len(events) != 1 || !strings.Contains(events[0].Message, "within a minute") || s.Desktop.Error != "" || !s.Desktop.RetryAt.Equal(again) {
		t.Errorf("told %+v, error %q, again at %s", events, s.Desktop.Error, s.Desktop.RetryAt)
	}
	if at, why := plan.Outlook(&m, s, now); !at.Equal(again) || !strings.Contains(why, "all its servers") {
		t.Errorf("the outlook is %s %s", at, why)
	}
	if events := mustSettle(&m, "desk.localhost", outcome(again.Add(5*time.Second), nil), again); len(events) != 0 || s.Desktop.Phase != greenroom.Naming {
		t.Errorf("told again: %+v", events)
	}
	late := began.Add(time.Minute)
	if mustSettle(&m, "desk.localhost", outcome(late.Add(5*time.Second), nil), late); s.Desktop.Phase != greenroom.Proving {
		t.Errorf("after a minute it is %s", s.Desktop.Phase)
	}
}
