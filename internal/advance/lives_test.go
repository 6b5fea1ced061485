package advance_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"greenroom"
	"greenroom/internal/advance"
	"greenroom/internal/compute"
	"greenroom/internal/dns"
	"greenroom/internal/plan"
	"greenroom/internal/store/memstore"
)

// lives is how many random lives are led; each is one seed and is replayed by it.
const lives = 400

var errWorld = errors.New("the world said no")

// dice decides what goes wrong. It is shared by everything in one life.
type dice struct {
	mu  sync.Mutex
	rng *rand.Rand
	off bool // nothing goes wrong any more
}

func (d *dice) one(in int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.off && d.rng.IntN(in) == 0
}

func (d *dice) pick(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rng.IntN(n)
}

// badWorld is the cloud with faults before and after every effect, and lists that lag.
type badWorld struct {
	*cloud
	*dice
	stale []compute.Instance
	since time.Time // of stale
}

// lag is how far a list may be behind: less than what is waited for before absence settles a launch.
const lag = 30 * time.Second

func (w *badWorld) Launch(ctx context.Context, requests []compute.Request) []compute.Outcome {
	out := make([]compute.Outcome, len(requests))
	for i, r := range requests {
		switch {
		case w.one(10):
			out[i] = compute.Outcome{Err: errWorld}
		case w.one(20):
			out[i] = compute.Outcome{Err: greenroom.ErrCapacity}
		default:
			out[i] = w.launch(ctx, r)
			if w.one(10) {
				out[i] = compute.Outcome{Err: errWorld}
			}
		}
	}
	return out
}

func (w *badWorld) List(ctx context.Context, meeting string) ([]compute.Instance, error) {
	if w.one(15) {
		return nil, errWorld
	}
	now, err := w.cloud.List(ctx, meeting)
	w.cloud.mu.Lock()
	old, recent := w.stale, time.Since(w.since) < lag
	w.stale, w.since = now, time.Now()
	w.cloud.mu.Unlock()
	if w.one(10) && recent { // what was launched since is missing, what was removed since is there
		return old, nil
	}
	return now, err
}

func (w *badWorld) Terminate(ctx context.Context, ids ...string) error {
	if w.one(8) {
		return errWorld
	}
	err := w.cloud.Terminate(ctx, ids...)
	if w.one(8) {
		return errWorld
	}
	return err
}

func (w *badWorld) SetRecords(ctx context.Context, records []dns.Record) error {
	if w.one(8) {
		return errWorld
	}
	err := w.cloud.SetRecords(ctx, records)
	if w.one(8) {
		return errWorld
	}
	return err
}

func (w *badWorld) DeleteRecords(ctx context.Context, names []string) error {
	if w.one(8) {
		return errWorld
	}
	err := w.cloud.DeleteRecords(ctx, names)
	if w.one(8) {
		return errWorld
	}
	return err
}

func (w *badWorld) Probe(ctx context.Context, hostname string, address netip.Addr) greenroom.Proof {
	if w.one(5) {
		return greenroom.Proof{At: time.Now(), Steps: []greenroom.ProofStep{{Name: "page", Detail: "no answer"}}}
	}
	return w.cloud.Probe(ctx, hostname, address)
}

// mortal is a process's view of the store: it may die before or after any write, and is dead from then on.
type mortal struct {
	*memstore.Store
	*dice
	dead bool
}

func (s *mortal) Meeting(ctx context.Context, id string) (greenroom.Meeting, error) {
	if s.dead {
		return greenroom.Meeting{}, errCrashed
	}
	return s.Store.Meeting(ctx, id)
}

func (s *mortal) Update(ctx context.Context, m greenroom.Meeting, events []greenroom.Event) (greenroom.Meeting, error) {
	if s.dead = s.dead || s.one(25); s.dead {
		return m, errCrashed
	}
	saved, err := s.Store.Update(ctx, m, events)
	if s.dead = s.one(25); s.dead {
		return m, errCrashed
	}
	return saved, err
}

// pass advances once, in a process that may die on the way.
func (l *life) pass(w *badWorld) {
	process := *l.advancer
	process.Meetings = &mortal{Store: l.store, dice: w.dice}
	process.Providers, process.Records, process.Prober = map[string]compute.Provider{"local": w}, w, w
	_ = process.Advance(l.t.Context(), l.id) // whatever went wrong, the next pass goes on
	l.oneMachinePerSeat()
}

// oneMachinePerSeat is the first promise.
func (l *life) oneMachinePerSeat() {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	seats := map[string]string{}
	for token, i := range l.instances {
		if other, ok := seats[i.Handle.Role]; ok {
			l.t.Fatalf("two machines for seat %s: %s and %s\n%s", i.Handle.Role, other, token, l.timeline())
		}
		seats[i.Handle.Role] = token
	}
}

// change is somebody else's write, as the use cases make them.
func (l *life) change(f func(m *greenroom.Meeting, s *greenroom.Seat) []greenroom.Event, seat int) {
	l.t.Helper()
	m := l.meeting()
	if m.Closed {
		return
	}
	events := f(&m, &m.Seats[seat%len(m.Seats)])
	m.WakeAt = time.Now()
	if _, err := l.store.Update(l.t.Context(), m, events); err != nil {
		l.t.Fatal(err)
	}
}

// happen lets people and the world do something nobody planned.
func (l *life) happen(w *badWorld) {
	seat := w.pick(2)
	switch w.pick(11) {
	case 0, 1:
		l.change(func(_ *greenroom.Meeting, s *greenroom.Seat) []greenroom.Event {
			if p := s.Desktop.Phase; p == greenroom.Ready || p == greenroom.InUse {
				s.Desktop.Agent.Connections = 1
			}
			return nil
		}, seat)
	case 2:
		l.change(func(_ *greenroom.Meeting, s *greenroom.Seat) []greenroom.Event {
			if s.Desktop.Agent.Connections > 0 {
				s.Desktop.Agent.Connections, s.LeftAt = 0, time.Now()
			}
			return nil
		}, seat)
	case 3:
		l.change(func(m *greenroom.Meeting, s *greenroom.Seat) []greenroom.Event {
			s.RequestedAt = time.Now()
			return nil
		}, seat)
	case 4: // a machine vanishes
		m := l.meeting()
		_ = l.Terminate(l.t.Context(), m.Seats[seat%len(m.Seats)].Desktop.InstanceID)
	case 5:
		l.change(func(m *greenroom.Meeting, _ *greenroom.Seat) []greenroom.Event {
			if m.EndReason == "" && w.pick(4) == 0 {
				return []greenroom.Event{plan.End(m, greenroom.EndedByHost, "The organiser ended it.", nil, time.Now())}
			}
			return nil
		}, seat)
	case 6:
		l.change(func(m *greenroom.Meeting, _ *greenroom.Seat) []greenroom.Event {
			if m.EndReason == "" {
				m.StartsAt, m.EndsAt = m.StartsAt.Add(20*time.Minute), m.EndsAt.Add(20*time.Minute)
			}
			return nil
		}, seat)
	case 7:
		l.change(func(m *greenroom.Meeting, _ *greenroom.Seat) []greenroom.Event {
			return []greenroom.Event{plan.Park(m, time.Now().Add(time.Duration(1+w.pick(3600))*time.Second), "", nil, time.Now())}
		}, seat)
	case 8:
		l.change(func(m *greenroom.Meeting, _ *greenroom.Seat) []greenroom.Event {
			return []greenroom.Event{plan.Resume(m, "The operator let go.", nil, time.Now())}
		}, seat)
	default:
		time.Sleep(time.Duration(1+w.pick(600)) * time.Second)
	}
}

// lead is one life from its seed.
func lead(t *testing.T, seed uint64) {
	d := &dice{rng: rand.New(rand.NewPCG(seed, 1))}
	l := newLife(t, time.Duration(d.pick(40)-5)*time.Minute)
	l.Boot = time.Duration(d.pick(60)) * time.Second
	w := &badWorld{cloud: l.cloud, dice: d}
	sweeper := func() *advance.Sweeper {
		return &advance.Sweeper{Store: l.store, Providers: map[string]compute.Provider{"local": w}, Records: w, Kick: func(string) { l.pass(w) }, Logger: l.advancer.Logger}
	}
	sweep := sweeper()
	for range 20 + d.pick(60) {
		switch d.pick(6) {
		case 0:
			l.happen(w)
		case 1: // two processes at once
			var wg sync.WaitGroup
			wg.Go(func() { l.pass(w) })
			wg.Go(func() { l.pass(w) })
			wg.Wait()
		case 2:
			_ = sweep.Sweep(t.Context())
		case 3: // a restart forgets what the last sweep saw
			sweep = sweeper()
		default:
			if wake := l.meeting().WakeAt; !wake.IsZero() {
				time.Sleep(max(time.Until(wake), 0))
			}
			l.pass(w)
		}
	}
	d.mu.Lock()
	d.off = true
	d.mu.Unlock()
	for range 400 {
		m := l.meeting()
		if m.Closed {
			break
		}
		if m.WakeAt.IsZero() {
			t.Fatalf("nothing will wake the meeting\n%s", l.timeline())
		}
		time.Sleep(max(time.Until(m.WakeAt), 0))
		l.pass(w)
	}
	if !l.meeting().Closed {
		t.Fatalf("the meeting never ended\n%s", l.timeline())
	}
	for range 2 {
		if err := sweep.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if len(l.instances)+len(l.names) != 0 {
		t.Fatalf("left two sweeps after the end: %v %v\n%s", l.instances, l.names, l.timeline())
	}
}

// TestRandomLives leads meetings through a world in which everything goes wrong: errors before and after every
// effect, lists that lag, processes that die before and after every write, two of them at once, machines that
// vanish, people who come, leave and come back, hosts who move and end. Each seed must end with nothing left.
func TestRandomLives(t *testing.T) {
	t.Parallel()
	for seed := range uint64(lives) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { lead(t, seed) })
		})
	}
}
