package sqlscheduler_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"greenroom"
	"greenroom/internal/scheduler/sqlscheduler"
	"greenroom/internal/store"
	"greenroom/internal/store/memstore"
	"greenroom/internal/store/storetest"
)

// clockwork is a scheduler on a store in memory, in a bubble of fake time.
type clockwork struct {
	t         *testing.T
	store     *memstore.Store
	scheduler *sqlscheduler.Scheduler
	began     time.Time

	mu     sync.Mutex
	passes []string // "meeting@time since the beginning", in order
	late   []time.Duration
}

// newClockwork makes a scheduler whose Advance notes the pass and does do.
func newClockwork(t *testing.T, o sqlscheduler.Options, do func(ctx context.Context, id string) error) *clockwork {
	t.Helper()
	wakes := sqlscheduler.NewWakes()
	c := &clockwork{t: t, store: memstore.New(), began: time.Now()}
	c.store.OnWake = func(w store.Wake) { wakes.Committed(greenroom.Meeting{ID: w.Meeting, WakeAt: w.At}) }
	o.Wakes, o.Store, o.Logger = wakes, c.store, slog.New(slog.DiscardHandler)
	o.Advance = func(ctx context.Context, id string) error {
		c.note(id)
		return do(ctx, id)
	}
	o.Lateness = func(d time.Duration) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.late = append(c.late, d)
	}
	c.scheduler = sqlscheduler.New(o)
	return c
}

func (c *clockwork) note(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.passes = append(c.passes, fmt.Sprintf("%s@%s", id, time.Since(c.began)))
}

func (c *clockwork) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.passes)
}

// run starts the scheduler and returns what stops it.
func (c *clockwork) run() (stop func()) {
	ctx, cancel := context.WithCancel(c.t.Context())
	ended := make(chan error)
	go func() { ended <- c.scheduler.Run(ctx) }()
	return func() {
		c.t.Helper()
		cancel()
		if err := <-ended; err != nil {
			c.t.Error(err)
		}
	}
}

// plan saves a meeting that wants a pass so long after the beginning.
func (c *clockwork) plan(id string, after time.Duration) greenroom.Meeting {
	c.t.Helper()
	m := storetest.Meeting(c.began)
	m.ID, m.WakeAt = id, c.began.Add(after)
	m, _, err := c.store.Create(c.t.Context(), m, nil, store.Idempotency{})
	if err != nil {
		c.t.Fatal(err)
	}
	return m
}

// save changes a meeting that is stored.
func (c *clockwork) save(ctx context.Context, id string, change func(m *greenroom.Meeting)) error {
	m, err := c.store.Meeting(ctx, id)
	if err != nil {
		return err
	}
	change(&m)
	_, err = c.store.Update(ctx, m, nil)
	return err
}

func (c *clockwork) want(passes ...string) {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if diff := cmp.Diff(passes, c.passes); diff != "" {
		c.t.Errorf("passes (-want +got):\n%s", diff)
	}
}

func never(m *greenroom.Meeting) { m.WakeAt = time.Time{} }

func TestAlarm(t *testing.T) {
	t.Parallel()

	t.Run("KicksAreCoalesced", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			c := newClockwork(t, sqlscheduler.Options{}, func(context.Context, string) error {
				time.Sleep(time.Second)
				return nil
			})
			stop := c.run()
			for range 10 {
				c.scheduler.Kick("a")
			}
			synctest.Wait() // one pass has begun
			for range 10 {
				c.scheduler.Kick("a")
			}
			time.Sleep(10 * time.Second)
			stop()
			c.want("a@0s", "a@1s")
		})
	})

	t.Run("FailingMeetingBacksOffAlone", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			var c *clockwork
			var failed []time.Time
			c = newClockwork(t, sqlscheduler.Options{Workers: 1}, func(ctx context.Context, id string) error {
				switch {
				case id == "good":
					return c.save(ctx, id, func(m *greenroom.Meeting) { m.WakeAt = m.WakeAt.Add(10 * time.Second) })
				case len(failed) == 12:
					return c.save(ctx, id, never)
				case len(failed) == 3:
					failed = append(failed, time.Now())
					panic("a fault in the code")
				}
				failed = append(failed, time.Now())
				return errors.New("no luck")
			})
			c.plan("bad", time.Second)
			c.plan("good", 10*time.Second)
			stop := c.run()
			time.Sleep(9*time.Minute + 55*time.Second)
			stop()
			if len(failed) != 12 {
				t.Fatalf("it failed %d times, want 12 and then success", len(failed))
			}
			for i := range failed[1:] {
				want := min(500*time.Millisecond<<i, time.Minute)
				if got := failed[i+1].Sub(failed[i]); got > want || got < want/2 {
					t.Errorf("try %d came after %s, want about %s", i+2, got, want)
				}
			}
			if late := slices.Max(c.late); late != 0 {
				t.Errorf("a meeting was late by %s", late)
			}
		})
	})

	t.Run("SuccessForgetsFailures", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			var times []time.Time
			c := newClockwork(t, sqlscheduler.Options{}, func(context.Context, string) error {
				times = append(times, time.Now())
				if len(times)%4 == 0 {
					return nil
				}
				return errors.New("no luck")
			})
			stop := c.run()
			for range 2 {
				c.scheduler.Kick("a")
				time.Sleep(time.Minute)
			}
			stop()
			if len(times) != 8 || times[5].Sub(times[4]) > 500*time.Millisecond {
				t.Errorf("passes at %v", times)
			}
		})
	})

	t.Run("KickReachesAFailingMeetingAtOnce", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			c := newClockwork(t, sqlscheduler.Options{}, func(context.Context, string) error { return errors.New("no luck") })
			stop := c.run()
			c.scheduler.Kick("a")
			time.Sleep(20 * time.Second)
			synctest.Wait()
			before := c.count()
			c.scheduler.Kick("a")
			synctest.Wait()
			if after := c.count(); after != before+1 {
				t.Errorf("%d passes after the kick, %d before", after, before)
			}
			stop()
		})
	})

	t.Run("UnknownMeetingIsForgotten", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			c := newClockwork(t, sqlscheduler.Options{}, func(context.Context, string) error {
				return fmt.Errorf("advance: %w", greenroom.ErrNotFound)
			})
			stop := c.run()
			c.scheduler.Kick("nobody")
			time.Sleep(time.Hour)
			stop()
			c.want("nobody@0s")
		})
	})

	t.Run("SlowMeetingsHoldUpNobodyBelowTheBound", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			var c *clockwork
			c = newClockwork(t, sqlscheduler.Options{Workers: 3}, func(ctx context.Context, id string) error {
				if id[0] == 's' {
					time.Sleep(time.Minute)
				}
				return c.save(ctx, id, never)
			})
			stop := c.run()
			for i, id := range []string{"slow1", "slow2", "quick1", "slow3", "quick2"} {
				c.plan(id, time.Duration(i+1)*time.Second)
			}
			time.Sleep(70 * time.Second)
			stop()
			c.want("slow1@1s", "slow2@2s", "quick1@3s", "slow3@4s", "quick2@1m1s")
		})
	})
}

func TestStop(t *testing.T) {
	t.Parallel()

	t.Run("LetsPassesFinish", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			finished := false
			c := newClockwork(t, sqlscheduler.Options{StopTimeout: time.Minute}, func(ctx context.Context, _ string) error {
				time.Sleep(10 * time.Second)
				finished = ctx.Err() == nil
				return nil
			})
			stop := c.run()
			c.scheduler.Kick("a")
			synctest.Wait()
			c.scheduler.Kick("a") // begins no more
			stop()
			if !finished {
				t.Error("the pass was cut short")
			}
			c.want("a@0s")
		})
	})

	t.Run("EndsPassesThatTakeTooLong", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			c := newClockwork(t, sqlscheduler.Options{StopTimeout: time.Minute}, func(ctx context.Context, _ string) error {
				<-ctx.Done()
				return context.Cause(ctx)
			})
			stop := c.run()
			c.scheduler.Kick("a")
			synctest.Wait()
			stop()
			if took := time.Since(c.began); took != time.Minute {
				t.Errorf("stopping took %s", took)
			}
		})
	})
}
