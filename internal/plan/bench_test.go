package plan_test

import (
	"fmt"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/plan"
)

// BenchmarkPlan decides a whole calendar once: meetings that wait, boot, are used and end, in equal parts. The
// physical limit it is held against is copying the same meetings, which a decision cannot do without.
func BenchmarkPlan(b *testing.B) {
	for _, n := range []int{10, 1_000, 50_000} {
		calendar := calendar(n)
		b.Run(fmt.Sprintf("%d/Copy", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				for i := range calendar {
					_ = calendar[i].Meeting.Clone()
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/meeting")
		})
		b.Run(fmt.Sprintf("%d/Plan", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				for i := range calendar {
					_ = mustPlan(calendar[i], start.Add(5*time.Minute))
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/meeting")
		})
	}
}

func calendar(n int) []plan.Snapshot {
	kinds := []greenroom.Phase{greenroom.Planned, greenroom.Booting, greenroom.InUse, greenroom.Ready}
	out := make([]plan.Snapshot, n)
	for i := range out {
		m := ok(kinds[i%len(kinds)])
		m.ID = greenroom.NewMeetingID()
		if i%len(kinds) == 3 {
			plan.End(&m, greenroom.EndedByHost, "", nil, start)
		}
		out[i] = plan.Snapshot{Meeting: m, Zone: "desk.localhost", Observed: true, Instances: listed(&m)}
	}
	return out
}
