package plan_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/plan"
)

// twoFamilies is a meeting whose first desktop has both addresses and is in that phase.
func twoFamilies(phase greenroom.Phase, now time.Time) (greenroom.Meeting, plan.Effect) {
	m := greenroom.Meeting{ID: "k3v9m2x7c4p8q1r5", StartsAt: now.Add(time.Minute), EndsAt: now.Add(time.Hour), Seats: []greenroom.Seat{{ID: "teacher", Role: "teacher"}}}
	m.Blueprint = greenroom.Blueprint{Name: "default", Provider: greenroom.ProviderEC2, Protocol: "dcv", Agent: "none"}
	s := &m.Seats[0]
	s.Desktop = greenroom.Desktop{Phase: phase, Attempt: 1, InstanceID: "i-0123456789abcdef0", Hostname: "i-0123456789abcdef0.desk.example.com",
		Address: "192.0.2.1", Address6: "2001:db8::1", KillAt: now.Add(12 * time.Hour), Timings: map[greenroom.Phase]time.Time{greenroom.Launching: now, phase: now}}
	return m, plan.Effect{Do: plan.Prove, Handle: m.Handle(s)}
}

func sight(at time.Time, narrow bool) *greenroom.Proof {
	return &greenroom.Proof{OK: true, Narrow: narrow, At: at, Steps: []greenroom.ProofStep{
		{Name: "dns", OK: true}, {Name: "tls", OK: true}, {Name: "page", OK: true}, {Name: "ipv6", OK: !narrow, Detail: "connection refused"}}}
}

// TestFamilyThatDoesNotAnswerIsLeftOut: two looks in a row take the address out of the name, before and after the desktop is ready.
func TestFamilyThatDoesNotAnswerIsLeftOut(t *testing.T) {
	t.Parallel()
	for _, phase := range []greenroom.Phase{greenroom.Proving, greenroom.Ready, greenroom.InUse} {
		t.Run(string(phase), func(t *testing.T) {
			t.Parallel()
			now := time.Date(2026, 12, 1, 15, 0, 0, 0, time.UTC)
			m, prove := twoFamilies(phase, now)
			d := &m.Seats[0].Desktop
			settle := func(o plan.Outcome) []greenroom.Event {
				t.Helper()
				now = now.Add(time.Second)
				events, faults := plan.Settle(&m, "desk.example.com", []plan.Outcome{o}, now)
				if len(faults) > 0 {
					t.Fatal(faults)
				}
				return events
			}
			settle(plan.Outcome{Effect: prove, Proof: sight(now, true)})
			if d.Address6 == "" || d.Rename || phase == greenroom.Proving && d.Phase != greenroom.Proving {
				t.Fatalf("one look is a verdict: %+v", d)
			}
			events := settle(plan.Outcome{Effect: prove, Proof: sight(now, true)})
			if d.Address6 != "" || !d.Rename || d.Address != "192.0.2.1" || d.Phase != phase {
				t.Fatalf("after two looks: %+v", d)
			}
			if text := fmt.Sprint(events); !strings.Contains(text, "2001:db8::1") || !strings.Contains(text, "connection refused") {
				t.Errorf("the timeline says %s", text)
			}
			next, err := plan.Plan(plan.Snapshot{Meeting: m, Zone: "desk.example.com"}, now.Add(time.Second))
			if err != nil {
				t.Fatal(err)
			}
			publish := false
			for _, e := range next.Effects {
				publish = publish || e.Do == plan.Publish
			}
			if !publish {
				t.Errorf("the record is not written again: %+v", next.Effects)
			}
			settle(plan.Outcome{Effect: plan.Effect{Do: plan.Publish, Handle: prove.Handle}, Err: fmt.Errorf("busy")})
			if !d.Rename || d.Phase != phase {
				t.Errorf("a failed write ends the wish: %+v", d)
			}
			settle(plan.Outcome{Effect: plan.Effect{Do: plan.Publish, Handle: prove.Handle}})
			if d.Rename || d.Phase != phase {
				t.Errorf("after the write: %+v", d)
			}
			settle(plan.Outcome{Effect: prove, Proof: &greenroom.Proof{OK: true, At: now, Steps: sight(now, false).Steps[:3]}})
			if !d.Enterable() {
				t.Errorf("it is not ready over IPv4: %+v", d)
			}
		})
	}
}

func TestFamilyThatAnswersAgainStays(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 12, 1, 15, 0, 0, 0, time.UTC)
	m, prove := twoFamilies(greenroom.Ready, now)
	for i := range 6 {
		now = now.Add(time.Second)
		plan.Settle(&m, "desk.example.com", []plan.Outcome{{Effect: prove, Proof: sight(now, i%2 == 0)}}, now)
	}
	if d := m.Seats[0].Desktop; d.Address6 != "2001:db8::1" || d.Rename {
		t.Errorf("single looks took the address out: %+v", d)
	}
}

// TestUntriedProofNeedsAnAgent: where this machine has no route to a desktop, its agent's word counts, and nothing else does.
func TestUntriedProofNeedsAnAgent(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 12, 1, 15, 0, 0, 0, time.UTC)
	for agent, ready := range map[string]bool{"none": false, "greenroom": true} {
		m, prove := twoFamilies(greenroom.Proving, now)
		m.Blueprint.Agent = agent
		proof := sight(now, false)
		proof.Untried = true
		events, _ := plan.Settle(&m, "desk.example.com", []plan.Outcome{{Effect: prove, Proof: proof}}, now)
		if got := m.Seats[0].Desktop.Phase == greenroom.Ready; got != ready {
			t.Errorf("agent %s: ready is %t", agent, got)
		}
		if ready && !strings.Contains(fmt.Sprint(events), "no IPv6 route") {
			t.Errorf("the timeline says %v", events)
		}
	}
}

// TestDesktopOfTheVersionBefore: what knew one address reads unchanged, and nothing is added to what has one.
func TestDesktopOfTheVersionBefore(t *testing.T) {
	t.Parallel()
	const stored = `{"phase":"ready","attempt":1,"instance_id":"i-0123456789abcdef0","hostname":"i-0123456789abcdef0.desk.localhost","address":"127.0.1.7"}`
	var d greenroom.Desktop
	if err := json.Unmarshal([]byte(stored), &d); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(d.Addresses()); got != "[127.0.1.7]" {
		t.Errorf("addresses are %s", got)
	}
	if again, err := json.Marshal(d); err != nil || string(again) != stored {
		t.Errorf("written back as %s, %v", again, err)
	}
}
