package storetest

import (
	"sync/atomic"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/store"
)

// Bench measures the stores that open returns, the same way for each.
func Bench(b *testing.B, open func(b *testing.B) store.Store) {
	b.Run("Create", func(b *testing.B) {
		s := open(b)
		b.SetParallelism(64)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				create(b, s, Meeting(start), event(greenroom.EventScheduled, start))
			}
		})
	})
	b.Run("Update", func(b *testing.B) {
		s := open(b)
		b.SetParallelism(64)
		b.RunParallel(func(pb *testing.PB) {
			m := create(b, s, Meeting(start))
			for pb.Next() {
				m.WakeAt = m.WakeAt.Add(time.Second)
				m = update(b, s, m, event(greenroom.EventPhase, start))
			}
		})
	})
	b.Run("Get", func(b *testing.B) {
		s := open(b)
		some := fill(b, s, 500)
		var n atomic.Int64
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				get(b, s, some[int(n.Add(1))%len(some)])
			}
		})
	})
	b.Run("Due", func(b *testing.B) {
		s := open(b)
		fill(b, s, 500)
		for b.Loop() {
			if _, err := s.Due(b.Context(), start, 100); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// fill creates n meetings and returns their ids.
func fill(b *testing.B, s store.Store, n int) []string {
	b.Helper()
	made := make([]string, n)
	crowd(n, func(i int) { made[i] = create(b, s, Meeting(start.Add(time.Duration(i)*time.Second))).ID })
	return made
}
