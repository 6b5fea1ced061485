package sqlstore_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/store"
	"greenroom/internal/store/sqlstore"
	"greenroom/internal/store/storetest"
)

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
		o := inTemp(t)
		var told []string
		o.OnCommit = func(m greenroom.Meeting) { told = append(told, m.ID) }
		s := open(t, o)
		first := create(t, s)
		if _, err := s.DB().ExecContext(t.Context(), `create trigger lose before insert on events when new.kind = 'ended'
			begin select raise(rollback, 'lost'); end`); err != nil {
			t.Fatal(err)
		}
		release := hold(t, s)
		defer release()
		var mu sync.Mutex
		failed := map[string]bool{}
		var wg sync.WaitGroup
		const n = 8
		ids := make([]string, n)
		for i := range n {
			m := storetest.Meeting(time.Now())
			ids[i] = m.ID
			var events []greenroom.Event
			if i == n/2 {
				events = []greenroom.Event{{Kind: greenroom.EventEnded}} // takes the whole transaction with it
			}
			wg.Go(func() {
				_, _, err := s.Create(t.Context(), m, events, store.Idempotency{})
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

func TestManySavesInOneBatchKeepTheLastWake(t *testing.T) {
	t.Parallel()
	onEach(t, manySavesInOneBatchKeepTheLastWake)
}

func manySavesInOneBatchKeepTheLastWake(t *testing.T, o sqlstore.Options) {
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
	due, err := s.Due(t.Context(), time.Now().Add(1000*time.Hour), 100)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]time.Time{}
	for _, w := range due {
		got[w.Meeting] = w.At
	}
	for id := range want {
		m, err := s.Meeting(t.Context(), id)
		if err != nil || !got[id].Equal(m.WakeAt) {
			t.Errorf("meeting %s wakes at %s, the index says %s; %v", id, m.WakeAt, got[id], err)
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
