package ec2compute_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"greenroom"
	"greenroom/internal/advance"
	"greenroom/internal/compute"
	"greenroom/internal/compute/ec2compute"
	"greenroom/internal/dns"
	"greenroom/internal/plan"
	"greenroom/internal/testenv/ec2test"
)

// noZone is a zone without names: these lives are about machines.
type noZone struct{}

func (noZone) SetRecords(context.Context, []dns.Record) error   { return nil }
func (noZone) DeleteRecords(context.Context, []string) error    { return nil }
func (noZone) GetRecords(context.Context) ([]dns.Record, error) { return nil, nil }

// rough is a world in which much goes wrong.
func rough(rng *rand.Rand) func(ec2test.Call) (ec2test.Fault, bool) {
	return func(c ec2test.Call) (ec2test.Fault, bool) {
		if c.Action != "RunInstances" {
			return ec2test.Fault{Code: "InternalError", Status: 500}, rng.IntN(10) == 0
		}
		if c.Subnet == ec2test.SubnetA && rng.IntN(3) == 0 {
			return ec2test.Fault{Code: "InsufficientInstanceCapacity", Status: 500}, true
		}
		switch rng.IntN(10) {
		case 0, 1:
			return ec2test.Fault{Lost: true}, true
		case 2:
			return ec2test.Fault{Partial: true}, true
		case 3:
			return ec2test.Fault{Code: "InternalError", Status: 500}, true
		case 4:
			return ec2test.Fault{Code: "RequestLimitExceeded", Status: 503}, true
		}
		return ec2test.Fault{}, false
	}
}

// life moves one meeting, by processes that die at any point and know nothing then.
type life struct {
	*house
	t      *testing.T
	rng    *rand.Rand
	server *ec2test.Server
	id     string
}

func (l *life) process() {
	before := l.house
	l.house = newHouse(open(l.server, ec2compute.Rates{}))
	l.Records = noZone{}
	if before != nil {
		l.store, l.Meetings = before.store, before.store
	}
}

// until moves the meeting until it is as wanted.
func (l *life) until(what string, ok func(m greenroom.Meeting) bool) {
	l.t.Helper()
	deadline := time.Now().Add(40 * time.Minute)
	for {
		if time.Now().After(deadline) {
			l.t.Fatalf("waited in vain for: %s", what)
		}
		step, err := l.Step(l.t.Context(), l.id)
		if err != nil {
			time.Sleep(time.Second) // the engine comes again
			continue
		}
		if ok(step.Meeting) {
			return
		}
		if len(step.Effects) == 0 {
			time.Sleep(min(max(time.Until(step.Meeting.WakeAt), 100*time.Millisecond), 5*time.Second))
		}
		for _, call := range step.Calls() {
			if call[0].Do == plan.Prove {
				continue
			}
			outcomes := l.Perform(l.t.Context(), step, call)
			if l.rng.IntN(3) == 0 { // it dies before it has saved what came of it
				l.process()
				continue
			}
			if err := l.Settle(l.t.Context(), step.Meeting, outcomes); err != nil {
				l.t.Fatal(err)
			}
		}
	}
}

// live lists the seats of the machines that run, and fails if an attempt at a seat ever had two.
func (l *life) live() map[string]string {
	l.t.Helper()
	all, live := map[string]string{}, map[string]string{}
	for _, m := range l.server.Machines() {
		seats := strings.Fields(m.Tags["greenroom:seats"])
		seat := seats[m.Index]
		if other, twice := all[seat]; twice {
			l.t.Errorf("the attempt %s had two machines, %s and %s", seat, other, m.ID)
		}
		all[seat] = m.ID
		if m.Live {
			live[m.ID] = seat
		}
	}
	return live
}

// TestRoughLives leads meetings through lost and partial answers, lag, zones without capacity and processes that die: no attempt
// ever has two machines, every seat gets one in the end, and what no seat owns is gone after two sweeps.
func TestRoughLives(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				rng := rand.New(rand.NewPCG(seed, 1))
				server := &ec2test.Server{Lag: time.Duration(rng.IntN(8000)) * time.Millisecond, Latency: 500 * time.Millisecond, Boot: 8 * time.Second, Buckets: ec2test.Documented(), Fault: rough(rng)}
				l := &life{t: t, rng: rng, server: server}
				l.process()
				l.id = l.schedule(t, time.Now().Add(10*time.Minute)).ID
				var owned map[string]bool
				l.until("a machine for each seat", func(m greenroom.Meeting) bool {
					owned = map[string]bool{}
					for i := range m.Seats {
						d := &m.Seats[i].Desktop
						if d.Phase == greenroom.Naming || d.Phase == greenroom.Proving {
							owned[d.InstanceID] = true
						}
					}
					return len(owned) == len(m.Seats)
				})
				for id := range owned {
					if l.live()[id] == "" {
						t.Errorf("the seat's machine %s does not live", id)
					}
				}
				sweeper := &advance.Sweeper{Store: l.store, Providers: map[greenroom.Provider]compute.Provider{"ec2": open(server, ec2compute.Rates{})}, Records: noZone{}, Kick: func(string) {}, Now: time.Now, Logger: slog.New(slog.DiscardHandler)}
				server.Quiet()
				for range 2 {
					if err := sweeper.Sweep(t.Context()); err != nil {
						t.Error(err)
					}
					time.Sleep(time.Minute)
				}
				for id, seat := range l.live() {
					if !owned[id] {
						t.Errorf("%s of %s is nobody's, and lives after two sweeps", id, seat)
					}
				}
				if len(l.live()) != len(owned) {
					t.Errorf("%v live, %v are owned", l.live(), owned)
				}
				l.end()
				if left := l.live(); len(left) > 0 {
					t.Errorf("after the end %v live", left)
				}
			})
		})
	}
}

// end ends the meeting and waits until nothing of it is left.
func (l *life) end() {
	l.t.Helper()
	m, err := l.store.Meeting(l.t.Context(), l.id)
	if err != nil {
		l.t.Fatal(err)
	}
	m.EndReason, m.EndedAt = greenroom.EndedByHost, time.Now().UTC()
	if _, err := l.store.Update(l.t.Context(), m, nil); err != nil {
		l.t.Fatal(err)
	}
	l.until("the end", func(m greenroom.Meeting) bool { return m.Closed })
}
