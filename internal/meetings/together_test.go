package meetings_test

import (
	"encoding/json"
	"errors"
	"testing"

	"greenroom"
	"greenroom/internal/agent/agentapi"
)

// TestMachinesThatStartTogetherEnrolAsThemselves: they share their secret, and which machine it is decides for whom it speaks.
func TestMachinesThatStartTogetherEnrolAsThemselves(t *testing.T) {
	t.Parallel()
	const teacher, student = "i-0123456789abcdef0", "i-0123456789abcdef1"
	b := setup(t)
	m := b.stand(b.schedule().ID, "teacher", greenroom.Booting)
	together := func(d *greenroom.Desktop, id string) {
		d.Phase, d.InstanceID, d.Hostname, d.Launch.Seats = greenroom.Booting, id, id+".desk.localhost", []string{"teacher.1", "student.1"}
		d.Attempt, d.KillAt = 1, m.Seat("teacher").Desktop.KillAt
	}
	b.alter(m.ID, func(m *greenroom.Meeting) {
		together(&m.Seat("teacher").Desktop, teacher)
		together(&m.Seat("student").Desktop, "") // its machine is not known yet
	})
	m, err := b.Meeting(t.Context(), m.ID)
	if err != nil {
		t.Fatal(err)
	}
	var data [2]agentapi.UserData
	var docs [2]string
	for i, role := range []string{"teacher", "student"} {
		doc, err := b.UserData(&m, m.Seat(role))
		if err != nil {
			t.Fatal(err)
		}
		docs[i] = string(doc)
		if err := json.Unmarshal(doc, &data[i]); err != nil {
			t.Fatal(err)
		}
	}
	if docs[0] != docs[1] || data[0].Role != "" {
		t.Errorf("machines of one call are told different things: %s and %s", docs[0], docs[1])
	}
	enrol := func(instance, request string) (agentapi.Enrolled, error) {
		return b.Enrol(t.Context(), data[0].Secret, agentapi.Enrolment{InstanceID: instance, CertificateRequest: request, Version: "test"})
	}
	first, err := enrol(teacher, certificateRequest(t))
	if err != nil || first.Hostname != teacher+".desk.localhost" {
		t.Fatalf("the teacher's machine: %+v, %v", first, err)
	}
	if _, err := enrol(student, certificateRequest(t)); !errors.Is(err, greenroom.ErrThrottled) {
		t.Errorf("a machine that may be the student's is told: %v", err)
	}
	b.alter(m.ID, func(m *greenroom.Meeting) { together(&m.Seat("student").Desktop, student) })
	second, err := enrol(student, certificateRequest(t))
	if err != nil || second.Hostname != student+".desk.localhost" || second.AgentToken == first.AgentToken {
		t.Fatalf("the student's machine: %+v, %v", second, err)
	}
	for _, id := range []string{teacher, "i-0fffffffffffffff0"} {
		if _, err := enrol(id, certificateRequest(t)); !errors.Is(err, greenroom.ErrForbidden) {
			t.Errorf("another machine as %s: %v", id, err)
		}
	}
	if _, err := b.Report(t.Context(), second.AgentToken, agentapi.Report{Ready: true}); err != nil {
		t.Errorf("the student's agent reports: %v", err)
	}
	// Whose replacement was launched alone has another secret.
	b.alter(m.ID, func(m *greenroom.Meeting) {
		d := &m.Seat("teacher").Desktop
		d.Attempt, d.Launch.Seats, d.Agent = 2, []string{"teacher.2"}, greenroom.AgentFacts{}
	})
	if _, err := enrol(teacher, certificateRequest(t)); !errors.Is(err, greenroom.ErrForbidden) {
		t.Errorf("the old secret serves the replacement: %v", err)
	}
}
