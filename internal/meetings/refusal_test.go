package meetings_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"greenroom"
	"greenroom/internal/agent/agentapi"
	"greenroom/internal/meetings"
)

// TestWhatIsRefusedIsOnTheTimeline has everything that claims to be a desktop, or to be let into one, and is not. Each is
// refused, leaves the desktop as it was, and has one entry. None makes the plan think.
func TestWhatIsRefusedIsOnTheTimeline(t *testing.T) {
	t.Parallel()
	made := func(secret string) string { return secret[:len(secret)-4] + "AAAA" }
	forbidden := func(err error) bool { return errors.Is(err, greenroom.ErrForbidden) }
	invalid := func(err error) bool { _, ok := errors.AsType[*greenroom.InvalidError](err); return ok }
	for name, c := range map[string]struct {
		do   func(b *bundle, m greenroom.Meeting, e agentapi.Enrolled, verifier string) error
		good func(error) bool
		says string
	}{
		"a spent secret, another key": {func(b *bundle, m greenroom.Meeting, _ agentapi.Enrolled, _ string) error {
			_, err := b.enrol(m, "teacher", certificateRequest(b.t))
			return err
		}, forbidden, "An enrolment with a spent secret or from another machine was refused."},
		"an enrolment with a made-up secret": {func(b *bundle, m greenroom.Meeting, _ agentapi.Enrolled, _ string) error {
			_, err := b.Enrol(b.t.Context(), m.ID+".teacher.1.AAAA", agentapi.Enrolment{InstanceID: "i-0123456789abcdef0", CertificateRequest: certificateRequest(b.t)})
			return err
		}, forbidden, "A call with a wrong secret was refused."},
		"a report with a made-up secret": {func(b *bundle, _ greenroom.Meeting, e agentapi.Enrolled, _ string) error {
			_, err := b.Report(b.t.Context(), made(e.AgentToken), agentapi.Report{Error: "it is over"})
			return err
		}, forbidden, "A call with a wrong secret was refused."},
		"a report with the verifier's secret": {func(b *bundle, _ greenroom.Meeting, _ agentapi.Enrolled, verifier string) error {
			_, err := b.Report(b.t.Context(), verifier, agentapi.Report{Error: "it is over"})
			return err
		}, forbidden, "A call with a wrong secret was refused."},
		"a report of too many connections": {func(b *bundle, _ greenroom.Meeting, e agentapi.Enrolled, _ string) error {
			_, err := b.Report(b.t.Context(), e.AgentToken, agentapi.Report{Error: "it is over", Connections: make([]agentapi.Connection, agentapi.MaxConnections+1)})
			return err
		}, invalid, "A report of too many connections was refused."},
		"a certificate for another key": {func(b *bundle, _ greenroom.Meeting, e agentapi.Enrolled, _ string) error {
			_, err := b.Certificate(b.t.Context(), e.AgentToken, agentapi.CertificateRequest{CertificateRequest: certificateRequest(b.t)})
			return err
		}, forbidden, "A certificate for a key that did not enrol was refused."},
		"session data that an end hook made up": {func(b *bundle, _ greenroom.Meeting, e agentapi.Enrolled, _ string) error {
			return b.AgentSessionData(b.t.Context(), e.AgentToken, "javascript:alert(1)\x1b[2J")
		}, invalid, "Session data was refused: the address is invalid."},
		"a token that nobody gave": {func(b *bundle, _ greenroom.Meeting, _ agentapi.Enrolled, verifier string) error {
			return verdict(b.Verify(b.t.Context(), verifier, "console", "nonsense", "192.0.2.7"))
		}, forbidden, "A token was refused: the token is not known."},
		"a token for another session": {func(b *bundle, m greenroom.Meeting, _ agentapi.Enrolled, verifier string) error {
			return verdict(b.Verify(b.t.Context(), verifier, "other", token(b.t, b.enter(m, "teacher")), "192.0.2.7"))
		}, forbidden, "A token was refused: no such session."},
		"a question that is none": {func(b *bundle, _ greenroom.Meeting, _ agentapi.Enrolled, verifier string) error {
			return verdict(b.RefuseQuestion(b.t.Context(), verifier, "two tokens"))
		}, forbidden, "A malformed question about a token was refused."},
		"a question with a made-up secret": {func(b *bundle, _ greenroom.Meeting, _ agentapi.Enrolled, verifier string) error {
			return verdict(b.Verify(b.t.Context(), made(verifier), "console", "nonsense", "192.0.2.7"))
		}, forbidden, "A call with a wrong secret was refused."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			m, e, verifier := b.ready()
			before, kicks := m.Seat("teacher").Desktop.Agent, b.kicks.Load()
			if err := c.do(b, m, e, verifier); !c.good(err) {
				t.Errorf("it is answered with %v", err)
			}
			if diff := cmp.Diff([]string{c.says}, b.told(m.ID, greenroom.EventRefused)); diff != "" {
				t.Errorf("the timeline (-want +got):\n%s", diff)
			}
			after, err := b.Meeting(t.Context(), m.ID)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(before, after.Seat("teacher").Desktop.Agent); diff != "" {
				t.Errorf("the desktop (-before +after):\n%s", diff)
			}
			if entered := len(b.told(m.ID, greenroom.EventEntered)); int(b.kicks.Load()-kicks) != entered { // who is let in is news
				t.Errorf("%d passes are asked for", b.kicks.Load()-kicks)
			}
		})
	}
}

// verdict is ErrForbidden for a no.
func verdict(v meetings.Verdict, err error) error {
	if err == nil && !v.OK && v.Message != "" {
		return greenroom.ErrForbidden
	}
	return fmt.Errorf("verdict %+v: %w", v, err)
}

// TestMadeUpSecretsOfWhatIsNotThereLeaveNoTrace: nobody can fill the timelines of others, or learn from it what exists.
func TestMadeUpSecretsOfWhatIsNotThereLeaveNoTrace(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m, _, _ := b.ready()
	for _, secret := range []string{m.ID + ".nobody.1.x", m.ID + ".teacher.2.x", m.ID + ".teacher.0.x", "zzzzzzzzzzzzzzzz.teacher.1.x"} {
		if _, err := b.Certificate(t.Context(), secret, agentapi.CertificateRequest{CertificateRequest: certificateRequest(t)}); !errors.Is(err, greenroom.ErrForbidden) {
			t.Errorf("%s: %v", secret, err)
		}
	}
	if got := b.told(m.ID, greenroom.EventRefused); len(got) != 0 {
		t.Errorf("the timeline says %q", got)
	}
	for range 1500 {
		if _, err := b.Report(t.Context(), m.ID+".teacher.1.x", agentapi.Report{}); !errors.Is(err, greenroom.ErrForbidden) {
			t.Fatal(err)
		}
	}
	if got := b.told(m.ID, greenroom.EventRefused); len(got) != 4 { // the first, the tenth, the hundredth, the thousandth
		t.Errorf("%d entries", len(got))
	}
	after, err := b.Meeting(t.Context(), m.ID)
	if err != nil {
		t.Fatal(err)
	}
	if writes := after.Rev - m.Rev; writes > 1000 {
		t.Errorf("%d writes", writes)
	}
}
