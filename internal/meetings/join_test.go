package meetings_test

import (
	"strings"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/agent/agentapi"
	"greenroom/internal/meetings"
)

// TestNobodyIsSentToADesktopWhoseProofHasExpired enters one desktop at each state of its proof.
func TestNobodyIsSentToADesktopWhoseProofHasExpired(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		trust    greenroom.Trust
		in       bool
		canEnter bool // as the lobby is told
		message  string
	}{
		"fresh":                      {greenroom.Trust{ProvedAt: time.Now().Add(-14 * time.Second)}, true, true, ""},
		"fresh, and one look failed": {greenroom.Trust{ProvedAt: time.Now().Add(-10 * time.Second), Failed: 1}, true, true, ""},
		"expired":                    {greenroom.Trust{ProvedAt: time.Now().Add(-16 * time.Second)}, false, true, "is being checked before"},
		"expired, in doubt":          {greenroom.Trust{ProvedAt: time.Now().Add(-16 * time.Second), Failed: 2}, false, false, "has stopped answering"},
	} {
		for _, phase := range []greenroom.Phase{greenroom.Ready, greenroom.InUse} {
			b := setup(t)
			m := b.schedule()
			b.stand(m.ID, "teacher", phase)
			m = b.alter(m.ID, func(m *greenroom.Meeting) { m.Seat("teacher").Desktop.Trust = tt.trust })
			key := m.Seat("teacher").Key
			st, err := b.Standing(t.Context(), m.ID, "teacher", key)
			if err != nil || st.CanEnter != tt.canEnter || st.Failing == tt.canEnter {
				t.Errorf("%s, %s: the lobby says %+v, %v", name, phase, st, err)
			}
			st, err = b.Enter(t.Context(), m.ID, "teacher", key, "192.0.2.1")
			if err != nil || (st.URL != "") != tt.in || !strings.Contains(st.Message, tt.message) {
				t.Errorf("%s, %s: %+v, %v", name, phase, st, err)
			}
			is, _ := b.Meeting(t.Context(), m.ID)
			if asked := is.Seat("teacher").AskedAt; asked.IsZero() != tt.in {
				t.Errorf("%s, %s: a look was asked for at %v", name, phase, asked)
			}
		}
	}
}

// TestTheWayInWaitsForAFreshProof has the look come while somebody enters.
func TestTheWayInWaitsForAFreshProof(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.ProofWait = meetings.UsualProofWait
	m := b.schedule()
	b.stand(m.ID, "teacher", greenroom.Ready)
	m = b.alter(m.ID, func(m *greenroom.Meeting) { m.Seat("teacher").Desktop.Trust = greenroom.Trust{} })
	proved := make(chan struct{})
	go func() {
		defer close(proved)
		for {
			is, err := b.store.Meeting(t.Context(), m.ID)
			if err != nil {
				t.Error(err)
				return
			}
			if is.Seat("teacher").AskedAt.IsZero() {
				continue
			}
			is.Seat("teacher").Desktop.Trust.ProvedAt = time.Now()
			if _, err := b.store.Update(t.Context(), is, nil); err == nil {
				return
			}
		}
	}()
	st, err := b.Enter(t.Context(), m.ID, "teacher", m.Seat("teacher").Key, "192.0.2.1")
	<-proved
	if err != nil || st.URL == "" {
		t.Errorf("%+v, %v", st, err)
	}
}

// TestReportsOfADesktopInDoubtAreSaved, all of them: that an agent lives is evidence.
func TestReportsOfADesktopInDoubtAreSaved(t *testing.T) {
	t.Parallel()
	for name, failed := range map[string]int{"in doubt": 1, "well": 0} {
		b := setup(t)
		m, e, _ := b.ready()
		at := time.Now().Add(-6 * time.Second).UTC().Round(time.Microsecond)
		b.alter(m.ID, func(m *greenroom.Meeting) {
			m.Seat("teacher").Desktop.Agent.ReportedAt, m.Seat("teacher").Desktop.Trust.Failed = at, failed
			m.Seat("teacher").Desktop.Agent.ReadyAt = at
		})
		if _, err := b.Report(t.Context(), e.AgentToken, agentapi.Report{Ready: true}); err != nil {
			t.Fatal(err)
		}
		is, _ := b.Meeting(t.Context(), m.ID)
		if saved := is.Seat("teacher").Desktop.Agent.ReportedAt.After(at); saved != (failed > 0) {
			t.Errorf("%s: saved %t", name, saved)
		}
	}
}
