package httpapi

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"greenroom"
	"greenroom/internal/meetings"
)

// TestStandingAsItWasEver: programs that were written for an earlier version read the same document.
func TestStandingAsItWasEver(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 12, 1, 15, 0, 0, 0, time.UTC)
	got, err := json.Marshal(standing(meetings.Standing{
		Meeting: "k3v9m2x7c4p8q1r5", Title: "Algebra \"1\"", Seat: "student", Role: "student", Name: "Zoë", State: greenroom.Preparing, Phase: greenroom.Booting,
		Message: "Your desktop is starting.", Wanted: true, StartsAt: at, EndsAt: at.Add(time.Hour), OpensAt: at.Add(-10 * time.Minute),
		TimeZone: "UTC", VideoURL: "https://video.test/a?b=c", Estimate: 1500 * time.Millisecond,
		Stages: []meetings.Stage{{Phase: greenroom.Launching, Done: true, Since: at, Expected: 2 * time.Second}, {Phase: greenroom.Booting, Current: true}},
	}))
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"meeting":"k3v9m2x7c4p8q1r5","title":"Algebra \"1\"","seat":"student","role":"student","name":"Zoë","state":"preparing","phase":"booting",` +
		`"message":"Your desktop is starting.","can_enter":false,"wanted":true,"failing":false,"estimate":1.5,` +
		`"starts_at":"2026-12-01T15:00:00Z","ends_at":"2026-12-01T16:00:00Z","opens_at":"2026-12-01T14:50:00Z","time_zone":"UTC","video_url":"https://video.test/a?b=c",` +
		`"stages":[{"phase":"launching","done":true,"current":false,"since":"2026-12-01T15:00:00Z","expected":2},{"phase":"booting","done":false,"current":true,"since":null,"expected":0}]}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if empty, err := json.Marshal(standing(meetings.Standing{})); err != nil || !json.Valid(empty) || !cmp.Equal(standing(meetings.Standing{}).Stages == nil, false) {
		t.Errorf("without stages: %s, %v", empty, err)
	}
}
