// Package observe lets others see what greenroom decides and which calls it makes, without a part in either. It wraps the
// contracts; what is done with what is seen (log, metrics, traces) is for whoever puts the program together.
package observe

import (
	"context"
	"time"

	"greenroom"
)

// Saved is a change of a meeting that was saved, with its entries on the timeline.
type Saved struct {
	Before  map[string]Stage // by seat, where the change may have moved desktops; nil: it moved none
	Meeting greenroom.Meeting
	Events  []greenroom.Event
}

// Stage is where a desktop stood.
type Stage struct {
	Phase greenroom.Phase
	Since time.Time
}

// Saves is told of each change after it was saved. It is called from many goroutines and must not block.
type Saves func(ctx context.Context, s Saved)

// Decisions adapts f to an Advancer, which knows the meeting before and after.
func Decisions(f Saves) func(ctx context.Context, before, after *greenroom.Meeting, events []greenroom.Event) {
	return func(ctx context.Context, before, after *greenroom.Meeting, events []greenroom.Event) {
		if len(events) > 0 {
			f(ctx, Saved{Before: stages(before), Meeting: *after, Events: events})
		}
	}
}

func stages(m *greenroom.Meeting) map[string]Stage {
	out := make(map[string]Stage, len(m.Seats))
	for i := range m.Seats {
		d := &m.Seats[i].Desktop
		out[m.Seats[i].ID] = Stage{Phase: d.Phase, Since: d.Timings[d.Phase]}
	}
	return out
}

// Entry is one entry of the timeline with what a line of the log says beside it.
type Entry struct {
	greenroom.Event
	From, To greenroom.Phase // empty: the entry tells of no move
	Took     time.Duration   // that the desktop was in From; 0: not known
}

// Entries follows each desktop through the events of one change.
func (s Saved) Entries() []Entry {
	out := make([]Entry, 0, len(s.Events))
	at := make(map[string]Stage, len(s.Before))
	for seat, stage := range s.Before {
		at[seat] = stage
	}
	for _, e := range s.Events {
		entry := Entry{Event: e}
		stage, known := at[e.Seat]
		if to := e.Entered(); known && to != "" && to != stage.Phase {
			entry.From, entry.To = stage.Phase, to
			if !stage.Since.IsZero() {
				entry.Took = max(e.At.Sub(stage.Since), 0)
			}
			at[e.Seat] = Stage{Phase: to, Since: e.At}
		}
		out = append(out, entry)
	}
	return out
}

// Together tells all of fs, in order.
func Together(fs ...Saves) Saves {
	return func(ctx context.Context, s Saved) {
		for _, f := range fs {
			f(ctx, s)
		}
	}
}
