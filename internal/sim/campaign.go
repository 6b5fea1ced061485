package sim

import (
	"context"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"greenroom"
)

// Campaign is many worlds, from consecutive seeds, until as many meetings have lived in them.
type Campaign struct {
	First   uint64
	Lives   uint64 // of meetings; the worlds that are begun by then are run to their end
	Climate string // of Climates; empty: each seed picks
	Workers int    // worlds at once; 0 is one for each processor
	// Progress, if set, is told every ten seconds.
	Progress func(t Total)
}

// Total is what came of a campaign so far.
type Total struct {
	Report          // the sums; Broken is of Failed
	Worlds   uint64 // that were run
	Took     time.Duration
	Failed   *Report // the one with the smallest seed among those that were run; nil: none
	Climates map[string]uint64
}

// Run simulates the worlds, each alone in its worker, and stops at the first broken promise.
func (c Campaign) Run(ctx context.Context) Total {
	began := time.Now()
	total := Total{Report: Report{Faults: map[string]int{}, Ends: map[greenroom.EndReason]int{}}, Climates: map[string]uint64{}}
	var mu sync.Mutex
	var next, lives atomic.Uint64
	var failed atomic.Bool
	var workers sync.WaitGroup
	told := began
	for range cmpOr(c.Workers, runtime.GOMAXPROCS(0)) {
		workers.Go(func() {
			p := &pool{}
			defer p.close()
			for ctx.Err() == nil && !failed.Load() && lives.Load() < c.Lives {
				r := run(c.First+next.Add(1)-1, Options{Climate: c.Climate}, p)
				lives.Add(uint64(r.Meetings))
				mu.Lock()
				total.add(r)
				total.Took = time.Since(began)
				if r.Broken != "" {
					failed.Store(true)
				}
				if c.Progress != nil && time.Since(told) > 10*time.Second {
					told = time.Now()
					c.Progress(total)
				}
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	total.Took = time.Since(began)
	return total
}

func cmpOr(a, b int) int {
	if a > 0 {
		return a
	}
	return b
}

func (t *Total) add(r Report) {
	t.Worlds++
	t.Climates[r.Climate]++
	t.Lasted += r.Lasted
	t.Meetings += r.Meetings
	t.Steps += r.Steps
	t.Effects += r.Effects
	t.Calls += r.Calls
	t.Sweeps += r.Sweeps
	t.Machines += r.Machines
	t.Events += r.Events
	t.Watched += r.Watched
	t.Falses += r.Falses
	for k, n := range r.Faults {
		t.Faults[k] += n
	}
	for k, n := range r.Ends {
		t.Ends[k] += n
	}
	if r.Broken != "" && (t.Failed == nil || r.Seed < t.Failed.Seed) {
		t.Failed = &r
	}
}

// Print writes what came of the campaign: the sums, and the mean of a world.
func (t *Total) Print(w io.Writer) {
	n := float64(max(t.Worlds, 1))
	fmt.Fprintf(w, "%d meetings lived in %d worlds in %s: %.0f lives a minute\n", t.Meetings, t.Worlds, t.Took.Round(time.Millisecond), float64(t.Meetings)/t.Took.Minutes())
	for _, climate := range slices.Sorted(maps.Keys(t.Climates)) {
		fmt.Fprintf(w, "  %-34s %12d\n", climate, t.Climates[climate])
	}
	faults := 0
	for _, f := range t.Faults {
		faults += f
	}
	fmt.Fprintf(w, "a world, in the mean: %.1f h, %.1f meetings, %.1f machines, %.0f steps, %.1f effects, %.0f calls to the world, %.0f sweeps, %.0f events, %.1f faults\n",
		t.Lasted.Hours()/n, float64(t.Meetings)/n, float64(t.Machines)/n, float64(t.Steps)/n, float64(t.Effects)/n, float64(t.Calls)/n, float64(t.Sweeps)/n, float64(t.Events)/n, float64(faults)/n)
	fmt.Fprintf(w, "desktops that were ready: %.0f h; replaced though they were well: %d\n", t.Watched.Hours(), t.Falses)
	fmt.Fprintln(w, "faults:")
	for _, f := range slices.Sorted(maps.Keys(t.Faults)) {
		fmt.Fprintf(w, "  %-34s %12d\n", f, t.Faults[f])
	}
	fmt.Fprintln(w, "meetings ended as:")
	for _, r := range slices.Sorted(maps.Keys(t.Ends)) {
		fmt.Fprintf(w, "  %-34s %12d\n", r, t.Ends[r])
	}
}
