package engine_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/store"
	"greenroom/internal/store/storetest"
	"greenroom/internal/testenv/pgtest"
)

// openMeetings are under way while all others are over.
const openMeetings = 1000

// growthSizes are how many meetings are stored. The last one takes minutes and gigabytes: it is for GREENROOM_BENCH_FULL=1.
func growthSizes() []int {
	sizes := []int{openMeetings, 10_000, 100_000}
	if os.Getenv("GREENROOM_BENCH_FULL") == "1" {
		sizes = append(sizes, 1_000_000)
	}
	return sizes
}

// Fills with meetings from $1 to below $2 that are over, each with three events.
var fills = map[string][]string{
	"SQLite": {
		`with recursive g(n) as (select $1 union all select n + 1 from g where n + 1 < $2)
		 insert into meetings (id, rev, state, starts_at, wake_at, wake_job, last_seq, closed, doc)
		 select printf('over%012d', n), 20, 'ended', $3 + n * 1000000, null, 0, 3, true, $4 from g`,
		`with recursive g(n) as (select $1 union all select n + 1 from g where n + 1 < $2)
		 insert into events (meeting_id, seq, at, kind, doc)
		 select printf('over%012d', n), s.value, $3 + n * 1000000 + s.value, 'phase', $4 from g, json_each('[1,2,3]') s`,
	},
	"PostgreSQL": {
		`insert into meetings (id, rev, state, starts_at, wake_at, wake_job, last_seq, closed, doc)
		 select 'over' || lpad(n::text, 12, '0'), 20, 'ended', $3::bigint + n * 1000000, null, 0, 3, true, $4 from generate_series($1::bigint, $2::bigint - 1) n`,
		`insert into events (meeting_id, seq, at, kind, doc)
		 select 'over' || lpad(n::text, 12, '0'), s, $3::bigint + n * 1000000 + s, 'phase', $4 from generate_series($1::bigint, $2::bigint - 1) n, generate_series(1, 3) s`,
		`vacuum (analyze) meetings`, `vacuum (analyze) events`, `checkpoint`, // as it would be a while later
	},
}

// BenchmarkGrowth measures what everyday work costs when more and more meetings that are over are stored: x-1000 is the
// cost by that with none.
func BenchmarkGrowth(b *testing.B) {
	b.Run("SQLite", func(b *testing.B) {
		r := openRig(b, rigOptions{})
		growth(b, r, r.store.DB(), fills["SQLite"])
	})
	b.Run("PostgreSQL", func(b *testing.B) {
		url := pgtest.Start(b)
		db, err := sql.Open("pgx", url) // the store's own connections have no time for this
		if err != nil {
			b.Fatal(err)
		}
		defer db.Close()
		growth(b, openRig(b, rigOptions{url: url}), db, fills["PostgreSQL"])
	})
}

func growth(b *testing.B, r *rig, db *sql.DB, fill []string) {
	now := time.Now()
	live := make([]greenroom.Meeting, openMeetings)
	for i := range live {
		live[i] = r.create(b, storetest.Meeting(now.Add(time.Hour+time.Duration(i)*time.Second)))
	}
	doc, err := store.Marshal(storetest.Meeting(now))
	if err != nil {
		b.Fatal(err)
	}
	event, err := store.Marshal(greenroom.Event{At: now, Kind: greenroom.EventPhase, Role: "teacher", Message: "something happened"})
	if err != nil {
		b.Fatal(err)
	}
	first := map[string]float64{}
	stored := openMeetings
	for _, size := range growthSizes() {
		for ; stored < size; stored += min(100_000, size-stored) {
			to := stored + min(100_000, size-stored)
			for i, q := range fill {
				var args []any
				if i < 2 {
					args = []any{stored, to, now.AddDate(-2, 0, 0).UnixMicro(), [][]byte{doc, event}[i]}
				}
				if _, err := db.ExecContext(b.Context(), q, args...); err != nil {
					b.Fatal(err)
				}
			}
		}
		measure := func(name string, op func(b *testing.B)) {
			b.Run(fmt.Sprintf("%d/%s", size, name), func(b *testing.B) {
				op(b)
				cost := float64(b.Elapsed()) / float64(b.N)
				if size == openMeetings {
					first[name] = cost
				}
				if first[name] > 0 {
					b.ReportMetric(cost/first[name], "x-1000")
				}
			})
		}
		for i := range live { // once each, so that what a checkpoint makes dear is behind us
			if live[i], err = r.store.Update(b.Context(), live[i], nil); err != nil {
				b.Fatal(err)
			}
		}
		measure("Transition", func(b *testing.B) { transition(b, r, live) })
		measure("Due", func(b *testing.B) {
			for b.Loop() {
				if due, err := r.store.Due(b.Context(), now.Add(24*time.Hour), 100); err != nil || len(due) != 100 {
					b.Fatal(len(due), err)
				}
			}
		})
		for name, f := range map[string]store.Filter{
			"List": {}, "ListNewest": {Newest: true}, "ListByState": {State: greenroom.Scheduled}, "ListFrom": {From: now},
		} {
			measure(name, func(b *testing.B) {
				for b.Loop() {
					if page, _, err := r.store.List(b.Context(), f); err != nil || len(page) != store.DefaultLimit {
						b.Fatal(len(page), err)
					}
				}
			})
		}
		measure("RecentEvents", func(b *testing.B) {
			for b.Loop() {
				if _, err := r.store.RecentEvents(b.Context(), greenroom.EventPhase, 50); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// transition saves the open meetings in turn, 64 at a time.
func transition(b *testing.B, r *rig, live []greenroom.Meeting) {
	const hands = 64
	var left atomic.Int64
	left.Store(int64(b.N))
	done := make(chan struct{}, hands)
	b.ResetTimer()
	for h := range hands {
		go func() {
			defer func() { done <- struct{}{} }()
			for i := h; left.Add(-1) >= 0; i += hands {
				m := &live[h+(i/hands*hands)%(len(live)/hands*hands)]
				m.WakeAt = m.WakeAt.Add(time.Second)
				saved, err := r.store.Update(context.WithoutCancel(b.Context()), *m, []greenroom.Event{{At: time.Now(), Kind: greenroom.EventPhase, Message: "moved"}})
				if err != nil {
					b.Error(err)
					return
				}
				*m = saved
			}
		}()
	}
	for range hands {
		<-done
	}
}
