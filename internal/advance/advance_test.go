package advance_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"greenroom"
	"greenroom/internal/advance"
	"greenroom/internal/compute"
	"greenroom/internal/dns"
	"greenroom/internal/plan"
	"greenroom/internal/store"
	"greenroom/internal/store/memstore"
)

// cloud is a provider and a zone with state, faults on demand, and a memory of what was asked of it.
type cloud struct {
	mu        sync.Mutex
	Boot      time.Duration // from launch to running
	NextErr   error         // of the next launch, which then has no effect
	Looks     int
	LoseReply bool          // the next launch takes hold and its answer is an error
	Hang      string        // a role whose launches hang until their context ends
	SlowName  time.Duration // that a record takes to be written
	Launches  []string      // tokens, in order of the calls
	instances map[string]compute.Instance
	names     map[string]netip.Addr
}

func newCloud() *cloud {
	return &cloud{instances: map[string]compute.Instance{}, names: map[string]netip.Addr{}}
}

func (c *cloud) Launch(ctx context.Context, requests []compute.Request) []compute.Outcome {
	out := make([]compute.Outcome, len(requests))
	for i, r := range requests {
		out[i] = c.launch(ctx, r)
	}
	return out
}

func (c *cloud) launch(ctx context.Context, r compute.Request) compute.Outcome {
	if c.Hang == r.Handle.Seat {
		<-ctx.Done()
		return compute.Outcome{Err: context.Cause(ctx)}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	token := r.Handle.Token()
	c.Launches = append(c.Launches, token)
	if err := c.NextErr; err != nil {
		c.NextErr = nil
		return compute.Outcome{Err: err}
	}
	if _, ok := c.instances[token]; !ok {
		c.instances[token] = compute.Instance{ID: greenroom.InstanceIDFromToken(token), Handle: r.Handle, LaunchedAt: time.Now()}
	}
	if c.LoseReply {
		c.LoseReply = false
		return compute.Outcome{Err: errors.New("connection reset")}
	}
	return compute.Outcome{Instance: c.see(c.instances[token])}
}

func (c *cloud) see(i compute.Instance) compute.Instance {
	i.State = compute.Pending
	if time.Since(i.LaunchedAt) >= c.Boot {
		i.State, i.Address = compute.Running, "127.0.1.1"
	}
	return i
}

func (c *cloud) Places(greenroom.Blueprint) []string { return nil }

func (c *cloud) List(_ context.Context, meeting string) ([]compute.Instance, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.Looks++
	var out []compute.Instance
	for _, i := range c.instances {
		if meeting == "" || i.Handle.Meeting == meeting {
			out = append(out, c.see(i))
		}
	}
	return out, nil
}

func (c *cloud) Terminate(_ context.Context, ids ...string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.DeleteFunc(c.instances, func(_ string, i compute.Instance) bool { return slices.Contains(ids, i.ID) })
	return nil
}

func (c *cloud) SetRecords(_ context.Context, records []dns.Record) error {
	time.Sleep(c.SlowName)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range records {
		c.names[r.Name] = r.Address
	}
	return nil
}

func (c *cloud) DeleteRecords(_ context.Context, names []string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.DeleteFunc(c.names, func(n string, _ netip.Addr) bool { return slices.Contains(names, n) })
	return nil
}

func (c *cloud) GetRecords(context.Context) ([]dns.Record, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []dns.Record
	for n, a := range c.names {
		out = append(out, dns.Record{Name: n, Address: a})
	}
	return out, nil
}

func (c *cloud) Probe(_ context.Context, hostname string, _ ...netip.Addr) greenroom.Proof {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.names[hostname]
	return greenroom.Proof{OK: ok, At: time.Now(), Steps: []greenroom.ProofStep{{Name: "dns", OK: ok}}}
}

// life is one meeting with everything that moves it.
type life struct {
	*cloud
	t        *testing.T
	store    *memstore.Store
	advancer *advance.Advancer
	id       string
}

// newLife schedules a meeting that starts in start. Its protocol needs no agent, so that the proof alone decides.
func newLife(t *testing.T, start time.Duration) *life {
	t.Helper()
	l := &life{cloud: newCloud(), t: t, store: memstore.New()}
	l.advancer = &advance.Advancer{
		Meetings: l.store, Providers: map[greenroom.Provider]compute.Provider{"local": l.cloud}, Records: l.cloud, Prober: l.cloud, Zone: "desk.localhost",
		UserData: func(*greenroom.Meeting, *greenroom.Seat) ([]byte, error) { return []byte("{}"), nil },
		Now:      time.Now,
		Logger:   slog.New(slog.DiscardHandler),
	}
	now := time.Now().UTC()
	b := greenroom.DefaultBlueprint()
	b.Protocol, b.Agent = "dcv", "none"
	m := greenroom.Meeting{ID: greenroom.NewMeetingID(), Version: 1, Title: "Algebra", StartsAt: now.Add(start), EndsAt: now.Add(start + time.Hour), Blueprint: b, WakeAt: now}
	for _, role := range b.Seats {
		m.Seats = append(m.Seats, greenroom.Seat{ID: role, Role: role, Key: greenroom.NewSecret(), Desktop: greenroom.Desktop{
			Phase: greenroom.Planned, Attempt: 1, Timings: map[greenroom.Phase]time.Time{greenroom.Planned: now}}})
	}
	saved, _, err := l.store.Create(t.Context(), m, nil, store.Idempotency{})
	if err != nil {
		t.Fatal(err)
	}
	l.id = saved.ID
	return l
}

func (l *life) meeting() greenroom.Meeting {
	l.t.Helper()
	m, err := l.store.Meeting(l.t.Context(), l.id)
	if err != nil {
		l.t.Fatal(err)
	}
	return m
}

func (l *life) advance() {
	l.t.Helper()
	if err := l.advancer.Advance(l.t.Context(), l.id); err != nil {
		l.t.Fatal(err)
	}
}

// run lets time pass, advancing whenever the meeting's own wake says so. Losing every event must only cost
// latency, so that nothing else calls Advance here.
func (l *life) run(d time.Duration) {
	l.t.Helper()
	end := time.Now().Add(d)
	for {
		m := l.meeting()
		if m.WakeAt.IsZero() || m.WakeAt.After(end) {
			time.Sleep(time.Until(end))
			return
		}
		time.Sleep(max(time.Until(m.WakeAt), 0))
		l.advance()
	}
}

func (l *life) phases(want ...greenroom.Phase) {
	l.t.Helper()
	var got []greenroom.Phase
	m := l.meeting()
	for _, s := range m.Seats {
		got = append(got, s.Desktop.Phase)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		l.t.Fatalf("phases (-want +got):\n%s%s", diff, l.timeline())
	}
}

func (l *life) timeline() string {
	events, _ := l.store.Events(l.t.Context(), l.id, 0, 500)
	out := ""
	for _, e := range events {
		out += fmt.Sprintf("%s %s %s %s\n", e.At.Format(time.TimeOnly), e.Kind, e.Seat, e.Message)
	}
	return out
}

func TestLife(t *testing.T) {
	t.Parallel()
	t.Run("FromScheduleToNothingLeft", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := newLife(t, time.Hour)
			l.Boot = 40 * time.Second
			l.run(49 * time.Minute)
			l.phases(greenroom.Planned, greenroom.Planned)
			l.run(2 * time.Minute)
			l.phases(greenroom.Ready, greenroom.Ready)
			if len(l.names) != 2 {
				t.Errorf("%d names in the zone", len(l.names))
			}
			l.run(25 * time.Minute)
			l.phases(greenroom.Gone, greenroom.Gone)
			if m := l.meeting(); m.State() != greenroom.Waiting || !m.WakeAt.Equal(m.EndsAt) {
				t.Errorf("state %s, wake %v", m.State(), m.WakeAt)
			}
			if len(l.instances)+len(l.names) != 0 {
				t.Errorf("left: %v %v", l.instances, l.names)
			}
			launches := len(l.Launches)
			l.run(time.Hour)
			if m := l.meeting(); m.EndReason != greenroom.NoShow || !m.Closed || !m.EndedAt.Equal(m.EndsAt) || len(l.Launches) != launches {
				t.Errorf("ended %q at %v, closed %t, %d more launches", m.EndReason, m.EndedAt, m.Closed, len(l.Launches)-launches)
			}
		})
	})
	t.Run("WhoComesLateGetsADesktopUntilTheEnd", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := newLife(t, time.Minute)
			l.run(30 * time.Minute)
			l.phases(greenroom.Gone, greenroom.Gone)
			m := l.meeting()
			m.Seats[1].RequestedAt, m.WakeAt = time.Now(), time.Now()
			if _, err := l.store.Update(t.Context(), m, nil); err != nil {
				t.Fatal(err)
			}
			l.run(time.Minute)
			l.phases(greenroom.Gone, greenroom.Ready)
			l.run(16 * time.Minute)
			l.phases(greenroom.Gone, greenroom.Gone) // each desktop by itself, and again
		})
	})
	t.Run("ALostAnswerFindsTheSameMachine", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := newLife(t, time.Minute)
			l.LoseReply = true
			l.run(10 * time.Second)
			l.phases(greenroom.Ready, greenroom.Ready)
			if len(l.instances) != 2 {
				t.Errorf("%d machines for two seats", len(l.instances))
			}
			m := l.meeting()
			if a := m.Seats[0].Desktop.Attempt; a != 1 {
				t.Errorf("attempt %d for a machine that was there", a)
			}
		})
	})
	t.Run("ObserveOnDemandLooksOnlyAtMachinesThatSomethingIsWantedOf", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := newLife(t, time.Minute)
			l.advancer.PushEvents, l.advancer.ObserveOnDemand = true, true
			l.run(30 * time.Second)
			l.phases(greenroom.Ready, greenroom.Ready)
			before := l.Looks
			l.run(10 * time.Minute)
			clear(l.instances)
			l.advance()
			if l.phases(greenroom.Ready, greenroom.Ready); l.Looks != before {
				t.Errorf("looked %d times at machines that nothing is wanted of", l.Looks-before)
			}
			for range 3 { // the sweep misses them, and asks who looks
				if err := l.advancer.Look(t.Context(), l.id); err != nil {
					t.Fatal(err)
				}
				time.Sleep(6 * time.Second)
			}
			l.run(time.Minute)
			if m := l.meeting(); m.Seats[0].Desktop.Attempt != 2 || m.Seats[0].Desktop.Phase != greenroom.Ready {
				t.Errorf("machines that vanished were not replaced: %+v", m.Seats[0].Desktop)
			}
		})
	})
	t.Run("NoCapacityIsAnotherAttempt", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := newLife(t, time.Minute)
			l.NextErr = greenroom.ErrCapacity
			l.run(50 * time.Second)
			l.phases(greenroom.Ready, greenroom.Ready)
			m := l.meeting()
			if a := m.Seats[0].Desktop.Attempt; a != 2 {
				t.Errorf("attempt %d, want 2", a)
			}
		})
	})
	t.Run("OneSeatsHangingLaunchDoesNotHoldUpTheEnd", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := newLife(t, time.Minute)
			l.Hang = "student"
			l.run(10 * time.Minute)
			l.Hang = ""
			l.run(3 * time.Minute)
			l.phases(greenroom.Ready, greenroom.Ready)
		})
	})
	t.Run("ANameThatIsStillBeingWrittenIsRemovedAfterwards", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := newLife(t, time.Minute)
			l.SlowName = 8 * time.Second
			var pass sync.WaitGroup
			pass.Go(l.advance)
			time.Sleep(time.Second)
			m := l.meeting()
			if p := m.Seats[0].Desktop.Phase; p != greenroom.Naming {
				t.Fatalf("the desktop is %s, and should be named", p)
			}
			event := plan.End(&m, greenroom.EndedByHost, "The organiser ended it.", nil, time.Now())
			if _, err := l.store.Update(t.Context(), m, []greenroom.Event{event}); err != nil {
				t.Fatal(err)
			}
			pass.Wait()
			l.run(time.Minute)
			if m := l.meeting(); !m.Closed || len(l.names)+len(l.instances) > 0 {
				t.Errorf("closed %t, left %v %v", m.Closed, l.names, l.instances)
			}
		})
	})
	t.Run("AVanishedMachineIsReplaced", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := newLife(t, time.Minute)
			l.run(10 * time.Second)
			before := l.meeting().Seats[0].Desktop.InstanceID
			if err := l.Terminate(t.Context(), before); err != nil {
				t.Fatal(err)
			}
			sweeper := &advance.Sweeper{Store: l.store, Providers: map[greenroom.Provider]compute.Provider{"local": l.cloud}, Records: l.cloud,
				Kick: func(id string) { l.advance() }, Now: time.Now, Logger: l.advancer.Logger}
			if err := sweeper.Sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
			l.run(30 * time.Second)
			l.phases(greenroom.Ready, greenroom.Ready)
			if after := l.meeting().Seats[0].Desktop.InstanceID; after == before {
				t.Error("the lost machine was not replaced")
			}
		})
	})
	t.Run("TwoAtOnceDoNotLaunchTwice", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := newLife(t, time.Minute)
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() { _ = l.advancer.Advance(t.Context(), l.id) })
			}
			wg.Wait()
			l.run(10 * time.Second)
			l.phases(greenroom.Ready, greenroom.Ready)
			if len(l.instances) != 2 {
				t.Errorf("%d machines for two seats", len(l.instances))
			}
		})
	})
}

// crash is a store that dies after some writes, as a killed process would: nothing is saved after that.
type crash struct {
	*memstore.Store
	left int
}

var errCrashed = errors.New("crashed")

func (c *crash) Update(ctx context.Context, m greenroom.Meeting, events []greenroom.Event) (greenroom.Meeting, error) {
	if c.left == 0 {
		return m, errCrashed
	}
	c.left--
	return c.Store.Update(ctx, m, events)
}

// TestCrashAtEveryWrite kills the pass before its first, second, … write, both on the way up and on the way
// down, restarts, and expects one machine per seat and nothing left at the end.
func TestCrashAtEveryWrite(t *testing.T) {
	t.Parallel()
	for left := range 12 {
		t.Run(fmt.Sprintf("write %d", left), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := newLife(t, time.Minute)
				dying := *l.advancer
				dying.Meetings = &crash{l.store, left}
				_ = dying.Advance(t.Context(), l.id)
				l.run(40 * time.Second)
				l.phases(greenroom.Ready, greenroom.Ready)
				if len(l.instances) != 2 {
					t.Errorf("%d machines for two seats", len(l.instances))
				}
				m := l.meeting()
				event := plan.End(&m, greenroom.EndedByHost, "The organiser ended it.", nil, time.Now())
				m.WakeAt = time.Now()
				if _, err := l.store.Update(t.Context(), m, []greenroom.Event{event}); err != nil {
					t.Fatal(err)
				}
				dying.Meetings = &crash{l.store, left}
				_ = dying.Advance(t.Context(), l.id)
				l.run(2 * time.Minute)
				l.phases(greenroom.Gone, greenroom.Gone)
				if len(l.instances)+len(l.names) != 0 {
					t.Errorf("left: %v %v", l.instances, l.names)
				}
			})
		})
	}
}

// listless is a store in whose lists a meeting is never found.
type listless struct{ *memstore.Store }

func (listless) Live(context.Context, string) ([]greenroom.Meeting, string, error) {
	return nil, "", nil
}

// TestSweepKeepsTheNameOfASeatThatWasTakenOff, of one whose meeting the list leaves out, as an index may that is behind, and
// of one whose machine died, so that only the list tells whose it is.
func TestSweepKeepsTheNameOfASeatThatWasTakenOff(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(l *life, m *greenroom.Meeting){
		"taken off":    func(_ *life, m *greenroom.Meeting) { m.Seats[0].Removed = true },
		"in no list":   func(*life, *greenroom.Meeting) {},
		"machine died": func(l *life, _ *greenroom.Meeting) { clear(l.instances) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLife(t, time.Minute)
			l.advance()
			m := l.meeting()
			m.Seats[1].Desktop = greenroom.Desktop{Phase: greenroom.Planned, Attempt: 2}
			change(l, &m)
			if got := m.State(); got != greenroom.Preparing {
				t.Errorf("a meeting with a machine is %s", got)
			}
			if _, err := l.store.Update(t.Context(), m, nil); err != nil {
				t.Fatal(err)
			}
			kept := m.Seats[0].Desktop.Hostname
			if l.names[kept] == (netip.Addr{}) {
				t.Fatalf("%q was never named", kept)
			}
			sweeper := &advance.Sweeper{Store: l.store, Providers: map[greenroom.Provider]compute.Provider{"local": l.cloud}, Records: l.cloud, Kick: func(string) {}, Now: time.Now, Logger: l.advancer.Logger}
			if name == "in no list" {
				sweeper.Store = listless{l.store}
			}
			for range 3 {
				if err := sweeper.Sweep(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if l.names[kept] == (netip.Addr{}) {
				t.Errorf("the name %s of a live desktop was removed", kept)
			}
		})
	}
}

// TestSweep removes what belongs to no desktop, and only after a second look.
func TestSweep(t *testing.T) {
	t.Parallel()
	l := newLife(t, time.Minute)
	l.advance()
	ghost := greenroom.Handle{Meeting: "ghostghostghost1", Seat: "teacher", Attempt: 1}
	l.Launch(t.Context(), []compute.Request{{Handle: ghost}})
	_ = l.SetRecords(t.Context(), []dns.Record{{Name: "ghost.desk.localhost", Address: netip.MustParseAddr("127.0.1.7")}})
	sweeper := &advance.Sweeper{Store: l.store, Providers: map[greenroom.Provider]compute.Provider{"local": l.cloud}, Records: l.cloud,
		Kick: func(string) {}, Now: time.Now, Logger: l.advancer.Logger}
	for look, want := range []int{3, 2, 2} {
		if err := sweeper.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(l.instances) != want || len(l.names) != want {
			t.Errorf("after look %d: %d machines, %d names, want %d", look+1, len(l.instances), len(l.names), want)
		}
	}
}
