package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"greenroom"
	"greenroom/internal/store/memstore"
)

// epoch is when lives begin: so far ahead that no timer of a context, which runs on the real clock, ever fires.
var epoch = time.Date(2200, time.January, 1, 9, 0, 0, 0, time.UTC)

// maxOffset bounds how far a process's clock is off. The plan tolerates five seconds between any two.
const maxOffset = 2 * time.Second

// mostEvents bounds a life.
const mostEvents = 1_000_000

const zoneName = "desk.example"

// life is one history: a world, the processes that move it and the people in it, in fake time.
type life struct {
	rng     *rand.Rand
	rates   Rates
	now     time.Duration // since epoch
	events  int           // so far
	queue   queue
	cur     *thread // that runs
	threads map[*thread]struct{}
	pool    *pool
	kicked  bool
	bent    []*thread // that wait until a meeting's state changes

	store     *memstore.Store
	processes []*process
	books     []*book
	byID      map[string]*book
	blueprint greenroom.Blueprint
	ids       int

	machines  []*machine // in the order of their launches
	byToken   map[string]*machine
	byMachine map[string]*machine
	records   map[string]*record
	unnamed   map[string]time.Duration // when a name's removal took effect last
	written   map[string]bool          // the names that a save says are written
	proved    map[string]bool          // host names that were proved while everything was there
	provedAt  map[string]time.Duration // when a look saw everything there last
	asked     map[asked]int
	quota     int // of machines at once; 0: there is no bound

	launchAsked map[greenroom.Handle]time.Duration // when a machine was asked for last
	tokens      []accepted

	calmAt      time.Duration // faults stop
	calm        bool
	darkUntil   time.Duration
	sweepEvery  time.Duration
	closedAt    time.Duration // everything is over since; negative: it is not
	finalSweeps map[*process]int

	steps, effects, calls, sweeps, falses int
	watched                               time.Duration // desktops that were ready or in use, all together
	faults                                map[string]int
	broken                                string // the first promise that was broken
	trace                                 *strings.Builder
}

func newLife(seed uint64, rates Rates, trace *strings.Builder, p *pool) *life {
	l := &life{
		pool: p,
		rng:  rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15)), rates: rates, threads: map[*thread]struct{}{}, byID: map[string]*book{},
		byToken: map[string]*machine{}, byMachine: map[string]*machine{}, records: map[string]*record{}, unnamed: map[string]time.Duration{}, written: map[string]bool{}, proved: map[string]bool{}, provedAt: map[string]time.Duration{}, asked: map[asked]int{},
		closedAt: -1, finalSweeps: map[*process]int{}, faults: map[string]int{}, trace: trace,
	}
	l.store = memstore.New()
	l.store.OnWake = l.promised
	return l
}

// lead runs the life to its end, or to the first broken promise.
func (l *life) lead() {
	defer func() {
		l.cur = nil
		for t := range l.threads {
			t.onEnd = nil
			t.drop()
		}
	}()
	l.arrange()
	for len(l.queue.heap) > 0 && l.broken == "" && !l.atRest() {
		e := l.queue.pop()
		l.now = e.at
		if l.events++; l.events > mostEvents {
			l.fail("the life does not come to rest")
		}
		switch {
		case e.t == nil:
			e.f()
			l.flushKicks()
		case !e.t.over && e.gen == e.t.gen:
			l.resume(e.t)
		}
	}
	if l.broken == "" {
		l.checkEnd()
	}
}

// arrange makes the world as it is at the beginning.
func (l *life) arrange() {
	l.blueprint = l.makeBlueprint()
	l.calmAt = l.between(20*time.Minute, 3*time.Hour)
	l.sweepEvery = l.between(2*time.Minute, 10*time.Minute)
	l.foreigners()
	l.scarce()
	for i := range 1 + min(l.rng.IntN(5)/2, 2) {
		p := &process{l: l, name: fmt.Sprintf("p%d", i+1)}
		l.processes = append(l.processes, p)
		p.start()
	}
	for i := range 1 + l.rng.IntN(5)/2 { // 1, 1, 2, 2 or 3 meetings
		b := newBook(i)
		l.books = append(l.books, b)
		l.spawn(nil, aClient, "organiser", l.between(0, 30*time.Minute), func(t *thread) { l.organise(t, b) })
	}
	if l.hit(l.rates.Blackout, "blackout") {
		l.at(l.between(0, l.calmAt), l.blackout)
	}
	if l.hit(l.rates.Sleep, "sleep of the machine") {
		l.at(l.between(0, l.calmAt), l.sleep)
	}
	l.at(l.calmAt, l.becomeCalm)
}

func (l *life) makeBlueprint() greenroom.Blueprint {
	b := greenroom.DefaultBlueprint()
	b.Provider = "sim"
	var roles []greenroom.Role
	for _, name := range []string{"teacher", "student", "guest"}[:1+l.rng.IntN(3)] {
		roles = append(roles, greenroom.Role{Name: name, Count: 1 + l.rng.IntN(4)/3*l.rng.IntN(3), Max: 4}) // mostly one
	}
	b.SetRoles(roles)
	if l.rng.IntN(2) == 0 {
		b.Protocol, b.Agent = "dcv", "none"
	}
	if l.rng.IntN(4) > 0 {
		b.Rules.StageDeadline = nil // the same, by default
	}
	switch l.rng.IntN(50) { // each look costs as much as all else in a quiet minute
	case 0:
		b.Rules.ProofAge = greenroom.Duration(15 * time.Second)
	case 1, 2, 3, 4:
	default:
		b.Rules.ProofAge = greenroom.Duration(10 * time.Minute)
	}
	minutes := func(from, to int) greenroom.Duration {
		return greenroom.Duration(time.Duration(from+l.rng.IntN(to-from+1)) * time.Minute)
	}
	if l.rng.IntN(3) > 0 {
		r := &b.Rules
		r.Lead, r.NoShowAfter, r.EmptyAfter, r.Grace, r.Overtime = minutes(0, 15), minutes(2, 20), minutes(1, 12), minutes(0, 8), minutes(0, 30)
		r.KillAfter = r.Lead + max(r.Grace, r.Overtime) + minutes(30, 120)
	}
	return b
}

// blackout kills everything that controls, for long. The machines obey their kill time alone.
func (l *life) blackout() {
	if l.calm {
		return
	}
	l.log("the control plane goes away")
	l.darkUntil = min(l.now+l.between(10*time.Minute, 14*time.Hour), max(l.calmAt, l.now+10*time.Minute))
	if l.rng.IntN(3) == 0 { // the weather stays bad for as long as it takes
		l.darkUntil = l.now + l.between(time.Hour, 14*time.Hour)
	}
	for _, p := range l.processes {
		p.crash()
	}
	l.at(l.darkUntil, l.revive)
}

func (l *life) revive() {
	for _, p := range l.processes {
		if !p.alive && l.now >= l.darkUntil {
			p.start()
		}
	}
}

// becomeCalm ends the faults. What failed before is still there.
func (l *life) becomeCalm() {
	if l.calm {
		return
	}
	l.log("the world is calm")
	l.calm = true
	l.calmAt = max(l.now, l.darkUntil)
	l.after(0, l.checkOpen)
	for _, p := range l.processes {
		p.stopped = l.darkUntil // it may sleep yet
	}
	l.revive()
}

// atRest reports whether all meetings are over and every process has swept twice since.
func (l *life) atRest() bool {
	if l.closedAt < 0 {
		return false
	}
	for _, p := range l.processes {
		if l.finalSweeps[p] >= 2 {
			return true
		}
	}
	return false
}

// untilTurn waits until the state of some meeting has changed, at most d: what comes then comes at the worst moment.
func (l *life) untilTurn(d time.Duration) {
	t := l.cur
	l.bent = append(l.bent, t)
	t.wait(d)
	l.bent = slices.DeleteFunc(l.bent, func(o *thread) bool { return o == t })
}

// turn wakes those that wait for a change of state.
func (l *life) turn() {
	for _, t := range l.bent {
		t.wake()
	}
}

func (l *life) newID() string {
	l.ids++
	return fmt.Sprintf("meeting%08d%c", l.ids, 'a'+l.rng.IntN(26))
}

// between draws a duration.
func (l *life) between(from, to time.Duration) time.Duration {
	if to <= from {
		return from
	}
	return from + time.Duration(l.rng.Int64N(int64(to-from)))
}

// hit reports whether a fault happens now, and counts it.
func (l *life) hit(rate float64, fault string) bool {
	if rate == 0 || l.calm || l.rng.Float64() >= rate {
		return false
	}
	l.count(fault)
	return true
}

func (l *life) count(fault string) { l.faults[fault]++ }

func (l *life) at(at time.Duration, f func())   { l.queue.push(event{at: max(at, l.now), f: f}) }
func (l *life) after(d time.Duration, f func()) { l.at(l.now+d, f) }

// replica gives a process that answers, or nil.
func (l *life) replica() *process {
	var up []*process
	for _, p := range l.processes {
		if p.alive && p.stopped <= l.now {
			up = append(up, p)
		}
	}
	if len(up) == 0 {
		return nil
	}
	return up[l.rng.IntN(len(up))]
}

// fail notes a broken promise; the first one ends the life.
func (l *life) fail(format string, args ...any) {
	if l.broken == "" {
		l.broken = fmt.Sprintf(format, args...)
		l.log("BROKEN: %s", l.broken)
	}
}

func (l *life) log(format string, args ...any) {
	if l.trace != nil {
		fmt.Fprintf(l.trace, "%s %s\n", epoch.Add(l.now).Format("15:04:05.000"), fmt.Sprintf(format, args...))
	}
}
