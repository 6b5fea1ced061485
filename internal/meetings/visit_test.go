package meetings_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/agent/agentapi"
)

// onDCV is a meeting whose teacher's desktop speaks DCV and is ready.
func onDCV(t *testing.T) (b *bundle, m greenroom.Meeting, e agentapi.Enrolled, verifier string) {
	t.Helper()
	b = setup(t)
	m, e, verifier = b.ready()
	m = b.alter(m.ID, func(m *greenroom.Meeting) { m.Blueprint.Protocol, m.Blueprint.User = "dcv", "ada" })
	return b, m, e, verifier
}

func TestVisit(t *testing.T) {
	t.Parallel()
	t.Run("AsAnotherUserOfTheSession", func(t *testing.T) {
		t.Parallel()
		b, m, e, verifier := onDCV(t)
		for _, as := range []string{"host", "observer"} {
			way, err := b.Visit(t.Context(), m.ID, "teacher", as)
			if err != nil {
				t.Fatal(err)
			}
			if v, err := b.Verify(t.Context(), verifier, "console", token(t, way), "192.0.2.9"); err != nil || !v.OK || v.Username != as {
				t.Errorf("%s: %+v %v", as, v, err)
			}
		}
		if v, err := b.Verify(t.Context(), verifier, "console", token(t, b.enter(m, "teacher")), "192.0.2.1"); err != nil || v.Username != "ada" {
			t.Errorf("the participant: %+v %v", v, err)
		}
		guests := []agentapi.Connection{{ID: "1", User: "host"}, {ID: "2", User: "observer"}}
		if _, err := b.Report(t.Context(), e.AgentToken, agentapi.Report{Ready: true, Connections: guests}); err != nil {
			t.Fatal(err)
		}
		if got, _ := b.Meeting(t.Context(), m.ID); got.Seat("teacher").Desktop.Agent.Connections != 0 {
			t.Error("visitors count as the participant")
		}
	})
	t.Run("OnlyWhereUsersAreToldApart", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		m, _, _ := b.ready()
		if _, err := b.Visit(t.Context(), m.ID, "teacher", "host"); err == nil {
			t.Error("a visitor of a noVNC desktop would be its participant")
		}
	})
	t.Run("AsNobodyElse", func(t *testing.T) {
		t.Parallel()
		b, m, _, _ := onDCV(t)
		for _, as := range []string{"", "ada", "%owner%"} {
			if _, err := b.Visit(t.Context(), m.ID, "teacher", as); err == nil {
				t.Errorf("as %q", as)
			}
		}
	})
}

func TestRepeatedRefusalsAreCollapsed(t *testing.T) {
	t.Parallel()
	b, m, _, verifier := onDCV(t)
	for i := range 150 {
		if v, err := b.Verify(t.Context(), verifier, "console", fmt.Sprint("guess ", i), "192.0.2.9"); err != nil || v.OK {
			t.Fatalf("%+v %v", v, err)
		}
	}
	events, _ := b.Events(t.Context(), m.ID, 0, 1000)
	var times []string
	for _, e := range events {
		if e.Kind == greenroom.EventRefused {
			times = append(times, e.Data["times"])
		}
	}
	if got := strings.Join(times, " "); got != "1 10 100" {
		t.Errorf("the timeline tells of times %s", got)
	}
}

// TestWithoutAgent is somebody's own image: its boot script tells DCV the verifier, which the user data holds.
func TestWithoutAgent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := b.stand(b.schedule().ID, "teacher", greenroom.Ready)
	m = b.alter(m.ID, func(m *greenroom.Meeting) {
		m.Blueprint.Protocol, m.Blueprint.Agent, m.Blueprint.User = "dcv", "none", "ada"
	})
	text, err := b.UserData(&m, m.Seat("teacher"))
	if err != nil {
		t.Fatal(err)
	}
	var data agentapi.UserData
	if err := json.Unmarshal(text, &data); err != nil {
		t.Fatal(err)
	}
	verifier := data.VerifyURL[strings.LastIndexByte(data.VerifyURL, '/')+1:]
	if v, err := b.Verify(t.Context(), verifier, "console", token(t, b.enter(m, "teacher")), "192.0.2.1"); err != nil || !v.OK || v.Username != "ada" || data.User != "ada" {
		t.Errorf("%+v %v, user %q", v, err, data.User)
	}
	if _, err := b.enrol(m, "teacher", certificateRequest(t)); err != nil {
		t.Fatal(err)
	}
	if v, _ := b.Verify(t.Context(), verifier, "console", token(t, b.enter(m, "teacher")), "192.0.2.1"); v.OK {
		t.Error("the verifier of before the enrolment still answers")
	}
}

func TestEndHooksAreReported(t *testing.T) {
	t.Parallel()
	b, m, e, _ := onDCV(t)
	report := func(in agentapi.Report) greenroom.AgentFacts {
		t.Helper()
		if _, err := b.Report(t.Context(), e.AgentToken, in); err != nil {
			t.Fatal(err)
		}
		got, _ := b.Meeting(t.Context(), m.ID)
		return got.Seat("teacher").Desktop.Agent
	}
	if a := report(agentapi.Report{Ready: true, EndHooks: true, Ended: true}); !a.EndHooks || !a.EndedAt.IsZero() {
		t.Errorf("nothing ends yet: %+v", a)
	}
	b.stand(m.ID, "teacher", greenroom.Terminating)
	if err := b.AgentSessionData(t.Context(), e.AgentToken, "s3://bucket/a"); err != nil {
		t.Errorf("session data of a desktop that goes: %v", err)
	}
	if a := report(agentapi.Report{Ready: true, EndHooks: true, Ended: true}); a.EndedAt.IsZero() || time.Since(a.EndedAt) > time.Minute {
		t.Errorf("%+v", a)
	}
}

// TestAVisitNeedsAFreshProof asks for one when there is none.
func TestAVisitNeedsAFreshProof(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := b.schedule()
	b.stand(m.ID, "teacher", greenroom.Ready)
	b.alter(m.ID, func(m *greenroom.Meeting) {
		m.Blueprint.Protocol = greenroom.DCV
		m.Seat("teacher").Desktop.Trust = greenroom.Trust{}
	})
	if address, err := b.Visit(t.Context(), m.ID, "teacher", agentapi.Host); address != "" || !errors.Is(err, greenroom.ErrConflict) {
		t.Errorf("sent to %q: %v", address, err)
	}
	is, _ := b.Meeting(t.Context(), m.ID)
	if seat := is.Seat("teacher"); seat.Desktop.Trust.WantedAt.IsZero() || !seat.AskedAt.IsZero() {
		t.Errorf("a look was wanted at %v, and the participant asked at %v", seat.Desktop.Trust.WantedAt, seat.AskedAt)
	}
	b.alter(m.ID, func(m *greenroom.Meeting) { m.Seat("teacher").Desktop.Trust.ProvedAt = time.Now() })
	if address, err := b.Visit(t.Context(), m.ID, "teacher", agentapi.Host); address == "" || err != nil {
		t.Errorf("with a fresh proof: %q, %v", address, err)
	}
}
