package web

import (
	"testing"

	"greenroom"
)

func TestEveryKindOfEventHasATone(t *testing.T) {
	t.Parallel()
	for _, k := range greenroom.EventKinds() {
		if eventTones[k] == "" {
			t.Errorf("%s has none", k)
		}
	}
	if len(eventTones) != len(greenroom.EventKinds()) {
		t.Errorf("%d tones for %d kinds", len(eventTones), len(greenroom.EventKinds()))
	}
}
