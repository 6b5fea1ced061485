package sqlscheduler_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/stdlib"

	"greenroom"
	"greenroom/internal/store"
	"greenroom/internal/store/sqlstore"
	"greenroom/internal/store/storetest"
)

// patience is long enough for anything that happens at all, on a machine with much else to do.
const patience = 30 * time.Second

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("still not: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// quietly is an Advance that answers the wake and asks for no other. It sends the id.
func quietly(r *rig, passes chan string) func(ctx context.Context, id string) error {
	return func(ctx context.Context, id string) error {
		m, err := r.store.Meeting(ctx, id)
		if err != nil {
			return err
		}
		if m.WakeAt.IsZero() || m.WakeAt.After(time.Now()) {
			return nil
		}
		m.WakeAt = time.Time{}
		if _, err = r.store.Update(ctx, m, nil); err == nil {
			passes <- id
		}
		return err
	}
}

func receive(t *testing.T, passes chan string, want string) {
	t.Helper()
	select {
	case got := <-passes:
		if got != want {
			t.Fatalf("a pass of %s, want %s", got, want)
		}
	case <-time.After(patience):
		t.Fatalf("no pass of %s", want)
	}
}

// jobs counts the jobs that are not done, by meeting.
func jobs(t *testing.T, s *sqlstore.Store) map[string]int {
	t.Helper()
	rows, err := s.DB().QueryContext(t.Context(), `select cast(`+args(s)+` as text) from river_job where state <> 'completed'`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	out := map[string]int{}
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			t.Fatal(err)
		}
		out[text]++
	}
	return out
}

// args is the meeting of a job, in the database's tongue.
func args(s *sqlstore.Store) string {
	if _, is := s.DB().Driver().(*stdlib.Driver); is {
		return `args ->> 'meeting'`
	}
	return `json_extract(args, '$.meeting')`
}

func wakingIn(d time.Duration) greenroom.Meeting {
	m := storetest.Meeting(time.Now().Add(time.Hour))
	m.WakeAt = time.Now().Add(d)
	return m
}

func TestWakeSurvivesTheProcess(t *testing.T) {
	t.Parallel()
	onEach(t, wakeSurvivesTheProcess)
}

func wakeSurvivesTheProcess(t *testing.T, o rigOptions) {
	t.Helper()
	r := openRig(t, o)
	m := r.create(t, wakingIn(50*time.Millisecond))
	r.stop(t) // the scheduler never ran
	r = openRig(t, o)
	passes := make(chan string, 10)
	r.advance = quietly(r, passes)
	r.start(t)
	receive(t, passes, m.ID)
	eventually(t, "its job is gone", func() bool { return len(jobs(t, r.store)) == 0 })
}

// blind hides from a scheduler what is due: only the second bell is left.
type blind struct{ *sqlstore.Store }

func (blind) Due(context.Context, time.Time, int) ([]store.Wake, error) { return nil, nil }

// TestWhatADeadProcessWasBusyWithGoesOnAtOnce: its lease, a wake that is near, protects it from nobody now.
func TestWhatADeadProcessWasBusyWithGoesOnAtOnce(t *testing.T) {
	t.Parallel()
	r := openRig(t, rigOptions{deaf: true})
	lease := time.Now().Add(4 * time.Second)
	busy := r.create(t, storetest.Meeting(lease))
	r.scheduler.TakeOver = true
	early := make(chan bool, 1)
	r.advance = func(_ context.Context, id string) error {
		if id == busy.ID {
			select {
			case early <- time.Now().Before(lease):
			default:
			}
		}
		return nil
	}
	r.start(t)
	select {
	case ok := <-early:
		if !ok {
			t.Error("it waited for the lease to end")
		}
	case <-time.After(patience):
		t.Error("no pass")
	}
}

func TestSecondBellRingsWhenTheAlarmWasNeverTold(t *testing.T) {
	t.Parallel()
	onEach(t, secondBellRingsWhenTheAlarmWasNeverTold)
}

func secondBellRingsWhenTheAlarmWasNeverTold(t *testing.T, o rigOptions) {
	t.Helper()
	o.deaf = true
	r := openRig(t, o)
	r.scheduler.Store = blind{r.store}
	passes := make(chan string, 10)
	r.advance = quietly(r, passes)
	m := r.create(t, wakingIn(-time.Hour))
	r.start(t)
	receive(t, passes, m.ID)
}

func TestSecondBellIsSilentWhenTheMeetingHasMovedOn(t *testing.T) {
	t.Parallel()
	onEach(t, secondBellIsSilentWhenTheMeetingHasMovedOn)
}

func secondBellIsSilentWhenTheMeetingHasMovedOn(t *testing.T, o rigOptions) {
	t.Helper()
	o.deaf = true
	r := openRig(t, o)
	r.scheduler.Store = blind{r.store}
	passes := make(chan string, 10)
	r.advance = func(_ context.Context, id string) error {
		passes <- id
		return nil
	}
	for _, change := range []func(m *greenroom.Meeting){
		func(m *greenroom.Meeting) { m.WakeAt = time.Now().Add(time.Hour) },
		func(m *greenroom.Meeting) { m.Closed = true },
		func(m *greenroom.Meeting) { m.WakeAt = time.Time{} },
	} {
		m := r.create(t, wakingIn(-time.Hour))
		// Running jobs are not deleted with their wake: let it look as if River had just taken this one.
		setJobs(t, r.store, m.ID, "running")
		change(&m)
		if _, err := r.store.Update(t.Context(), m, nil); err != nil {
			t.Fatal(err)
		}
		setJobs(t, r.store, m.ID, "available")
	}
	r.start(t)
	eventually(t, "no overdue job is left", func() bool { return len(jobs(t, r.store)) <= 1 })
	select {
	case id := <-passes:
		t.Errorf("a pass of %s", id)
	default:
	}
}

// setJobs puts all of a meeting's overdue jobs into a state.
func setJobs(t *testing.T, s *sqlstore.Store, id, state string) {
	t.Helper()
	now := `datetime('now')`
	if strings.Contains(args(s), "->>") {
		now = `now()`
	}
	res, err := s.DB().ExecContext(t.Context(), `update river_job set state = '`+state+`' where `+args(s)+` = '`+id+`' and scheduled_at < `+now)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := res.RowsAffected(); n != 1 || err != nil {
		t.Fatalf("%d jobs, %v", n, err)
	}
}

func TestEveryWakeHasOneJob(t *testing.T) {
	t.Parallel()
	onEach(t, everyWakeHasOneJob)
}

func everyWakeHasOneJob(t *testing.T, o rigOptions) {
	t.Helper()
	r := openRig(t, o)
	m := r.create(t, wakingIn(time.Hour))
	save := func(want int, change func(m *greenroom.Meeting)) {
		t.Helper()
		change(&m)
		var err error
		if m, err = r.store.Update(t.Context(), m, nil); err != nil {
			t.Fatal(err)
		}
		if got := jobs(t, r.store)[m.ID]; got != want {
			t.Errorf("%d jobs, want %d", got, want)
		}
	}
	for range 3 {
		save(1, func(m *greenroom.Meeting) { m.WakeAt = m.WakeAt.Add(time.Minute) })
	}
	stale := m.Clone()
	stale.Rev--
	stale.WakeAt = time.Now()
	if _, err := r.store.Update(t.Context(), stale, nil); !errors.Is(err, greenroom.ErrConflict) {
		t.Error(err)
	}
	save(1, func(m *greenroom.Meeting) { m.Title = "the same wake" })
	save(0, func(m *greenroom.Meeting) { m.WakeAt = time.Time{} })
	save(1, func(m *greenroom.Meeting) { m.WakeAt = time.Now().Add(time.Hour) })
	save(0, func(m *greenroom.Meeting) { m.Closed = true })
}

func TestNoTwoPassesOfOneMeetingAtOnce(t *testing.T) {
	t.Parallel()
	onEach(t, noTwoPassesOfOneMeetingAtOnce)
}

func noTwoPassesOfOneMeetingAtOnce(t *testing.T, o rigOptions) {
	t.Helper()
	const meetings = 8
	r := openRig(t, o)
	var inside [meetings]atomic.Int32
	var passes atomic.Int64
	index := map[string]int{}
	r.advance = func(ctx context.Context, id string) error {
		i := index[id]
		if inside[i].Add(1) != 1 {
			t.Error("two passes of one meeting at once")
		}
		defer inside[i].Add(-1)
		passes.Add(1)
		m, err := r.store.Meeting(ctx, id)
		if err != nil {
			return err
		}
		if rand.N(5) == 0 {
			return errors.New("no luck")
		}
		m.WakeAt = time.Now().Add(rand.N(3 * time.Millisecond))
		_, err = r.store.Update(ctx, m, nil)
		return err
	}
	ids := make([]string, meetings)
	for i := range meetings {
		m := wakingIn(time.Hour)
		ids[i], index[m.ID] = m.ID, i
		r.create(t, m)
	}
	r.start(t)
	ctx, cancel := context.WithCancel(t.Context())
	var kickers sync.WaitGroup
	for range 4 {
		kickers.Go(func() {
			for ctx.Err() == nil {
				r.scheduler.Kick(ids[rand.N(meetings)])
				time.Sleep(100 * time.Microsecond)
			}
		})
	}
	eventually(t, "hundreds of passes", func() bool { return passes.Load() > 300 })
	cancel()
	kickers.Wait()
	r.stop(t)
}

func TestStartAndStopAgainAndAgain(t *testing.T) {
	t.Parallel()
	onEach(t, startAndStopAgainAndAgain)
}

func startAndStopAgainAndAgain(t *testing.T, o rigOptions) {
	t.Helper()
	for range 5 {
		r := openRig(t, o)
		passes := make(chan string, 10)
		r.advance = quietly(r, passes)
		m := r.create(t, wakingIn(10*time.Millisecond))
		r.start(t)
		receive(t, passes, m.ID)
		r.stop(t)
	}
}
