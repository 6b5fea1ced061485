package web

import (
	"strings"
	"testing"
	"time"

	"greenroom"
)

// TestAwayIsNotInUse names a desktop in use by whether its person is there.
func TestAwayIsNotInUse(t *testing.T) {
	t.Parallel()
	left := time.Date(2026, 12, 1, 19, 55, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		agent greenroom.AgentFacts
		want  pill
	}{
		"connected":                    {greenroom.AgentFacts{Connections: 1, DisconnectedAt: left}, pill{"Connected", good}},
		"left":                         {greenroom.AgentFacts{DisconnectedAt: left}, pill{"Away since 20:55", calm}},
		"a desktop that cannot report": {greenroom.AgentFacts{}, pill{"In use", good}},
	} {
		d := greenroom.Desktop{Phase: greenroom.InUse, Agent: tt.agent}
		if got := phasePill(&d, "Europe/Berlin"); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

// TestEveryStateHasWords finds a state that falls back to another's word, and what a waiting meeting's organiser reads.
func TestEveryStateHasWords(t *testing.T) {
	t.Parallel()
	seen := map[string]greenroom.State{}
	for _, s := range greenroom.States() {
		word := statePill(s, greenroom.Completed).Word
		if other, ok := seen[word]; ok {
			t.Errorf("%s and %s are both %q", s, other, word)
		}
		seen[word] = s
	}
	m := greenroom.Meeting{StartsAt: cannedNow, EndsAt: cannedNow.Add(time.Hour), TimeZone: "UTC", Seats: []greenroom.Seat{{ID: "teacher", Role: "teacher", Desktop: greenroom.Desktop{Phase: greenroom.Gone}}}}
	if got := next(&m, cannedNow); !strings.Contains(got, "Nobody has come") || !strings.Contains(got, clock(m.EndsAt, "UTC")) {
		t.Errorf("a waiting meeting says %q", got)
	}
}

func TestEveryStateAndPhaseHasATone(t *testing.T) {
	t.Parallel()
	for _, s := range greenroom.States() {
		if stateTones[s] == "" {
			t.Errorf("the state %q has no tone", s)
		}
	}
	for _, p := range greenroom.Phases() {
		if phaseTones[p] == "" {
			t.Errorf("the phase %q has no tone", p)
		}
	}
}
