// Command simulate runs meetings through a simulated world in which everything fails, and checks what greenroom
// promises after every step. See docs/simulation.md.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"time"

	"greenroom/internal/sim"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run returns the exit code: 0, 1 for a broken promise, 2 for wrong usage.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("simulate", flag.ContinueOnError)
	flags.SetOutput(stderr)
	lives := flags.Uint64("lives", 10_000, "how many meetings' lives to lead, some in one world")
	seed := flags.Uint64("seed", 1, "seed of the first world; the others follow")
	climate := flags.String("climate", "", "calm, rough, storm, fog, busy or scarce; the seed picks if none is given")
	procs := flags.Int("procs", 0, "worlds at once; 0 is one for each processor")
	verbose := flags.Bool("v", false, "with -lives 1: print everything that happened")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if _, known := sim.Climates[*climate]; *climate != "" && !known || flags.NArg() > 0 || *lives == 0 {
		fmt.Fprintln(stderr, "simulate: give -climate calm, rough, storm, fog, busy or scarce, at least one life, and no arguments")
		return 2
	}
	if *verbose && *lives == 1 {
		r := sim.Run(*seed, sim.Options{Climate: *climate, Trace: true})
		fmt.Fprint(stdout, r.Trace)
		return verdict(stdout, &r)
	}
	c := sim.Campaign{First: *seed, Lives: *lives, Climate: *climate, Workers: *procs, Progress: func(t sim.Total) {
		fmt.Fprintf(stderr, "%d lives in %s\n", t.Meetings, t.Took.Round(time.Second))
	}}
	debug.SetGCPercent(1600) // little lives, and much is left behind
	total := c.Run(ctx)
	total.Print(stdout)
	if f := total.Failed; f != nil {
		replay := sim.Run(f.Seed, sim.Options{Climate: f.Climate, Trace: true})
		fmt.Fprintf(stdout, "\n%s", replay.Trace)
		return verdict(stdout, f)
	}
	return 0
}

func verdict(w io.Writer, r *sim.Report) int {
	if r.Broken == "" {
		return 0
	}
	fmt.Fprintf(w, "\nseed %d (%s) broke a promise: %s\nreplay it with: simulate -seed %d -climate %s -lives 1 -v\n", r.Seed, r.Climate, r.Broken, r.Seed, r.Climate)
	return 1
}
