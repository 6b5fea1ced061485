package sqlscheduler_test

import (
	"fmt"
	"testing"

	"greenroom/internal/testenv/pgtest"
)

// BenchmarkReplicas measures durable saves with their wakes through one, two and four replicas on one PostgreSQL
// server. On a machine whose processors are shared with the server it shows what replicas cost each other.
func BenchmarkReplicas(b *testing.B) {
	var alone float64
	for _, n := range []int{1, 2, 4} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			rate := saves(b, openReplicas(b, n)...)
			if n == 1 {
				alone = rate
			}
			b.ReportMetric(rate, "saves/s")
			if alone > 0 {
				b.ReportMetric(rate/alone, "x-1")
			}
		})
	}
}

func openReplicas(b *testing.B, n int) []*rig {
	url := pgtest.Start(b)
	rigs := make([]*rig, n)
	for i := range rigs {
		rigs[i] = openRig(b, rigOptions{url: url})
	}
	return rigs
}
