package sqlstore_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/store"
	"greenroom/internal/store/sqlstore"
	"greenroom/internal/store/storetest"
	"greenroom/internal/testenv/pgtest"
)

func TestReplicasThatStartAtOnceShareADatabase(t *testing.T) {
	t.Parallel()
	o := onServer(t)
	stores := make([]*sqlstore.Store, 6)
	var wg sync.WaitGroup
	for i := range stores {
		wg.Go(func() {
			var err error
			if stores[i], err = sqlstore.Open(t.Context(), o); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, s := range stores {
		if s == nil {
			continue
		}
		defer s.Close()
		if err := s.Ping(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestOneKeyInManyReplicasIsOneMeeting(t *testing.T) {
	t.Parallel()
	o := onServer(t)
	replicas := []*sqlstore.Store{open(t, o), open(t, o), open(t, o)}
	for round := range 20 {
		idem := store.Idempotency{Key: fmt.Sprint("key ", round), Fingerprint: "same", At: time.Now()}
		var mu sync.Mutex
		ids, created := map[string]int{}, 0
		var wg sync.WaitGroup
		for i := range 4 * len(replicas) {
			wg.Go(func() {
				m, isNew, err := replicas[i%len(replicas)].Create(t.Context(), storetest.Meeting(time.Now()), nil, idem)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				ids[m.ID]++
				if isNew {
					created++
				}
			})
		}
		wg.Wait()
		if len(ids) != 1 || created != 1 {
			t.Fatalf("one key made %d meetings in the eyes of the callers, and %d were told that theirs is new", len(ids), created)
		}
	}
	for _, s := range replicas {
		if all, _, err := s.List(t.Context(), store.Filter{}); err != nil || len(all) != 20 {
			t.Errorf("%d meetings are stored, %v", len(all), err)
		}
	}
}

// Every replica saves every meeting, many at once, in an order of its own: whoever wins, nobody waits in a circle, no
// save is lost and none is done twice.
func TestReplicasSaveTheSameMeetings(t *testing.T) {
	t.Parallel()
	o := onServer(t)
	var replicas []*sqlstore.Store
	for range 3 {
		replicas = append(replicas, open(t, o))
	}
	var ids []string
	for range 12 {
		ids = append(ids, create(t, replicas[0]).ID)
	}
	const each = 15
	var wg sync.WaitGroup
	for r, s := range replicas {
		for k := range ids {
			wg.Go(func() {
				id := ids[(k*(r+1)+r)%len(ids)]
				for won := 0; won < each; {
					m, err := s.Meeting(t.Context(), id)
					if err != nil {
						t.Error(err)
						return
					}
					m.WakeAt = m.WakeAt.Add(time.Second)
					_, err = s.Update(t.Context(), m, []greenroom.Event{{At: time.Now(), Kind: greenroom.EventPhase}})
					switch {
					case err == nil:
						won++
					case !errors.Is(err, greenroom.ErrConflict):
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Go(func() {
			for range each {
				if err := s.Ping(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	revs := int64(0)
	for _, id := range ids {
		m, err := replicas[1].Meeting(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		revs += m.Rev - 1
		events, err := replicas[2].Events(t.Context(), id, 0, 1000)
		if err != nil || int64(len(events)) != m.Rev-1 {
			t.Errorf("meeting %s has revision %d and %d events, %v", id, m.Rev, len(events), err)
		}
	}
	if want := int64(len(replicas) * each * len(ids)); revs != want {
		t.Errorf("%d saves were answered, %d are stored", want, revs)
	}
}

// A write that two processes do in a circle is taken back by the server, and done again by us.
func TestDeadlockIsTriedAgain(t *testing.T) {
	t.Parallel()
	o := onServer(t)
	// The server takes back the second write of any transaction, twice.
	s := open(t, o)
	m := create(t, s)
	pgtest.Exec(t, o.URL, `create sequence tries minvalue -1000 start 1`, `create function refuse() returns trigger language plpgsql as $$ begin
		if nextval('tries') <= 2 then raise exception 'a circle' using errcode = '40P01'; end if; return new; end $$`,
		`create trigger refuse before update on meetings for each row execute function refuse()`)
	m.Title = "again"
	saved, err := s.Update(t.Context(), m, []greenroom.Event{{Kind: greenroom.EventPhase}})
	if err != nil || saved.Rev != 2 {
		t.Fatalf("saved as %d, %v", saved.Rev, err)
	}
	if events, err := s.Events(t.Context(), m.ID, 0, 10); err != nil || len(events) != 1 {
		t.Errorf("%d events, %v", len(events), err)
	}
	pgtest.Exec(t, o.URL, `alter sequence tries restart with -1000`)
	if _, err := s.Update(t.Context(), saved, nil); err == nil || !strings.Contains(err.Error(), "a circle") {
		t.Errorf("a write that never succeeds ended with %v", err)
	}
}

// One write that the database refuses does not take along those that share its transaction.
func TestRefusedWriteIsUndoneAloneOnPostgreSQL(t *testing.T) {
	t.Parallel()
	o := onServer(t)
	s := open(t, o)
	pgtest.Exec(t, o.URL, `create function refuse() returns trigger language plpgsql as $$ begin raise exception 'refused'; end $$`,
		`create trigger refuse before insert on events for each row when (new.kind = 'ended') execute function refuse()`)
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			m, bad := storetest.Meeting(time.Now()), i%4 == 0
			kind := greenroom.EventScheduled
			if bad {
				kind = greenroom.EventEnded
			}
			_, _, err := s.Create(t.Context(), m, []greenroom.Event{{Kind: kind}}, store.Idempotency{})
			_, readErr := s.Meeting(t.Context(), m.ID)
			if bad != (err != nil) || bad != errors.Is(readErr, greenroom.ErrNotFound) {
				t.Errorf("refused %v: %v, then read: %v", bad, err, readErr)
			}
		})
	}
	wg.Wait()
}
