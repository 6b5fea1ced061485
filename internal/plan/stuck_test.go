package plan_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"greenroom"
	"greenroom/internal/plan"
)

// TestStuck breaks one thing per row of a meeting that moves as it should.
func TestStuck(t *testing.T) {
	t.Parallel()
	const m1 = time.Minute
	failed := func(m *greenroom.Meeting, change func(s *greenroom.Seat)) {
		s := m.Seat("student")
		s.Desktop = greenroom.Desktop{Phase: greenroom.Failed, Attempt: 3, Cleared: true, Error: "It broke.",
			Timings: map[greenroom.Phase]time.Time{greenroom.Failed: start}}
		change(s)
	}
	tests := []struct {
		name  string
		phase greenroom.Phase
		alter func(m *greenroom.Meeting)
		at    time.Duration
		want  []string
	}{
		{name: "a wake a little late", phase: greenroom.Ready, alter: func(m *greenroom.Meeting) { m.WakeAt = start }, at: m1},
		{name: "an overdue wake", phase: greenroom.Ready, alter: func(m *greenroom.Meeting) { m.WakeAt = start }, at: m1 + time.Second, want: []string{"overdue "}},
		{name: "an overdue wake of a closed meeting", phase: greenroom.Gone, alter: func(m *greenroom.Meeting) { m.WakeAt, m.Closed = start, true }, at: time.Hour},
		{name: "a stage at its deadline", phase: greenroom.Booting, at: -5 * m1},
		{name: "a stage far past its deadline", phase: greenroom.Booting, at: -4*m1 + time.Second, want: []string{"slow_stage teacher", "slow_stage student"}},
		{name: "a removal under way", phase: greenroom.Ready, alter: removing, at: 5 * m1},
		{name: "a removal that hangs", phase: greenroom.Ready, alter: removing, at: 5*m1 + time.Second, want: []string{"slow_removal student"}},
		{name: "failed and not cleared", phase: greenroom.Ready, alter: func(m *greenroom.Meeting) {
			failed(m, func(s *greenroom.Seat) { s.Desktop.Cleared = false })
		}, at: 6 * m1, want: []string{"slow_removal student"}},
		{name: "ended, not closed", phase: greenroom.Gone, alter: func(m *greenroom.Meeting) { plan.End(m, greenroom.Completed, "", nil, start) }, at: 5*m1 + time.Second, want: []string{"not_closed "}},
		{name: "just ended", phase: greenroom.Gone, alter: func(m *greenroom.Meeting) { plan.End(m, greenroom.Completed, "", nil, start) }, at: 5 * m1},
		{name: "a failure that is retried", phase: greenroom.Ready, alter: func(m *greenroom.Meeting) { failed(m, func(s *greenroom.Seat) { s.Failures = 7 }) }, at: 0},
		{name: "given up", phase: greenroom.Ready, alter: func(m *greenroom.Meeting) { failed(m, func(s *greenroom.Seat) { s.Failures = 8 }) }, at: 0, want: []string{"given_up student"}},
		{name: "hopeless", phase: greenroom.Ready, alter: func(m *greenroom.Meeting) { failed(m, func(s *greenroom.Seat) { s.Desktop.Permanent = true }) }, at: 0, want: []string{"given_up student"}},
		{name: "parked hides what it causes", phase: greenroom.Booting, alter: func(m *greenroom.Meeting) {
			m.WakeAt = start
			plan.Park(m, start.Add(time.Hour), "", nil, start)
		}, at: 30 * m1, want: []string{"note parked "}},
		{name: "in use, and does not answer", phase: greenroom.InUse, at: 2*m1 + time.Second, alter: func(m *greenroom.Meeting) {
			m.Seat("student").Desktop.Trust = greenroom.Trust{Failed: 2, Since: start.Add(m1)}
		}, want: []string{"no_answer student"}},
		{name: "just stopped to answer", phase: greenroom.InUse, at: 2 * m1, alter: func(m *greenroom.Meeting) {
			m.Seat("student").Desktop.Trust = greenroom.Trust{Failed: 2, Since: start.Add(m1)}
		}},
		{name: "too old", phase: greenroom.InUse, at: 12 * time.Hour, want: []string{"too_old teacher", "too_old student"}},
		{name: "too old, parked", phase: greenroom.InUse, alter: func(m *greenroom.Meeting) { plan.Park(m, start.Add(20*time.Hour), "", nil, start) }, at: 12 * time.Hour,
			want: []string{"note parked ", "too_old teacher", "too_old student"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := ok(tt.phase)
			if tt.alter != nil {
				tt.alter(&m)
			}
			var got []string
			for _, trouble := range plan.Stuck(&m, start.Add(tt.at)) {
				kind := trouble.Kind
				if trouble.Note {
					kind = "note " + kind
				}
				got = append(got, kind+" "+trouble.Seat)
				if trouble.Message == "" || trouble.Fix == "" || trouble.Since.IsZero() {
					t.Errorf("incomplete: %+v", trouble)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func removing(m *greenroom.Meeting) {
	d := &m.Seat("student").Desktop
	d.Phase, d.Timings[greenroom.Terminating] = greenroom.Terminating, start
}

// TestOutlookIsComplete wants a sentence for everything that can be, and a time wherever greenroom will act by itself.
func TestOutlookIsComplete(t *testing.T) {
	t.Parallel()
	for _, phase := range greenroom.Phases() {
		for name, alter := range map[string]func(m *greenroom.Meeting, s *greenroom.Seat){
			"plain": func(*greenroom.Meeting, *greenroom.Seat) {},
			"retrying": func(_ *greenroom.Meeting, s *greenroom.Seat) {
				s.Desktop.Tries, s.Desktop.RetryAt = 3, start.Add(time.Second)
			},
			"parked":   func(m *greenroom.Meeting, _ *greenroom.Seat) { m.ParkedUntil = start.Add(time.Hour) },
			"ended":    func(m *greenroom.Meeting, _ *greenroom.Seat) { m.EndReason = greenroom.Completed },
			"closed":   func(m *greenroom.Meeting, _ *greenroom.Seat) { m.EndReason, m.Closed = greenroom.Completed, true },
			"cleared":  func(_ *greenroom.Meeting, s *greenroom.Seat) { s.Desktop.Cleared, s.Failures = true, 2 },
			"given up": func(_ *greenroom.Meeting, s *greenroom.Seat) { s.Desktop.Cleared, s.Failures = true, 8 },
			"hopeless": func(_ *greenroom.Meeting, s *greenroom.Seat) { s.Desktop.Cleared, s.Desktop.Permanent = true, true },
			"again": func(_ *greenroom.Meeting, s *greenroom.Seat) {
				s.Desktop.Attempt, s.Desktop.RetryAt = 2, start.Add(time.Second)
			},
		} {
			t.Run(fmt.Sprint(phase, " ", name), func(t *testing.T) {
				t.Parallel()
				m := ok(phase)
				alter(&m, &m.Seats[0])
				if _, text := plan.Outlook(&m, &m.Seats[0], start); text == "" || strings.Contains(text, "  ") || strings.Contains(text, "the  ") {
					t.Errorf("%q", text)
				}
			})
		}
	}
}

// TestOutlook is what people are told in the cases that puzzle them.
func TestOutlook(t *testing.T) {
	t.Parallel()
	failed := func(failures int, permanent bool) greenroom.Meeting {
		m := ok(greenroom.Ready)
		s := &m.Seats[0]
		s.Failures = failures
		s.Desktop = greenroom.Desktop{Phase: greenroom.Failed, Attempt: failures, Cleared: true, Permanent: permanent,
			Timings: map[greenroom.Phase]time.Time{greenroom.Failed: start}}
		return m
	}
	for _, tt := range []struct {
		name string
		m    greenroom.Meeting
		at   time.Duration // after the start; -1h for none
		say  string
	}{
		{"backoff", failed(4, false), 4 * time.Second, "attempt 5 begins, after failure 4 of at most 8"},
		{"given up", failed(8, false), -time.Hour, "given up after 8 failures"},
		{"permanent", failed(1, true), -time.Hour, "no retry can fix"},
		{"parked", parked(ok(greenroom.Booting)), time.Hour, "the parking ends"},
		{"planned", ok(greenroom.Planned), -10 * time.Minute, "10m before the start"},
		{"nobody came", ok(greenroom.Ready), 15 * time.Minute, "if nobody has come"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			at, text := plan.Outlook(&tt.m, &tt.m.Seats[0], start)
			if want := start.Add(tt.at); !at.Equal(want) && (tt.at != -time.Hour || !at.IsZero()) {
				t.Errorf("at %v, want %v", at, want)
			}
			if !strings.Contains(text, tt.say) {
				t.Errorf("%q, want %q in it", text, tt.say)
			}
		})
	}
}
