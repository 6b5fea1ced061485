// Package sim runs meetings through a simulated world in fake time: the real planner, advancer, sweeper and use cases, several
// replicas of them, people, machines, a provider and a zone, with everything that can fail. One seed is one history, and
// replays exactly. After every step it checks what greenroom promises.
package sim

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"greenroom"
)

// Options of a life.
type Options struct {
	Climate string // of Climates; empty: the seed picks
	Trace   bool   // keep everything that happened
}

// Report is what came of a life.
type Report struct {
	Seed    uint64
	Climate string
	Broken  string // the promise that was broken, or empty
	Trace   string // everything that happened, if it was asked for
	Lasted  time.Duration

	Meetings, Steps, Effects, Calls, Sweeps, Machines, Events int
	Watched                                                   time.Duration // of desktops that were ready or in use, all together
	Falses                                                    int           // of these, given up though nothing was wrong with them

	Faults map[string]int
	Ends   map[greenroom.EndReason]int
}

// Run simulates the life of a seed.
func Run(seed uint64, o Options) Report {
	p := &pool{}
	defer p.close()
	return run(seed, o, p)
}

func run(seed uint64, o Options, p *pool) Report {
	climate := o.Climate
	if climate == "" {
		names := slices.Sorted(maps.Keys(Climates))
		climate = names[rand.New(rand.NewPCG(seed, 1)).IntN(len(names))]
	}
	var trace *strings.Builder
	if o.Trace {
		trace = &strings.Builder{}
	}
	l := newLife(seed, Climates[climate], trace, p)
	l.lead()
	r := Report{
		Seed: seed, Climate: climate, Broken: l.broken, Lasted: l.now, Meetings: len(l.books), Steps: l.steps, Effects: l.effects, Calls: l.calls,
		Sweeps: l.sweeps, Machines: len(l.machines), Events: l.events, Watched: l.watched, Falses: l.falses, Faults: l.faults, Ends: map[greenroom.EndReason]int{},
	}
	for _, b := range l.books {
		r.Ends[b.now.EndReason]++
	}
	if trace != nil {
		r.Trace = trace.String()
	}
	return r
}
