package sqlscheduler_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/store"
	"greenroom/internal/store/storetest"
	"greenroom/internal/testenv/pgtest"
)

// BenchmarkTransitions measures durable saves that move a wake, of many meetings at once, against bare
// transactions that write the same bytes one by one; on PostgreSQL also over many connections at once.
func BenchmarkTransitions(b *testing.B) {
	b.Run("SQLite", func(b *testing.B) {
		dsn := "file:" + filepath.Join(b.TempDir(), "bare.db") + "?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_txlock=immediate"
		transitions(b, rigOptions{}, "sqlite", dsn, 1)
	})
	b.Run("PostgreSQL", func(b *testing.B) {
		transitions(b, rigOptions{url: pgtest.Start(b)}, "pgx", pgtest.Start(b), 1, 16)
	})
}

func transitions(b *testing.B, o rigOptions, driver, dsn string, connections ...int) {
	var bare float64
	for _, n := range connections {
		b.Run(fmt.Sprintf("Bare%d", n), func(b *testing.B) {
			rate := bareTransactions(b, driver, dsn, n)
			if n == 1 {
				bare = rate
			}
		})
	}
	b.Run("Saves", func(b *testing.B) {
		ours := saves(b, openRig(b, o))
		b.ReportMetric(ours, "saves/s")
		if bare > 0 {
			b.ReportMetric(ours/bare, "x-bare1")
		}
	})
}

func bareTransactions(b *testing.B, driver, dsn string, connections int) float64 {
	db, err := sql.Open(driver, dsn)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	blob := map[string]string{"sqlite": "blob", "pgx": "bytea"}[driver]
	if _, err := db.ExecContext(b.Context(), `create table if not exists docs (id text primary key, rev integer, doc `+blob+`)`); err != nil {
		b.Fatal(err)
	}
	m := storetest.Meeting(time.Now())
	doc, err := store.Marshal(m)
	if err != nil {
		b.Fatal(err)
	}
	put, err := db.PrepareContext(b.Context(), `insert into docs (id, rev, doc) values ($1, $2, $3) on conflict (id) do update set rev = excluded.rev, doc = excluded.doc`)
	if err != nil {
		b.Fatal(err)
	}
	defer put.Close()
	var n atomic.Int64
	b.SetParallelism(64)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			i := n.Add(1) // differs every time: SQLite does not write what stays the same
			if _, err := put.ExecContext(b.Context(), fmt.Sprint(i%128), i, doc); err != nil {
				b.Error(err)
			}
		}
	})
	rate := float64(b.N) / b.Elapsed().Seconds()
	b.ReportMetric(rate, "tx/s")
	return rate
}

// saves moves the wakes of many meetings at once, through each of the stores in turn, and returns the rate.
func saves(b *testing.B, rigs ...*rig) float64 {
	var worker atomic.Int64
	b.SetParallelism(64)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		r := rigs[int(worker.Add(1))%len(rigs)]
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

// BenchmarkLateness measures from the wake to the call of Advance, where Advance loads the meeting and saves it
// with its next wake, as in life.
func BenchmarkLateness(b *testing.B) {
	b.Run("1000PerSecond", func(b *testing.B) {
		lateness(b, 5000, func(first time.Time, i int) time.Time { return first.Add(time.Duration(i) * time.Millisecond) })
	})
	b.Run("10000AtOnce", func(b *testing.B) {
		lateness(b, 10_000, func(first time.Time, _ int) time.Time { return first })
	})
}

func lateness(b *testing.B, n int, at func(first time.Time, i int) time.Time) {
	for b.Loop() {
		var mu sync.Mutex
		late := make([]time.Duration, 0, n)
		done := make(chan struct{})
		r := openRig(b, rigOptions{
			lateness: func(d time.Duration) {
				mu.Lock()
				defer mu.Unlock()
				late = append(late, d)
			},
		})
		var left atomic.Int64
		left.Store(int64(n))
		r.advance = func(ctx context.Context, id string) error {
			m, err := r.store.Meeting(ctx, id)
			if err != nil {
				return err
			}
			m.WakeAt = m.WakeAt.Add(time.Hour)
			if _, err = r.store.Update(ctx, m, []greenroom.Event{{At: time.Now(), Kind: greenroom.EventPhase, Message: "moved"}}); err == nil && left.Add(-1) == 0 {
				close(done)
			}
			return err
		}
		first := time.Now().Add(3*time.Second + time.Duration(n)*time.Millisecond)
		var wg sync.WaitGroup
		for part := range 64 {
			wg.Go(func() {
				for i := part; i < n; i += 64 {
					m := storetest.Meeting(first)
					m.WakeAt = at(first, i)
					r.create(b, m)
				}
			})
		}
		wg.Wait()
		if spare := time.Until(first); spare < 0 {
			b.Fatalf("the meetings were made %s too late", -spare)
		}
		r.start(b)
		<-done
		took := time.Since(first)
		slices.Sort(late)
		b.ReportMetric(float64(late[n/2].Microseconds())/1000, "p50-ms")
		b.ReportMetric(float64(late[n*99/100].Microseconds())/1000, "p99-ms")
		b.ReportMetric(took.Seconds(), "all-saved-s")
		b.ReportMetric(rss(b), "rss-MiB")
		r.stop(b)
	}
}

// BenchmarkScheduled measures the memory of a store and its scheduler with 100,000 meetings that are not near.
func BenchmarkScheduled(b *testing.B) {
	for b.Loop() {
		const n = 100_000
		o := rigOptions{path: filepath.Join(b.TempDir(), "greenroom.db")}
		r := openRig(b, o)
		began := time.Now()
		var wg sync.WaitGroup
		for range 256 {
			wg.Go(func() {
				for range n / 256 {
					r.create(b, storetest.Meeting(time.Now().Add(24*time.Hour)))
				}
			})
		}
		wg.Wait()
		b.ReportMetric(time.Since(began).Seconds(), "seed-s")
		r.stop(b)
		began = time.Now()
		r = openRig(b, o)
		b.ReportMetric(float64(time.Since(began).Milliseconds()), "open-ms")
		r.start(b)
		runtime.GC()
		var after runtime.MemStats
		time.Sleep(12 * time.Second) // some looks for what is overdue
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc)/(1<<20), "heap-MiB")
		b.ReportMetric(rss(b), "rss-MiB")
		r.stop(b)
	}
}

// rss is the resident memory of this process in MiB.
func rss(b *testing.B) float64 {
	b.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Skip(err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kib / 1024
		}
	}
	return 0
}
