package plan_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"greenroom"
	"greenroom/internal/plan"
)

// world is all that a plan can meet, moved at random: a provider, a zone, people, a host, and time.
type world struct {
	t         *rapid.T
	m         greenroom.Meeting
	now       time.Time
	instances map[greenroom.Handle]*plan.Instance
	names     map[string]bool
}

func newWorld(t *rapid.T) *world {
	m := ok(greenroom.Planned)
	m.Blueprint.Rules.ProofAge = greenroom.Duration(rapid.SampledFrom([]time.Duration{time.Minute, time.Hour}).Draw(t, "proof age"))
	now := start.Add(-time.Duration(rapid.IntRange(-5, 40).Draw(t, "minutes before start")) * time.Minute)
	return &world{t: t, m: m, now: now, instances: map[greenroom.Handle]*plan.Instance{}, names: map[string]bool{}}
}

func (w *world) list() []plan.Instance {
	var out []plan.Instance
	for _, i := range w.instances {
		out = append(out, *i)
	}
	slices.SortFunc(out, func(a, b plan.Instance) int { return len(a.ID) - len(b.ID) })
	return out
}

// plan decides, checks every promise that can be checked on a decision, and keeps it.
func (w *world) plan() plan.Decision {
	snapshot := plan.Snapshot{Meeting: w.m, Zone: "desk.localhost", Observed: true, Instances: w.list()}
	before := w.m.Clone()
	d := mustPlan(snapshot, w.now)
	if diff := cmp.Diff(before, w.m); diff != "" {
		w.t.Fatalf("the snapshot was changed:\n%s", diff)
	}
	w.checkMoves(before, d.Events, d.Meeting)
	snapshot.Meeting = d.Meeting
	again := mustPlan(snapshot, w.now)
	if again.Changed || len(again.Events) > 0 {
		w.t.Fatalf("planning again changes more: %+v", again.Events)
	}
	if diff := cmp.Diff(d.Effects, again.Effects); diff != "" {
		w.t.Fatalf("planning again plans other effects:\n%s", diff)
	}
	if before.ParkedUntil.After(w.now) && (d.Changed || slices.ContainsFunc(d.Effects, func(e plan.Effect) bool { return e.Do != plan.Prove })) {
		w.t.Fatalf("a parked meeting is touched: %v %v", d.Events, d.Effects)
	}
	if d.Meeting.EndReason != "" {
		for _, e := range d.Effects {
			if e.Do != plan.Unpublish && e.Do != plan.Terminate {
				w.t.Fatalf("a meeting that is over plans %s", e.Do)
			}
		}
	}
	if len(d.Effects) == 0 && d.Wake.IsZero() != d.Meeting.Closed {
		w.t.Fatalf("closed %t, and wake %v: an open meeting must be woken, a closed one never", d.Meeting.Closed, d.Wake)
	}
	if !d.Wake.IsZero() && !d.Wake.After(w.now) {
		w.t.Fatalf("wake %v is not after now %v", d.Wake, w.now)
	}
	w.m = d.Meeting
	return d
}

// checkMoves replays the phases that events tell of: each move must be legal and the last must be where the desktop is.
func (w *world) checkMoves(before greenroom.Meeting, events []greenroom.Event, after greenroom.Meeting) {
	at := phases(before)
	for _, e := range events {
		to := e.Entered()
		if from := at[e.Seat]; to != "" && from != to && !from.CanBecome(to) {
			w.t.Fatalf("illegal move of %s from %s to %s: %s", e.Seat, from, to, e.Message)
		}
		if to != "" {
			at[e.Seat] = to
		}
	}
	for _, s := range after.Seats {
		if at[s.ID] != s.Desktop.Phase {
			w.t.Fatalf("%s is %s, and the timeline says %s", s.ID, s.Desktop.Phase, at[s.ID])
		}
	}
}

// act performs one effect, which may fail before or after it took hold.
func (w *world) act(e plan.Effect) {
	fate := rapid.SampledFrom([]string{"ok", "ok", "ok", "ok", "lost answer", "refused", "permanent", "capacity"}).Draw(w.t, "fate of "+string(e.Do))
	o := plan.Outcome{Effect: e}
	if fate == "lost answer" || fate == "refused" {
		o.Err = errors.New(fate)
	}
	seat := w.m.AnySeat(e.Handle.Seat)
	switch {
	case e.Do == plan.Launch && fate == "permanent":
		o.Err = greenroom.ErrPermanent
	case e.Do == plan.Launch && fate == "capacity":
		o.Err = greenroom.ErrCapacity
	case e.Do == plan.Launch && fate != "refused":
		w.launch(e.Handle)
		if o.Err == nil {
			o.InstanceID = w.instances[e.Handle].ID
		}
	case e.Do == plan.Publish && fate != "refused":
		w.names[seat.Desktop.Hostname] = true
	case e.Do == plan.Unpublish && fate != "refused":
		delete(w.names, seat.Desktop.Hostname)
	case e.Do == plan.Terminate && fate != "refused":
		delete(w.instances, e.Handle)
	case e.Do == plan.Prove:
		o.Err = nil
		o.Proof = &greenroom.Proof{OK: fate != "refused", Lost: fate == "lost answer", At: w.now, Steps: []greenroom.ProofStep{{Name: "dns"}}}
	}
	before := w.m.Clone()
	events := mustSettle(&w.m, "desk.localhost", []plan.Outcome{o}, w.now)
	w.checkMoves(before, events, w.m)
}

// launch makes the instance of a token once, and checks the first promise: one live machine per seat.
func (w *world) launch(h greenroom.Handle) {
	if w.instances[h] == nil {
		w.instances[h] = &plan.Instance{ID: greenroom.InstanceIDFromToken(h.Token()), Handle: h, Running: true, Address: "127.0.1.9"}
	}
	for other, i := range w.instances {
		if other.Seat == h.Seat && other != h && !i.Dead {
			w.t.Fatalf("two machines for seat %s: attempts %d and %d", h.Seat, other.Attempt, h.Attempt)
		}
	}
}

// happen lets one thing happen that nobody planned.
func (w *world) happen() {
	seat := &w.m.Seats[rapid.IntRange(0, len(w.m.Seats)-1).Draw(w.t, "seat")]
	d := &seat.Desktop
	switch what := rapid.SampledFrom([]string{"time", "time", "time", "agent ready", "connect", "leave", "come back", "instance dies", "instance vanishes",
		"end", "cancel", "later", "extend", "data", "remove", "agent fails", "park", "resume"}).Draw(w.t, "what"); what {
	case "time":
		w.now = w.now.Add(time.Duration(rapid.IntRange(1, 1200).Draw(w.t, "seconds")) * time.Second)
	case "agent ready":
		if d.Phase.Live() && d.InstanceID != "" && d.Agent.ReadyAt.IsZero() {
			d.Agent.ReadyAt = w.now
		}
	case "agent fails":
		if d.Phase.Starting() && rapid.IntRange(0, 5).Draw(w.t, "rarely") == 0 {
			d.Agent.Error, d.Agent.Permanent = "broken", true
		}
	case "connect":
		if d.Phase == greenroom.Ready || d.Phase == greenroom.InUse {
			d.Agent.Connections = 1
		}
	case "leave":
		if d.Agent.Connections > 0 {
			d.Agent.Connections, seat.LeftAt = 0, w.now
		}
	case "come back":
		if p := d.Phase; w.m.EndReason == "" && (p == greenroom.Gone || p == greenroom.Failed || p == greenroom.Terminating) {
			seat.RequestedAt = w.now
		}
	case "instance dies":
		if i := w.instances[w.m.Handle(seat)]; i != nil {
			i.Running, i.Ending, i.Dead = false, true, true
		}
	case "instance vanishes":
		delete(w.instances, w.m.Handle(seat))
	case "end", "cancel":
		if w.m.EndReason == "" && rapid.IntRange(0, 9).Draw(w.t, "rarely") == 0 {
			plan.End(&w.m, map[string]greenroom.EndReason{"end": greenroom.EndedByHost, "cancel": greenroom.Cancelled}[what], what, nil, w.now)
		}
	case "park":
		if !w.m.Closed {
			plan.Park(&w.m, w.now.Add(time.Duration(rapid.IntRange(1, 3600).Draw(w.t, "parked seconds"))*time.Second), "", nil, w.now)
		}
	case "resume":
		plan.Resume(&w.m, "", nil, w.now)
	case "later":
		if w.m.EndReason == "" {
			w.m.StartsAt, w.m.EndsAt = w.m.StartsAt.Add(30*time.Minute), w.m.EndsAt.Add(30*time.Minute)
		}
	case "extend":
		w.m.EndsAt = w.m.EndsAt.Add(10 * time.Minute)
	case "data":
		seat.SessionData = &greenroom.SessionData{URL: "s3://x", At: w.now}
	case "remove":
		if len(w.m.Present()) > 1 && rapid.IntRange(0, 9).Draw(w.t, "rarely") == 0 {
			seat.Removed = true
		}
	}
}

// TestAnyLife throws everything at a meeting, and then lets time pass: it must end, and leave nothing.
func TestAnyLife(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			d := w.plan()
			if len(d.Effects) > 0 && rapid.Bool().Draw(t, "act") {
				w.act(rapid.SampledFrom(d.Effects).Draw(t, "effect"))
			} else if len(w.m.Seats) > 0 {
				w.happen()
			}
		}
		for range 20_000 {
			d := w.plan()
			if w.m.Closed {
				break
			}
			for _, e := range d.Effects {
				w.act(e)
			}
			if !d.Wake.IsZero() {
				w.now = d.Wake
			} else {
				w.now = w.now.Add(time.Second)
			}
		}
		if !w.m.Closed {
			t.Fatalf("the meeting never ended: %s", describe(w.m))
		}
		for h, i := range w.instances {
			if !i.Dead {
				t.Fatalf("machine %s is left", h.Token())
			}
		}
		for name := range w.names {
			t.Fatalf("record %s is left", name)
		}
	})
}

func describe(m greenroom.Meeting) string {
	out := fmt.Sprintf("%s %s", m.State(), m.EndReason)
	for _, s := range m.Seats {
		out += fmt.Sprintf("; %s %s attempt %d (%s)", s.ID, s.Desktop.Phase, s.Desktop.Attempt, s.Desktop.Error)
	}
	return out
}
