package sqlscheduler_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"greenroom"
	"greenroom/internal/scheduler/sqlscheduler"
	"greenroom/internal/store"
	"greenroom/internal/store/memstore"
)

// replica is a scheduler that shares a store with others. Its passes take the wake away and are counted.
type replica struct {
	*sqlscheduler.Scheduler
	wakes *sqlscheduler.Wakes
	store *memstore.Store
	stop  func()

	mu     sync.Mutex
	passes []time.Time
}

func startReplica(t *testing.T, s *memstore.Store) *replica {
	t.Helper()
	wakes := sqlscheduler.NewWakes()
	r := &replica{wakes: wakes, store: s}
	r.Scheduler = sqlscheduler.New(sqlscheduler.Options{Wakes: wakes, Store: s, Shared: true, Logger: slog.New(slog.DiscardHandler), Advance: r.advance})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = r.Run(ctx)
	}()
	r.stop = func() { cancel(); <-ended }
	return r
}

func (r *replica) advance(ctx context.Context, id string) error {
	r.mu.Lock()
	r.passes = append(r.passes, time.Now())
	r.mu.Unlock()
	m, err := r.store.Meeting(ctx, id)
	if err != nil {
		return err
	}
	m.WakeAt = time.Now().Add(time.Hour)
	_, err = r.save(ctx, m)
	return err
}

// save saves a meeting as this replica.
func (r *replica) save(ctx context.Context, m greenroom.Meeting) (greenroom.Meeting, error) {
	saved, err := r.store.Update(ctx, m, nil)
	if err == nil {
		r.wakes.Committed(saved)
	}
	return saved, err
}

func create(t *testing.T, s *memstore.Store, wake time.Duration) greenroom.Meeting {
	t.Helper()
	m, _, err := s.Create(t.Context(), greenroom.Meeting{ID: greenroom.NewMeetingID(), WakeAt: time.Now().Add(wake)}, nil, store.Idempotency{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestOneReplicaAnswers has three replicas know of one wake: the one that saved it answers, at its time, and no other.
func TestOneReplicaAnswers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := memstore.New()
		replicas := []*replica{startReplica(t, s), startReplica(t, s), startReplica(t, s)}
		m := create(t, s, time.Minute)
		m.WakeAt = m.WakeAt.Add(time.Minute)
		saved, err := replicas[1].save(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Minute)
		for i, r := range replicas {
			r.stop()
			if want := i == 1; (len(r.passes) == 1) != want || len(r.passes) > 1 {
				t.Errorf("replica %d made %d passes", i, len(r.passes))
			}
		}
		if got := replicas[1].passes[0]; !got.Equal(saved.WakeAt) {
			t.Errorf("answered %v late", got.Sub(saved.WakeAt))
		}
	})
}

// TestHandedOver drops a wake that another replica has replaced, and only that.
func TestHandedOver(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ahead  int64
		passes int
	}{"a later save": {1, 0}, "the own save": {0, 1}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := memstore.New()
				r := startReplica(t, s)
				time.Sleep(2 * time.Second)
				m := create(t, s, 2*time.Second)
				r.wakes.Committed(m)
				r.HandedOver(m.ID, m.Rev+c.ahead)
				time.Sleep(3 * time.Second) // not yet so late that the replica would look for it
				r.stop()
				if len(r.passes) != c.passes {
					t.Errorf("%d passes", len(r.passes))
				}
			})
		})
	}
}
