package sim

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"greenroom"
	"greenroom/internal/advance"
	"greenroom/internal/backoff"
	"greenroom/internal/compute"
	"greenroom/internal/meetings"
	"greenroom/internal/plan"
	"greenroom/internal/store"
)

// process is one replica of the control plane: the real use cases, advancer and sweeper over a view of the world
// that may fail, with a clock of its own. What it knows dies with it.
type process struct {
	l       *life
	name    string
	offset  time.Duration // of its clock
	stopped time.Duration // until then it does not run, though it lives
	alive   bool
	born    int // starts so far
	threads []*thread

	advancer *advance.Advancer
	sweeper  *advance.Sweeper
	service  *meetings.Service

	running  map[string]bool
	again    map[string]bool
	failures map[string]int
	kicks    []string
}

// clock is what the process takes for now.
func (p *process) clock() time.Time { return epoch.Add(p.l.now + p.offset) }

// setClock draws how far the clock is off; the extremes are the ones that matter.
func (p *process) setClock() {
	switch l := p.l; l.rng.IntN(4) {
	case 0:
		p.offset = -maxOffset
	case 1:
		p.offset = maxOffset
	default:
		p.offset = l.between(-maxOffset, maxOffset)
	}
}

// Bounds of the engine that are modelled here; see package engine.
const (
	secondBell   = 10 * time.Second
	lookEvery    = time.Minute
	renewEvery   = 2500 * time.Millisecond // half of a pass's lease
	maxConflicts = 16
)

// retries are those of a meeting whose passes fail, without the spread.
var retries = backoff.Schedule{First: 500 * time.Millisecond, Most: time.Minute}

// start begins a life of the process, with nothing in its memory.
func (p *process) start() {
	l := p.l
	p.alive, p.stopped, p.kicks = true, 0, nil
	p.born++
	p.setClock()
	delete(l.finalSweeps, p)
	p.running, p.again, p.failures = map[string]bool{}, map[string]bool{}, map[string]int{}
	keeper := &ledger{l}
	providers := map[greenroom.Provider]compute.Provider{"sim": (*cloud)(l)}
	logger := slog.New(complaints{l})
	p.service = meetings.New(meetings.Options{
		Store: keeper, Blueprints: []greenroom.Blueprint{l.blueprint}, Kick: p.kick, Issuer: issuer{},
		Keys:  meetings.Keys{Master: []byte("the simulation's master key")},
		Links: meetings.Links{PublicURL: "https://greenroom.example", ControlURL: "https://greenroom.example", DesktopPort: greenroom.DesktopPort},
		Now:   p.clock, NewID: l.newID, Logger: logger, Races: true,
	})
	p.advancer = &advance.Advancer{
		Meetings: keeper, Providers: providers, Records: (*zone)(l), Prober: (*prober)(l), Zone: zoneName,
		UserData: p.service.UserData, Now: p.clock, Logger: logger, Live: keeper.Live,
	}
	p.sweeper = &advance.Sweeper{Store: keeper, Providers: providers, Records: (*zone)(l), Kick: p.kick, Now: p.clock, Logger: logger}
	l.spawn(p, aSweep, "sweep", l.between(0, 10*time.Second), p.sweep)
	for _, b := range l.books {
		if w := b.wake; b.open() && w.at <= l.now {
			p.ring(b.id, l.between(0, time.Second))
		}
	}
	l.log("%s starts, its clock is off by %s", p.name, p.offset)
}

// crash ends the process. What it has asked the world for may still happen.
func (p *process) crash() {
	if !p.alive {
		return
	}
	p.l.log("%s dies", p.name)
	p.l.count("crash")
	p.alive = false
	for len(p.threads) > 0 {
		p.threads[0].drop()
	}
	p.l.after(p.l.between(time.Second, p.l.rates.DownFor), func() {
		if !p.alive && p.l.now >= p.l.darkUntil {
			p.start()
		}
	})
}

func (p *process) sweep(t *thread) {
	for {
		p.l.sweeps++
		began := p.l.now
		if err := p.sweeper.Sweep(context.Background()); err != nil {
			p.l.log("%s sweep: %v", p.name, err)
		} else {
			p.swept(began)
		}
		if p.l.hit(p.l.rates.SweepSoon, "two sweeps at once") {
			continue
		}
		t.sleep(p.l.sweepEvery)
	}
}

// swept counts the whole sweeps that this life of the process made over a world at rest.
func (p *process) swept(began time.Duration) {
	if l := p.l; l.closedAt >= 0 && l.calm && began > max(l.closedAt, l.calmAt) {
		l.finalSweeps[p]++
	}
}

// kick is the hint of the use cases and of the sweep. Hints are passed on after the step, in an order of their own.
func (p *process) kick(id string) {
	p.kicks = append(p.kicks, id)
	p.l.kicked = true
}

func (l *life) flushKicks() {
	if !l.kicked {
		return
	}
	l.kicked = false
	for _, p := range l.processes {
		slices.Sort(p.kicks)
		for _, id := range slices.Compact(p.kicks) {
			times, delay := 1, l.between(0, 20*time.Millisecond)
			if l.hit(l.rates.KickLost, "kick lost, late or twice") {
				times, delay = l.rng.IntN(3), l.between(0, 20*time.Second)
			}
			for range times {
				p.ring(id, delay)
			}
		}
		p.kicks = p.kicks[:0]
	}
}

// wake is the promise of a meeting's last save.
type wake struct {
	n  int // of the save
	at time.Duration
}

// promised keeps the promise of a save, as the engine does: the saver's alarm at its time, a fallback bell on any
// replica if nothing came of that, and then a look each minute.
func (l *life) promised(w store.Wake) {
	b := l.byID[w.Meeting]
	if b == nil {
		return
	}
	b.wake.n++
	b.wake.at = forever
	if w.At.IsZero() {
		return
	}
	b.wake.at = w.At.Sub(epoch)
	if p := l.cur.p; p != nil {
		b.wake.at -= p.offset
	}
	l.at(max(b.wake.at, l.now)+l.between(0, 50*time.Millisecond), l.bell(b, b.wake.n, l.cur.p, 0))
}

// bell rings for the n-th save of a meeting, unless another followed it.
func (l *life) bell(b *book, n int, saver *process, rung int) func() {
	born := 0
	if saver != nil {
		born = saver.born
	}
	return func() {
		if b.wake.n != n {
			return
		}
		p := saver
		if rung > 0 || p == nil || !p.alive || p.born != born {
			p = l.replica()
		}
		if p != nil && (rung > 0 || p == saver) {
			p.ring(b.id, 0)
		}
		next := lookEvery
		if rung == 0 {
			next = secondBell + l.between(0, 7*time.Second)
		}
		l.after(next, l.bell(b, n, saver, rung+1))
	}
}

// ring begins a pass, or lets another follow the one that runs.
func (p *process) ring(id string, delay time.Duration) {
	if !p.alive {
		return
	}
	born := p.born
	p.l.after(delay, func() {
		if !p.alive || p.born != born {
			return
		}
		if p.running[id] {
			p.again[id] = true
			return
		}
		p.running[id] = true
		var err error
		t := p.l.spawn(p, aPass, id, 0, func(t *thread) { err = p.pass(t, id) })
		t.onEnd = func() {
			if p.alive && p.born == born {
				p.passed(id, err)
			}
		}
	})
}

func (p *process) passed(id string, err error) {
	delete(p.running, id)
	switch {
	case err != nil && !errors.Is(err, greenroom.ErrNotFound):
		p.l.log("%s pass of %s: %v", p.name, id, err)
		p.failures[id]++
		p.ring(id, retries.After(p.failures[id]-1))
	case p.again[id]:
		p.failures[id] = 0
		p.ring(id, 0)
	default:
		p.failures[id] = 0
	}
	delete(p.again, id)
}

// pass is Advance without goroutines: the same pieces in the same order, with effects under way at once.
func (p *process) pass(t *thread, id string) error {
	ctx, inFlight, conflicts := context.Background(), map[plan.Effect]bool{}, 0
	var outcomes []plan.Outcome
	var calls []*thread
	defer func() {
		for _, c := range calls {
			c.drop()
		}
	}()
	for {
		p.l.steps++
		t.looked, t.planning = p.l.now, true
		step, err := p.advancer.Step(ctx, id)
		t.planning = false
		switch {
		case errors.Is(err, greenroom.ErrConflict) && conflicts < maxConflicts:
			conflicts++
			continue
		case err != nil:
			return err
		}
		conflicts = 0
		step.Effects = slices.DeleteFunc(step.Effects, func(e plan.Effect) bool { return inFlight[e] })
		if len(step.Effects) > 0 {
			calls = append(calls, p.begin(t, step, inFlight, &outcomes)...)
		}
		if len(inFlight) == 0 {
			return nil
		}
		if len(outcomes) == 0 {
			t.wait(renewEvery)
		}
		if len(outcomes) == 0 {
			continue
		}
		got := outcomes
		outcomes = nil
		for _, o := range got {
			delete(inFlight, o.Effect)
		}
		if err := p.advancer.Settle(ctx, step.Meeting, got); err != nil {
			return err
		}
	}
}

// begin starts the calls of a step, which add to what came of them.
func (p *process) begin(t *thread, step advance.Step, inFlight map[plan.Effect]bool, outcomes *[]plan.Outcome) []*thread {
	var calls []*thread
	for _, call := range step.Calls() {
		for _, e := range call {
			inFlight[e] = true
		}
		p.l.effects += len(call)
		c := p.l.spawn(p, anEffect, string(call[0].Do), p.l.between(0, time.Millisecond), func(*thread) {
			*outcomes = append(*outcomes, p.advancer.Perform(context.Background(), step, call)...)
		})
		c.onEnd = t.wake
		calls = append(calls, c)
	}
	return calls
}
