package web

import (
	"testing"

	"greenroom"
)

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
