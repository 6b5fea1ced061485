package engine_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/store/storetest"
	"greenroom/internal/testenv/pgtest"
)

// BenchmarkReplicas measures durable saves with their wakes through one, two and four replicas on one PostgreSQL
// server. On a machine whose processors are shared with the server it shows what replicas cost each other.
func BenchmarkReplicas(b *testing.B) {
	var alone float64
	for _, n := range []int{1, 2, 4} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			rate := savesThrough(b, n)
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

func savesThrough(b *testing.B, replicas int) float64 {
	url := pgtest.Start(b)
	rigs := make([]*rig, replicas)
	for i := range rigs {
		rigs[i] = openRig(b, rigOptions{url: url})
	}
	var worker atomic.Int64
	b.SetParallelism(64)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		r := rigs[int(worker.Add(1))%replicas]
		m := r.create(b, storetest.Meeting(time.Now().Add(time.Hour)))
		for pb.Next() {
			m.WakeAt = m.WakeAt.Add(time.Second)
			var err error
			if m, err = r.store.Update(b.Context(), m, []greenroom.Event{{At: time.Now(), Kind: greenroom.EventPhase, Message: "moved"}}); err != nil {
				b.Error(err)
				return
			}
		}
	})
	return float64(b.N) / b.Elapsed().Seconds()
}
