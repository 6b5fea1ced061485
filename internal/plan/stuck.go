package plan

import (
	"fmt"
	"strings"
	"time"

	"greenroom"
)

// Trouble is one finding about a stuck meeting.
type Trouble struct {
	Kind    string    // stable name
	Seat    string    // its id; empty for the whole meeting
	Note    bool      // worth knowing, and wanted
	Message string    // what is wrong: a sentence
	Since   time.Time // when it should have progressed, or when this began
	Error   string    // the last error, if there was one
	Fix     string    // what an operator can do
}

// How long things may take beyond their time before they are called stuck.
const (
	OverdueAfter = time.Minute     // of a wake, a stage's deadline, a machine's maximum age
	slowRemoval  = 5 * time.Minute // of a desktop, or of a whole meeting after its end
)

// Stuck lists what of m does not move although it should. A parked meeting is only noted: that it does not move is
// what its operator wants.
func Stuck(m *greenroom.Meeting, now time.Time) []Trouble {
	if m.Closed {
		return nil
	}
	if m.ParkedUntil.After(now) {
		return append(parkedTrouble(m), tooOld(m, now)...)
	}
	var out []Trouble
	if !m.WakeAt.IsZero() && now.After(m.WakeAt.Add(OverdueAfter)) {
		out = append(out, Trouble{Kind: "overdue", Since: m.WakeAt, Error: lastError(m),
			Message: "It should have been looked at and was not: the server is overloaded, or every pass fails.",
			Fix:     "see the server's log for this id, and greenroom_wake_lateness_seconds; greenroom plan " + m.ID + " shows what a look would do"})
	}
	for i := range m.Seats {
		if t, ok := stuckSeat(m, &m.Seats[i], now); ok {
			out = append(out, t)
		}
	}
	if len(out) == 0 && m.EndReason != "" && now.After(m.EndedAt.Add(slowRemoval)) {
		out = append(out, Trouble{Kind: "not_closed", Since: m.EndedAt, Error: lastError(m),
			Message: "It ended, and greenroom has not confirmed that nothing of it remains.", Fix: "greenroom plan " + m.ID + " names what it waits for"})
	}
	return append(out, tooOld(m, now)...)
}

func parkedTrouble(m *greenroom.Meeting) []Trouble {
	t := Trouble{Kind: "parked", Note: true, Since: m.ParkedAt, Error: lastError(m), Fix: "when you are done: greenroom resume " + m.ID,
		Message: "It is parked: greenroom does nothing for it before " + m.ParkedUntil.Format(time.RFC3339) + "."}
	if m.ParkedReason != "" {
		t.Message += " Reason: " + strings.TrimSuffix(m.ParkedReason, ".") + "."
	}
	return []Trouble{t}
}

// stuckSeat says whether the seat's desktop does not move.
func stuckSeat(m *greenroom.Meeting, s *greenroom.Seat, now time.Time) (Trouble, bool) {
	d := &s.Desktop
	t := Trouble{Seat: s.ID, Since: d.Timings[d.Phase], Error: d.Error}
	deadline := stageDeadline(m, d.Phase)
	provider := "look at the provider " + string(m.Blueprint.Provider)
	switch {
	case !d.Blocked.Since.IsZero() && (d.Phase.Starting() || d.Phase == greenroom.Failed || d.Phase == greenroom.Planned) && m.EndReason == "" && !s.Removed:
		t.Kind, t.Since, t.Message = "blocked", d.Blocked.Since, "The provider refuses to start its machine for now; greenroom asks again every minute until the meeting's end."
		t.Fix = "the error says what to raise or to allow at the provider " + string(m.Blueprint.Provider) + "; nothing needs to be done here after that"
	case d.Phase.Starting() && now.After(later(t.Since, d.TurnAt).Add(deadline+OverdueAfter)):
		t.Kind, t.Message = "slow_stage", fmt.Sprintf("Its desktop is %s for much longer than the %s that stage may take, and was not replaced.", d.Phase, greenroom.Duration(deadline))
		t.Fix = provider + " and at the server's log; greenroom park " + m.ID + " stops all actions on it meanwhile"
	case (d.Phase == greenroom.Terminating || d.Phase == greenroom.Failed) && !d.Cleared && now.After(t.Since.Add(slowRemoval)):
		t.Kind, t.Message = "slow_removal", "Its desktop was to be removed, and its machine or its name is not confirmed to be gone."
		t.Fix = provider + thing(" for ", d.InstanceID) + thing(" and at the zone for ", d.Hostname) + "; greenroom asks again by itself"
	case givenUp(s) && m.EndReason == "" && !s.Removed:
		t.Kind, t.Message = "given_up", fmt.Sprintf("Its desktop failed %d times in a row and is not tried again.", s.Failures)
		if d.Permanent {
			t.Message = "Its desktop failed for a reason that no retry can fix."
		}
		t.Fix = "fix the cause; then its person asks for a new desktop on the join page, or end the meeting: greenroom end " + m.ID
	case d.Enterable() && d.Trust.Failed >= looksDenied && now.After(d.Trust.Since.Add(OverdueAfter)):
		t.Kind, t.Since, t.Message = "no_answer", d.Trust.Since, "Its desktop does not answer, and is not replaced, since somebody may be in it: "+lookSaid(d.Proof)
		t.Fix = "ask its person; " + provider + thing(" for ", d.InstanceID) + "; it is replaced when its person reloads or comes to the lobby"
	default:
		return t, false
	}
	return t, true
}

// tooOld lists desktops that have outlived their maximum age, parked or not: the machine should have ended itself.
func tooOld(m *greenroom.Meeting, now time.Time) []Trouble {
	var out []Trouble
	for i := range m.Seats {
		s := &m.Seats[i]
		if d := &s.Desktop; d.MayExist() && !d.KillAt.IsZero() && now.After(d.KillAt.Add(OverdueAfter)) {
			out = append(out, Trouble{Kind: "too_old", Seat: s.ID, Since: d.KillAt, Error: d.Error,
				Message: fmt.Sprintf("Its machine is older than %s (kill_after), and is not confirmed to be gone.", m.Blueprint.Rules.KillAfter),
				Fix:     "look at the provider " + string(m.Blueprint.Provider) + thing(" for ", d.InstanceID) + ", and remove the machine there if it still runs"})
		}
	}
	return out
}

var defaultDeadline = greenroom.DefaultRules().StageDeadline

// stageBegan is since when a stage's time runs: a launch that waits for its turn has not begun.
func stageBegan(d *greenroom.Desktop) time.Time { return later(d.Timings[d.Phase], d.TurnAt) }

// stageDeadline is how long a stage may take, by the rules the meeting was scheduled with.
func stageDeadline(m *greenroom.Meeting, p greenroom.Phase) time.Duration {
	d := m.Blueprint.Rules.StageDeadline[p]
	if d == 0 {
		d = defaultDeadline[p]
	}
	return time.Duration(d)
}

func lastError(m *greenroom.Meeting) string {
	for i := range m.Seats {
		if e := m.Seats[i].Desktop.Error; e != "" {
			return e
		}
	}
	return ""
}

func thing(before, what string) string {
	if what == "" {
		return ""
	}
	return before + what
}
