package meetings_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"greenroom"
	"greenroom/internal/agent/agentapi"
	"greenroom/internal/meetings"
)

func TestReport(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m, e, _ := b.ready()
	report := func(in agentapi.Report) agentapi.Orders {
		t.Helper()
		orders, err := b.Report(t.Context(), e.AgentToken, in)
		if err != nil {
			t.Fatal(err)
		}
		return orders
	}
	report(agentapi.Report{Ready: true})
	one := []agentapi.Connection{{ID: "1", Client: "127.0.0.1"}}
	report(agentapi.Report{Ready: true, Connections: one})
	connected, _ := b.Meeting(t.Context(), m.ID)
	if a := connected.Seat("teacher").Desktop.Agent; a.Connections != 1 || a.ReadyAt.IsZero() || a.ConnectedAt.IsZero() {
		t.Errorf("facts %+v", a)
	}
	report(agentapi.Report{Ready: true, Connections: one})
	if same, _ := b.Meeting(t.Context(), m.ID); same.Rev != connected.Rev {
		t.Error("a heartbeat without news was written")
	}
	report(agentapi.Report{Ready: true})
	if left, _ := b.Meeting(t.Context(), m.ID); left.Seat("teacher").LeftAt.IsZero() {
		t.Error("the leaving was not noted")
	}
	if _, err := b.Report(t.Context(), e.AgentToken, agentapi.Report{Connections: make([]agentapi.Connection, 1000)}); err == nil {
		t.Error("a thousand connections were taken")
	}
	if _, err := b.End(t.Context(), m.ID); err != nil {
		t.Fatal(err)
	}
	if orders := report(agentapi.Report{Ready: true}); !strings.Contains(orders.Ending, "ended") {
		t.Errorf("the desktop is not told of the end: %+v", orders)
	}
}

func TestAReplacedDesktopIsRetired(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m, e, _ := b.ready()
	b.alter(m.ID, func(m *greenroom.Meeting) {
		m.Seat("teacher").Desktop = m.Seat("teacher").Desktop.NextAttempt(time.Now())
	})
	if orders, err := b.Report(t.Context(), e.AgentToken, agentapi.Report{Ready: true}); err != nil || !orders.Retired {
		t.Errorf("%+v %v", orders, err)
	}
	if _, err := b.Report(t.Context(), "zzzzzzzzzzzzzzzz.teacher.1.x", agentapi.Report{}); !errors.Is(err, greenroom.ErrForbidden) {
		t.Errorf("of no meeting: %v", err)
	}
}

// reporting is an agent that reports at the times that a test chooses.
type reporting struct {
	*bundle
	id    string
	token string
	now   time.Time
}

func startReporting(t *testing.T) *reporting {
	t.Helper()
	b, m, e, _ := onDCV(t)
	r := &reporting{bundle: b, id: m.ID, token: e.AgentToken, now: time.Now().UTC().Truncate(time.Second)}
	b.Now = func() time.Time { return r.now }
	r.report(agentapi.Report{Ready: true})
	return r
}

// report is made a while after the last one, and returns the facts as they are saved then.
func (r *reporting) report(in agentapi.Report) greenroom.AgentFacts {
	r.t.Helper()
	r.now = r.now.Add(agentapi.HeartbeatEvery)
	if _, err := r.Report(r.t.Context(), r.token, in); err != nil {
		r.t.Fatal(err)
	}
	m := r.stored()
	return m.Seat("teacher").Desktop.Agent
}

func (r *reporting) stored() greenroom.Meeting {
	r.t.Helper()
	m, err := r.Meeting(r.t.Context(), r.id)
	if err != nil {
		r.t.Fatal(err)
	}
	return m
}

// told are the timeline's messages of these kinds.
func (b *bundle) told(id string, kinds ...greenroom.EventKind) []string {
	b.t.Helper()
	events, err := b.Events(b.t.Context(), id, 0, 1000)
	if err != nil {
		b.t.Fatal(err)
	}
	out := []string{}
	for _, e := range events {
		for _, k := range kinds {
			if e.Kind == k {
				out = append(out, e.Message)
			}
		}
	}
	return out
}

func TestTheLastInputIsKept(t *testing.T) {
	t.Parallel()
	r := startReporting(t)
	moved := func(user string, at time.Time) agentapi.Report {
		return agentapi.Report{Ready: true, Connections: []agentapi.Connection{{ID: "1", User: user, ActiveAt: at}}}
	}
	first := r.now
	if a := r.report(moved("ada", first)); !a.ActiveAt.Equal(first) {
		t.Fatalf("the input came at %s, and %s is kept", first, a.ActiveAt)
	}
	before, kicks := r.stored(), r.kicks.Load()
	r.report(moved("ada", r.now))
	if now := r.stored(); now.Rev != before.Rev {
		t.Error("a mouse that moves is written with every heartbeat")
	}
	later := first.Add(2 * time.Minute)
	r.now = later
	if a := r.report(moved("ada", later)); !a.ActiveAt.Equal(later) {
		t.Errorf("%s is kept of an input minutes later, at %s", a.ActiveAt, later)
	}
	if now := r.stored(); r.kicks.Load() != kicks || !now.WakeAt.Equal(before.WakeAt) || now.Version != before.Version {
		t.Errorf("a mouse that moves makes the plan think: %d passes asked for, wake %s and then %s", r.kicks.Load()-kicks, before.WakeAt, now.WakeAt)
	}
	if a := r.report(moved("ada", later.Add(24*time.Hour))); a.ActiveAt.After(r.now) {
		t.Errorf("a desktop's clock is believed to be ahead: %s, and it is %s", a.ActiveAt, r.now)
	}
	r.now = r.now.Add(time.Hour)
	if a := r.report(moved(agentapi.Host, r.now)); r.now.Sub(a.ActiveAt) < time.Hour {
		t.Error("a visitor's input counts as the participant's")
	}
}

func TestAnAgentThatHasNoNewsIsHeard(t *testing.T) {
	t.Parallel()
	r := startReporting(t)
	before := r.stored()
	for range 24 { // four minutes
		r.report(agentapi.Report{Ready: true})
	}
	if now := r.stored(); now.Rev != before.Rev {
		t.Errorf("%d writes of four minutes without news", now.Rev-before.Rev)
	}
	for range 9 {
		r.report(agentapi.Report{Ready: true})
	}
	now := r.stored()
	if d := now.Seat("teacher").Desktop; now.Rev != before.Rev+1 || r.now.Sub(d.Agent.ReportedAt) > time.Minute || meetings.Silent(&d, r.now) {
		t.Errorf("%d writes, the last report %s ago", now.Rev-before.Rev, r.now.Sub(d.Agent.ReportedAt))
	}
	if d := now.Seat("teacher").Desktop; !meetings.Silent(&d, r.now.Add(7*time.Minute)) {
		t.Error("a desktop that is silent for minutes is not known to be")
	}
}

// TestFactsThatAnOlderVersionDroppedComeBack is a rolling upgrade: a server that does not know a fact saves the meeting without it.
func TestFactsThatAnOlderVersionDroppedComeBack(t *testing.T) {
	t.Parallel()
	r := startReporting(t)
	r.alter(r.id, func(m *greenroom.Meeting) {
		a := &m.Seat("teacher").Desktop.Agent
		a.Version, a.ReportedAt, a.ActiveAt = "", time.Time{}, time.Time{}
	})
	at := r.now
	a := r.report(agentapi.Report{Ready: true, Version: "1.4.0", Connections: []agentapi.Connection{{ID: "1", ActiveAt: at}}})
	if a.Version != "1.4.0" || !a.ActiveAt.Equal(at) || !a.ReportedAt.Equal(r.now) {
		t.Errorf("%+v", a)
	}
}

func TestTroubleOfADesktopIsTold(t *testing.T) {
	t.Parallel()
	both := []greenroom.EventKind{greenroom.EventProblem, greenroom.EventProblemOver}
	t.Run("OnceWhenItComesAndOnceWhenItGoes", func(t *testing.T) {
		t.Parallel()
		r := startReporting(t)
		ill := agentapi.Report{Ready: true, Problem: "DCV has no console session."}
		if a := r.report(ill); a.Problem != ill.Problem {
			t.Errorf("facts %+v", a)
		}
		r.report(ill)
		if a := r.report(agentapi.Report{Ready: true}); a.Problem != "" {
			t.Errorf("facts %+v", a)
		}
		r.report(agentapi.Report{Ready: true})
		want := []string{"The desktop reports a problem: DCV has no console session.", "The desktop's problem is over: DCV has no console session."}
		if diff := cmp.Diff(want, r.told(r.id, both...)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
	t.Run("AlsoOfTheLicence", func(t *testing.T) {
		t.Parallel()
		r := startReporting(t)
		for _, licence := range []string{"licensed", "unlicensed", "unlicensed", "LICENSED", "licensed"} {
			if a := r.report(agentapi.Report{Ready: true, Licence: licence}); a.Licence != licence {
				t.Errorf("%q is kept of %q", a.Licence, licence)
			}
		}
		got := r.told(r.id, both...)
		if len(got) != 2 || !strings.Contains(got[0], "licence is unlicensed") || got[1] != "DCV's licence is good again." {
			t.Errorf("%q", got)
		}
	})
	t.Run("WithinBounds", func(t *testing.T) {
		t.Parallel()
		r := startReporting(t)
		kicks := r.kicks.Load()
		for i := range 1100 { // more often than is counted
			hostile := agentapi.Report{Ready: true, Problem: fmt.Sprintf("%d\x1b[2J%s", i, strings.Repeat("x", 5000)), Licence: strings.Repeat("L", 5000), Version: strings.Repeat("\x07v", 5000)}
			a := r.report(hostile)
			if len(a.Problem)+len(a.Licence)+len(a.Version) > 1000 || strings.ContainsAny(a.Problem+a.Licence+a.Version, "\x1b\x07") {
				t.Fatalf("facts %+v", a)
			}
			r.report(agentapi.Report{Ready: true})
		}
		got := r.told(r.id, both...)
		if len(got) != 20 {
			t.Errorf("%d entries", len(got))
		}
		for _, text := range got {
			if len(text) > 500 || strings.Contains(text, "\x1b") {
				t.Errorf("entry %.60q of %d bytes", text, len(text))
			}
		}
		if r.kicks.Load() != kicks {
			t.Errorf("%d passes were asked for", r.kicks.Load()-kicks)
		}
	})
}
