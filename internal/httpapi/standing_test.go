package httpapi

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"greenroom"
	"greenroom/internal/httpapi/wire"
	"greenroom/internal/meetings"
)

// standing is the typed form of what appendStanding writes.
func standing(s meetings.Standing) wire.Standing {
	out := wire.Standing{
		Meeting: s.Meeting, Title: s.Title, Seat: s.Seat, Role: s.Role, Name: s.Name, State: s.State, Phase: s.Phase, Message: s.Message,
		CanEnter: s.CanEnter, Wanted: s.Wanted, Failing: s.Failing, Estimate: seconds(s.Estimate),
		StartsAt: s.StartsAt, EndsAt: s.EndsAt, OpensAt: s.OpensAt, TimeZone: s.TimeZone, VideoURL: s.VideoURL,
		Stages: make([]wire.Stage, 0, len(s.Stages)),
	}
	for _, st := range s.Stages {
		out.Stages = append(out.Stages, wire.Stage{Phase: st.Phase, Done: st.Done, Current: st.Current, Since: instant(st.Since), Expected: seconds(st.Expected)})
	}
	return out
}

func TestStandingIsWrittenAsItsType(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := func(name string) string {
			return rapid.OneOf(rapid.String(), rapid.StringMatching(`[ -~]*`)).Draw(t, name)
		}
		instant := func(name string) time.Time {
			return time.Unix(rapid.Int64Range(0, 1<<35).Draw(t, name), rapid.Int64Range(0, 999_999_999).Draw(t, name+"_ns")).UTC()
		}
		span := func(name string) time.Duration {
			return time.Duration(rapid.Int64Range(0, int64(48*time.Hour)).Draw(t, name))
		}
		s := meetings.Standing{
			Meeting: text("meeting"), Title: text("title"), Seat: text("seat"), Role: text("role"), Name: text("name"), Message: text("message"), TimeZone: text("zone"), VideoURL: text("video"),
			State: greenroom.Preparing, Phase: greenroom.Booting, CanEnter: rapid.Bool().Draw(t, "enter"), Wanted: rapid.Bool().Draw(t, "wanted"), Failing: rapid.Bool().Draw(t, "failing"),
			StartsAt: instant("starts"), EndsAt: instant("ends"), OpensAt: instant("opens"), Estimate: span("estimate"),
		}
		for range rapid.IntRange(0, 3).Draw(t, "stages") {
			st := meetings.Stage{Phase: greenroom.Naming, Done: rapid.Bool().Draw(t, "done"), Current: rapid.Bool().Draw(t, "current"), Expected: span("expected")}
			if rapid.Bool().Draw(t, "entered") {
				st.Since = instant("since")
			}
			s.Stages = append(s.Stages, st)
		}
		want, err := json.Marshal(standing(s))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want)+"\n", string(appendStanding(nil, s))); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
		var back wire.Standing
		if err := json.Unmarshal(appendStanding(nil, s), &back); err != nil {
			t.Fatal(err)
		}
	})
}
