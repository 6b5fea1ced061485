package sqlstore_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/stdlib"

	"greenroom"
	"greenroom/internal/store"
	"greenroom/internal/store/sqlstore"
	"greenroom/internal/store/storetest"
)

// jobs is an engine's part in the writes: a table of jobs, with a memory of what it was asked and faults on demand.
type jobs struct {
	mu      sync.Mutex
	Calls   [][]store.Wake
	NextErr error
	last    int64

	postgres bool
}

func (j *jobs) Attach(db *sql.DB) error {
	_, j.postgres = db.Driver().(*stdlib.Driver)
	return nil
}

func (j *jobs) Prepare(ctx context.Context, db *sql.DB) error {
	_, err := db.ExecContext(ctx, `create table if not exists jobs (id bigint primary key, meeting text, at bigint)`)
	return err
}

// exec numbers the placeholders if the database wants it.
func (j *jobs) exec(ctx context.Context, tx *sql.Tx, query string, args ...any) error {
	if j.postgres {
		for i := range args {
			query = strings.Replace(query, "?", fmt.Sprintf("$%d", i+1), 1)
		}
	}
	_, err := tx.ExecContext(ctx, query, args...)
	return err
}

func (j *jobs) Replace(ctx context.Context, tx *sql.Tx, wakes []store.Wake, previous []int64) ([]int64, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.Calls = append(j.Calls, append([]store.Wake(nil), wakes...))
	if err := j.NextErr; err != nil {
		j.NextErr = nil
		return nil, err
	}
	ids := make([]int64, len(wakes))
	for i, w := range wakes {
		if previous[i] != 0 {
			if err := j.exec(ctx, tx, `delete from jobs where id = ?`, previous[i]); err != nil {
				return nil, err
			}
		}
		if w.At.IsZero() {
			continue
		}
		j.last++
		ids[i] = j.last
		if err := j.exec(ctx, tx, `insert into jobs values (?, ?, ?)`, j.last, w.Meeting, w.At.UnixMicro()); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// kept returns the wakes that have a job.
func (j *jobs) kept(t *testing.T, s *sqlstore.Store) map[string]time.Time {
	t.Helper()
	rows, err := s.DB().QueryContext(t.Context(), `select meeting, at from jobs`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	out := map[string]time.Time{}
	for rows.Next() {
		var meeting string
		var at int64
		if err := rows.Scan(&meeting, &at); err != nil {
			t.Fatal(err)
		}
		if _, twice := out[meeting]; twice {
			t.Errorf("meeting %s has two jobs", meeting)
		}
		out[meeting] = time.UnixMicro(at).UTC()
	}
	return out
}

// hold keeps the writer waiting until the returned function is called: what is submitted meanwhile is one batch
// or two.
func hold(t *testing.T, s *sqlstore.Store) (release func()) {
	t.Helper()
	tx, err := s.DB().BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return sync.OnceFunc(func() { _ = tx.Rollback() })
}

func create(t *testing.T, s *sqlstore.Store) greenroom.Meeting {
	t.Helper()
	m, _, err := s.Create(t.Context(), storetest.Meeting(time.Now().UTC().Truncate(time.Second)), nil, store.Idempotency{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestConformanceWithWakes(t *testing.T) {
	t.Parallel()
	for name, options := range databases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Run(t, func(t *testing.T) store.Store {
				o := options(t)
				o.Wakes, o.OnCommit = &jobs{}, func(greenroom.Meeting) {}
				return open(t, o)
			})
		})
	}
}

func TestBatch(t *testing.T) {
	t.Parallel()

	t.Run("OneFailsOthersLive", func(t *testing.T) {
		t.Parallel()
		s := open(t, inTemp(t))
		taken := create(t, s)
		if _, err := s.DB().ExecContext(t.Context(), `create trigger refuse before insert on events when new.kind = 'ended'
			begin select raise(abort, 'refused'); end`); err != nil {
			t.Fatal(err)
		}
		release := hold(t, s)
		defer release()
		const n = 40
		errs, made := make([]error, n), make([]greenroom.Meeting, n)
		var wg sync.WaitGroup
		for i := range n {
			m, kind := storetest.Meeting(time.Now()), greenroom.EventScheduled
			switch i % 4 {
			case 0:
				m.ID = taken.ID
			case 1:
				kind = greenroom.EventEnded // refused when the meeting has been written
			}
			made[i] = m
			wg.Go(func() {
				_, _, errs[i] = s.Create(t.Context(), m, []greenroom.Event{{Kind: kind}}, store.Idempotency{})
			})
		}
		release()
		wg.Wait()
		for i := range n {
			_, err := s.Meeting(t.Context(), made[i].ID)
			var ok bool
			switch i % 4 {
			case 0:
				ok = errors.Is(errs[i], greenroom.ErrConflict)
			case 1:
				ok = errs[i] != nil && errors.Is(err, greenroom.ErrNotFound)
			default:
				ok = errs[i] == nil && err == nil
			}
			if !ok {
				t.Errorf("write %d: %v, then read: %v", i, errs[i], err)
			}
		}
	})

	t.Run("LostTransactionFailsAll", func(t *testing.T) {
		t.Parallel()
		j, o := &jobs{}, inTemp(t)
		var told []string
		o.Wakes, o.OnCommit = j, func(m greenroom.Meeting) { told = append(told, m.ID) }
		s := open(t, o)
		first := create(t, s)
		release := hold(t, s)
		defer release()
		j.mu.Lock()
		j.NextErr = errors.New("no jobs today")
		j.mu.Unlock()
		var mu sync.Mutex
		failed := map[string]bool{}
		var wg sync.WaitGroup
		const n = 8
		ids := make([]string, n)
		for i := range n {
			m := storetest.Meeting(time.Now())
			ids[i] = m.ID
			wg.Go(func() {
				_, _, err := s.Create(t.Context(), m, nil, store.Idempotency{})
				mu.Lock()
				defer mu.Unlock()
				failed[m.ID] = err != nil
			})
		}
		release()
		wg.Wait()
		lost := 0
		for _, id := range ids {
			_, err := s.Meeting(t.Context(), id)
			if failed[id] != errors.Is(err, greenroom.ErrNotFound) {
				t.Errorf("write of %s failed: %v; read: %v", id, failed[id], err)
			}
			if failed[id] {
				lost++
			}
		}
		if lost == 0 || len(told) != n-lost+1 || told[0] != first.ID {
			t.Errorf("%d of %d were lost, %d commits were told", lost, n, len(told))
		}
	})

	t.Run("CloseFinishesWhatWasAccepted", func(t *testing.T) {
		t.Parallel()
		o := inTemp(t)
		s := open(t, o)
		var mu sync.Mutex
		var saved []string
		busy := make(chan struct{}, 1<<16)
		var wg sync.WaitGroup
		for range 32 {
			wg.Go(func() {
				for {
					m, _, err := s.Create(t.Context(), storetest.Meeting(time.Now()), nil, store.Idempotency{})
					if err != nil {
						return
					}
					mu.Lock()
					saved = append(saved, m.ID)
					mu.Unlock()
					busy <- struct{}{}
				}
			})
		}
		for range 100 {
			<-busy
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		wg.Wait()
		again := open(t, o)
		for _, id := range saved {
			if _, err := again.Meeting(t.Context(), id); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestWakesArePartOfTheWrite(t *testing.T) {
	t.Parallel()
	onEach(t, wakesArePartOfTheWrite)
}

func wakesArePartOfTheWrite(t *testing.T, o sqlstore.Options) {
	j := &jobs{}
	o.Wakes = j
	s := open(t, o)
	m := create(t, s)
	at := m.WakeAt
	step := func(name string, change func(m *greenroom.Meeting), calls int, want map[string]time.Time) {
		t.Helper()
		change(&m)
		var err error
		if m, err = s.Update(t.Context(), m, nil); err != nil {
			t.Fatal(err)
		}
		if len(j.Calls) != calls {
			t.Errorf("%s: %d calls, want %d", name, len(j.Calls), calls)
		}
		if diff := cmp.Diff(want, j.kept(t, s)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	step("same wake", func(m *greenroom.Meeting) { m.Title = "x" }, 1, map[string]time.Time{m.ID: at})
	step("later", func(m *greenroom.Meeting) { m.WakeAt = at.Add(time.Hour) }, 2, map[string]time.Time{m.ID: at.Add(time.Hour)})
	step("none", func(m *greenroom.Meeting) { m.WakeAt = time.Time{} }, 3, map[string]time.Time{})
	step("still none", func(m *greenroom.Meeting) { m.Title = "y" }, 3, map[string]time.Time{})
	step("again", func(m *greenroom.Meeting) { m.WakeAt = at }, 4, map[string]time.Time{m.ID: at})
	step("closed", func(m *greenroom.Meeting) { m.Closed = true }, 5, map[string]time.Time{})

	stale := m.Clone()
	stale.Rev--
	stale.WakeAt, stale.Closed = at, false
	if _, err := s.Update(t.Context(), stale, nil); !errors.Is(err, greenroom.ErrConflict) {
		t.Error(err)
	}
	if len(j.Calls) != 5 {
		t.Error("a refused save asked for a wake")
	}
}

func TestManySavesInOneBatchKeepTheLastWake(t *testing.T) {
	t.Parallel()
	onEach(t, manySavesInOneBatchKeepTheLastWake)
}

func manySavesInOneBatchKeepTheLastWake(t *testing.T, o sqlstore.Options) {
	j := &jobs{}
	o.Wakes = j
	s := open(t, o)
	var mu sync.Mutex
	want := map[string]time.Time{}
	var wg sync.WaitGroup
	for range 16 {
		m := create(t, s)
		for i := range 4 { // of four savers of one revision one wins, whatever batch they are in
			mine := m.Clone()
			mine.WakeAt = m.WakeAt.Add(time.Duration(i+1) * time.Minute)
			wg.Go(func() {
				for next := mine; ; next.WakeAt = next.WakeAt.Add(time.Hour) {
					saved, err := s.Update(t.Context(), next, nil)
					if err != nil || saved.Rev > 4 {
						return
					}
					mu.Lock()
					want[saved.ID] = saved.WakeAt
					mu.Unlock()
					next = saved
				}
			})
		}
	}
	wg.Wait()
	got := j.kept(t, s)
	for id := range want {
		m, err := s.Meeting(t.Context(), id)
		if err != nil || !got[id].Equal(m.WakeAt) {
			t.Errorf("meeting %s wakes at %s, its job rings at %s; %v", id, m.WakeAt, got[id], err)
		}
	}
}

func TestCommitsAreToldInOrder(t *testing.T) {
	t.Parallel()
	onEach(t, commitsAreToldInOrder)
}

func commitsAreToldInOrder(t *testing.T, o sqlstore.Options) {
	revs := map[string]int64{}
	o.OnCommit = func(m greenroom.Meeting) {
		if m.Rev != revs[m.ID]+1 {
			panic(fmt.Sprintf("revision %d was told after %d", m.Rev, revs[m.ID]))
		}
		revs[m.ID] = m.Rev
	}
	s := open(t, o)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			m := create(t, s)
			for range 20 {
				var err error
				if m, err = s.Update(t.Context(), m, nil); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for id, rev := range revs {
		if rev != 21 {
			t.Errorf("meeting %s was told of last at revision %d", id, rev)
		}
	}
}
