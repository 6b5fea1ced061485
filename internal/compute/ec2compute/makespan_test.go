package ec2compute_test

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"greenroom"
	"greenroom/internal/advance"
	"greenroom/internal/compute"
	"greenroom/internal/compute/ec2compute"
	"greenroom/internal/plan"
	"greenroom/internal/store"
	"greenroom/internal/store/memstore"
	"greenroom/internal/testenv/ec2test"
)

// house moves meetings whose machines are on EC2 as far as their launch.
type house struct {
	*advance.Advancer
	store *memstore.Store
}

func newHouse(p *ec2compute.Provider) *house {
	s := memstore.New()
	return &house{store: s, Advancer: &advance.Advancer{
		Meetings: s, Providers: map[greenroom.Provider]compute.Provider{"ec2": p}, Zone: "desk.test", Now: time.Now, Logger: slog.New(slog.DiscardHandler),
		UserData: func(*greenroom.Meeting, *greenroom.Seat) ([]byte, error) { return []byte("{}"), nil },
	}}
}

// schedule adds a meeting of two that starts after its lead.
func (h *house) schedule(t *testing.T, startsAt time.Time) greenroom.Meeting {
	t.Helper()
	b := blueprint()
	m := greenroom.Meeting{ID: greenroom.NewMeetingID(), Rev: 1, Version: 1, Title: "m", StartsAt: startsAt, EndsAt: startsAt.Add(3 * time.Hour), TimeZone: "UTC", Blueprint: b, CreatedAt: time.Now().UTC()}
	for _, role := range b.Seats {
		m.Seats = append(m.Seats, greenroom.Seat{ID: role, Role: role, Name: role, Key: greenroom.NewSecret(), Desktop: greenroom.Desktop{Phase: greenroom.Planned, Attempt: 1}})
	}
	if _, _, err := h.store.Create(t.Context(), m, nil, store.Idempotency{}); err != nil {
		t.Fatal(err)
	}
	return m
}

// launch moves the meeting until all its machines are accepted, and counts the failures on the way.
func (h *house) launch(ctx context.Context, id string) (failures int, err error) {
	for {
		step, err := h.Step(ctx, id)
		if err != nil {
			return failures, err
		}
		failures = 0
		accepted := 0
		for i := range step.Meeting.Seats {
			failures += step.Meeting.Seats[i].Failures
			if step.Meeting.Seats[i].Desktop.InstanceID != "" {
				accepted++
			}
		}
		if accepted == len(step.Meeting.Seats) {
			return failures, nil
		}
		for _, call := range step.Calls() {
			if call[0].Do != plan.Launch {
				continue
			}
			if err := h.Settle(ctx, step.Meeting, h.Perform(ctx, step, call)); err != nil {
				return failures, err
			}
		}
		if len(step.Effects) == 0 {
			time.Sleep(time.Until(step.Meeting.WakeAt))
		}
	}
}

// TestMakespan launches many meetings of two at once against the documented buckets, and compares the time until the last
// machine was accepted with the bound: what one call per meeting, and the account's buckets, allow at best.
func TestMakespan(t *testing.T) {
	t.Parallel()
	for _, n := range starts {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &ec2test.Server{Buckets: ec2test.Documented(), Latency: 300 * time.Millisecond, Phase: 700 * time.Millisecond, Boot: 5 * time.Second}
				h := newHouse(open(s, ec2compute.Rates{}))
				startsAt := time.Now().Add(10 * time.Minute)
				var wg sync.WaitGroup
				for range n {
					id := h.schedule(t, startsAt).ID
					wg.Go(func() {
						if failures, err := h.launch(t.Context(), id); err != nil || failures > 0 {
							t.Errorf("after %v: %d failures, %v", time.Since(startsAt.Add(-10*time.Minute)), failures, err)
						}
					})
				}
				wg.Wait()
				var first, last time.Time
				for _, m := range s.Machines() {
					if first.IsZero() {
						first = m.Launched
					}
					last = m.Launched
				}
				bound := max(math.Ceil(float64(n-5)/2), math.Ceil(float64(2*n-1000)/2), 0)
				took := last.Sub(first).Seconds()
				t.Logf("%d meetings: %.1f s, bound %.0f s, ratio %.3f; calls: %d RunInstances, %d DescribeInstances, %.2f per meeting; %d throttled", n, took, bound, took/bound,
					s.Calls("RunInstances"), s.Calls("DescribeInstances"), float64(s.Calls(""))/float64(n), s.Throttled())
				if took > 1.05*bound {
					t.Errorf("took %.1f s, more than 1.05 × %.0f s", took, bound)
				}
				if s.Throttled() > 0 {
					t.Errorf("%d calls were one too many", s.Throttled())
				}
				if got := len(s.Machines()); got != 2*n || s.Calls("RunInstances") != n {
					t.Errorf("%d calls made %d machines for %d meetings", s.Calls("RunInstances"), got, n)
				}
			})
		})
	}
}
