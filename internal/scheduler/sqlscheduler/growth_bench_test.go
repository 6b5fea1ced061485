package sqlscheduler_test

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/store"
	"greenroom/internal/store/storetest"
	"greenroom/internal/testenv/pgtest"
)

// openMeetings are open while all others are over; liveMeetings of them have desktops.
const (
	openMeetings = 1000
	liveMeetings = 100
)

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

// side is a store with meetings that are open.
type side struct {
	*rig
	open []greenroom.Meeting
}

func openSide(b *testing.B, o rigOptions, now time.Time) *side {
	b.Helper()
	s := &side{rig: openRig(b, o), open: make([]greenroom.Meeting, openMeetings)}
	for i := range s.open {
		m := storetest.Meeting(now.Add(time.Hour + time.Duration(i)*time.Second))
		if i < liveMeetings {
			m.Seats[0].Desktop.Phase = greenroom.Launching
		}
		s.open[i] = s.create(b, m)
	}
	return s
}

// BenchmarkGrowth measures what everyday work costs when more and more meetings that are over are stored: x-1000 is its
// median cost by that beside a store with none, where the same is done in turn, so that it says little of the rest of the machine.
func BenchmarkGrowth(b *testing.B) {
	now := time.Now()
	b.Run("SQLite", func(b *testing.B) {
		path := filepath.Join(b.TempDir(), "greenroom.db")
		small, large := openSide(b, rigOptions{}, now), openSide(b, rigOptions{path: path}, now)
		db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)")
		if err != nil {
			b.Fatal(err)
		}
		defer db.Close()
		growth(b, small, large, db, fills["SQLite"], now)
	})
	b.Run("PostgreSQL", func(b *testing.B) {
		url := pgtest.Start(b)
		db, err := sql.Open("pgx", url) // the store's own connections have no time for this
		if err != nil {
			b.Fatal(err)
		}
		defer db.Close()
		growth(b, openSide(b, rigOptions{url: pgtest.Start(b)}, now), openSide(b, rigOptions{url: url}, now), db, fills["PostgreSQL"], now)
	})
}

func growth(b *testing.B, small, large *side, db *sql.DB, fill []string, now time.Time) {
	doc, err := store.Marshal(storetest.Meeting(now))
	if err != nil {
		b.Fatal(err)
	}
	event, err := store.Marshal(greenroom.Event{At: now, Kind: greenroom.EventPhase, Seat: "teacher", Message: "something happened"})
	if err != nil {
		b.Fatal(err)
	}
	stored := openMeetings
	for _, size := range growthSizes() {
		for stored < size {
			to := stored + min(100_000, size-stored)
			for i, doc := range [][]byte{doc, event} {
				if _, err := db.ExecContext(b.Context(), fill[i], stored, to, now.AddDate(-2, 0, 0).UnixMicro(), doc); err != nil {
					b.Fatal(err)
				}
			}
			stored = to
		}
		for _, q := range fill[2:] {
			if _, err := db.ExecContext(b.Context(), q); err != nil {
				b.Fatal(err)
			}
		}
		for i := range openMeetings / hands { // once each, so that what a checkpoint makes dear is behind us
			small.transitions(b, i)
			large.transitions(b, i)
		}
		for _, work := range everyday(now) {
			b.Run(fmt.Sprintf("%d/%s", size, work.name), func(b *testing.B) {
				var took [2][]time.Duration
				for i := 0; b.Loop(); i++ {
					for k, s := range []*side{small, large} {
						began := time.Now()
						work.do(b, s, i)
						took[k] = append(took[k], time.Since(began))
					}
				}
				slices.Sort(took[0])
				slices.Sort(took[1])
				base, cost := took[0][b.N/2], took[1][b.N/2]
				b.ReportMetric(float64(cost.Microseconds()), "µs")
				b.ReportMetric(float64(cost)/float64(base), "x-1000")
			})
		}
	}
}

type work struct {
	name string
	do   func(b *testing.B, s *side, i int)
}

func everyday(now time.Time) []work {
	list := func(f store.Filter) func(b *testing.B, s *side, i int) {
		return func(b *testing.B, s *side, _ int) {
			if page, _, err := s.store.List(b.Context(), f); err != nil || len(page) != store.DefaultLimit {
				b.Fatal(len(page), err)
			}
		}
	}
	return []work{
		{"64Transitions", func(b *testing.B, s *side, i int) { s.transitions(b, i) }},
		{"Due", func(b *testing.B, s *side, _ int) {
			if due, err := s.store.Due(b.Context(), now.Add(24*time.Hour), 100); err != nil || len(due) != 100 {
				b.Fatal(len(due), err)
			}
		}},
		{"Live", func(b *testing.B, s *side, _ int) {
			if live, _, err := s.store.Live(b.Context(), ""); err != nil || len(live) != liveMeetings {
				b.Fatal(len(live), err)
			}
		}},
		{"List", list(store.Filter{})},
		{"ListNewest", list(store.Filter{Newest: true})},
		{"ListByState", list(store.Filter{State: greenroom.Scheduled})},
		{"ListFrom", list(store.Filter{From: now})},
		{"RecentEvents", func(b *testing.B, s *side, _ int) {
			if events, err := s.store.RecentEvents(b.Context(), greenroom.EventPhase, 50); err != nil || len(events) != 50 {
				b.Fatal(len(events), err)
			}
		}},
	}
}

const hands = 64 // saves at once

// transitions saves as many open meetings at once, other ones for every i.
func (s *side) transitions(b *testing.B, i int) {
	b.Helper()
	var wg sync.WaitGroup
	for h := range hands {
		wg.Go(func() {
			m := &s.open[(i*hands+h)%openMeetings]
			m.WakeAt = m.WakeAt.Add(time.Second)
			saved, err := s.store.Update(b.Context(), *m, []greenroom.Event{{At: time.Now(), Kind: greenroom.EventPhase, Message: "moved"}})
			if err != nil {
				b.Error(err)
				return
			}
			*m = saved
		})
	}
	wg.Wait()
}
