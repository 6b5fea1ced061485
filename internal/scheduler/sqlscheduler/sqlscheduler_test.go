package sqlscheduler_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"greenroom"
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

func wakingIn(d time.Duration) greenroom.Meeting {
	m := storetest.Meeting(time.Now().Add(time.Hour))
	m.WakeAt = time.Now().Add(d)
	return m
}

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
