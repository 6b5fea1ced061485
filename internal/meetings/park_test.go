package meetings_test

import (
	"strings"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/meetings"
)

// TestLobbyOfAParkedMeeting wants those who wait told, and nobody else.
func TestLobbyOfAParkedMeeting(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		phase    greenroom.Phase
		startsIn time.Duration
		parked   bool
		say      string
	}{
		"waiting for the desktop":       {greenroom.Proving, 0, true, "Stay on this page"},
		"the desktop is gone":           {greenroom.Gone, 0, true, "Ask for a new desktop now, and it is started then"},
		"ready all the same":            {greenroom.Ready, 0, false, "Your desktop is ready"},
		"due while it is parked":        {greenroom.Planned, 30 * time.Minute, true, "at the latest"},
		"not due before it is let go":   {greenroom.Planned, 5 * time.Hour, false, "You are early"},
		"in use, and somebody returned": {greenroom.InUse, 0, false, "Your desktop is ready"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			m := b.schedule()
			b.stand(m.ID, "teacher", c.phase)
			b.alter(m.ID, func(m *greenroom.Meeting) {
				m.StartsAt, m.EndsAt = m.StartsAt.Add(c.startsIn), m.EndsAt.Add(c.startsIn)
			})
			if _, err := b.Park(t.Context(), m.ID, "1h", "", "127.0.0.1"); err != nil {
				t.Fatal(err)
			}
			st, err := b.Standing(t.Context(), m.ID, "teacher", m.Seat("teacher").Key)
			if err != nil {
				t.Fatal(err)
			}
			if st.Parked != c.parked || !strings.Contains(st.Message, c.say) {
				t.Errorf("parked %t: %q", st.Parked, st.Message)
			}
			if st.Parked && (st.Estimate != 0 || st.RetryIn < time.Second) {
				t.Errorf("estimate %s, retry in %s", st.Estimate, st.RetryIn)
			}
		})
	}
}

// TestWhoAsksWhileParkedIsRemembered keeps a wish for a new desktop until the parking is over.
func TestWhoAsksWhileParkedIsRemembered(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := b.schedule()
	b.stand(m.ID, "teacher", greenroom.Gone)
	if _, err := b.Park(t.Context(), m.ID, "", "", ""); err != nil {
		t.Fatal(err)
	}
	st, err := b.Enter(t.Context(), m.ID, "teacher", m.Seat("teacher").Key, "127.0.0.1")
	if err != nil || st.Wanted || !st.Parked {
		t.Errorf("%+v %v", st, err)
	}
	if _, err := b.Resume(t.Context(), m.ID, ""); err != nil {
		t.Fatal(err)
	}
	var e meetings.Explanation
	if e, err = b.Explain(t.Context(), m.ID); err != nil || len(e.Decision.Events) == 0 || e.Decision.Events[0].Seat != "teacher" || !strings.Contains(e.Decision.Events[0].Message, "gets a new desktop") {
		t.Errorf("%+v %v", e.Decision, err)
	}
}
