package greenroom_test

import (
	"testing"

	"greenroom"
)

// TestATimelineIsBounded: what people can cause at will is kept a thousand times and counted after that; what greenroom does is
// always kept.
func TestATimelineIsBounded(t *testing.T) {
	t.Parallel()
	var m greenroom.Meeting
	kept := 0
	for range greenroom.MaxRepeats + 50 {
		kept += len(m.Bound([]greenroom.Event{{Kind: greenroom.EventEntered}, {Kind: greenroom.EventPhase}}))
	}
	if want := 2*greenroom.MaxRepeats + 50; kept != want || m.Unlisted != 50 {
		t.Errorf("kept %d of them, want %d; not listed %d, want 50", kept, want, m.Unlisted)
	}
}
