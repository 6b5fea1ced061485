package schedulertest

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/store"
)

// Run holds a scheduler to the promise.
func Run(t *testing.T, o Options) {
	for _, c := range []struct {
		name string
		do   func(r *rig)
	}{
		{"PastNowNearFar", times}, {"ManyAtOnce", manyAtOnce}, {"Moved", moved}, {"Cleared", cleared},
		{"Kick", kick}, {"KickDuringAPass", kickDuringAPass}, {"WakeDuringAPass", wakeDuringAPass},
		{"FailedPassIsRepeated", failedPass}, {"PanicIsAFailedPass", panicInAPass},
		{"KilledBeforeThePass", killedBefore}, {"KilledAndAwayAtTheTime", killedAndAway}, {"KilledBeforeTheSave", killedBeforeTheSave},
		{"KilledAfterTheSave", killedAfterTheSave}, {"StoreIsDown", storeIsDown}, {"StartsWhileTheStoreIsDown", startsWhileDown},
		{"ClockIsSetForward", clockForward}, {"ClockIsSetBack", clockBack},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o.in(t, false, c.do)
		})
	}
	t.Run("EverythingIsToldTwice", func(t *testing.T) {
		t.Parallel()
		for name, do := range map[string]func(r *rig){"Times": times, "Moved": moved, "Cleared": cleared} {
			t.Run(name, func(t *testing.T) { //nolint:paralleltest // its parent is
				o.in(t, true, do)
			})
		}
	})
}

const (
	sec = time.Second
	min = time.Minute
)

// times are what a scheduler may treat in different ways: over, at once, in a queue, in memory, in a schedule.
func times(r *rig) {
	wakes := map[string]time.Duration{}
	for _, after := range []time.Duration{
		-time.Hour, -time.Millisecond, 0, 400 * time.Millisecond, 1500 * time.Millisecond, 59 * sec, 61 * sec, 119 * sec, 121 * sec, 4*min + 59*sec, 5*min + 1*sec,
		7*min + 123*time.Millisecond,
	} {
		wakes[r.create(after)] = after
	}
	r.until(8 * min)
	for id, after := range wakes {
		r.want("a wake after "+after.String(), id, max(after, 0), r.o.Late)
	}
}

func manyAtOnce(r *rig) {
	ids := make([]string, 100)
	for i := range ids {
		ids[i] = r.create(10 * sec)
	}
	r.until(min)
	for _, id := range ids {
		r.want("one of many", id, 10*sec, r.o.Late)
	}
}

func moved(r *rig) {
	type move struct {
		name string
		to   []time.Duration
		id   string
	}
	moves := []move{
		{name: "nearer, from far", to: []time.Duration{7 * min, 1 * min}},
		{name: "nearer, within the near", to: []time.Duration{100 * sec, 20 * sec}},
		{name: "nearer, both far", to: []time.Duration{8 * min, 6 * min}},
		{name: "to what is over", to: []time.Duration{7 * min, -time.Hour}},
		{name: "farther, from near", to: []time.Duration{30 * sec, 7 * min}},
		{name: "farther, within the near", to: []time.Duration{30 * sec, 100 * sec}},
		{name: "farther, both far", to: []time.Duration{6 * min, 8 * min}},
		{name: "there and back", to: []time.Duration{7 * min, 8 * min, 7 * min}},
		{name: "nearer, farther, nearer", to: []time.Duration{7 * min, 1 * min, 8 * min, 30 * sec}},
	}
	for i := range moves {
		moves[i].id = r.create(moves[i].to[0])
	}
	for step := 1; step < 4; step++ {
		r.until(time.Duration(step) * 5 * sec)
		for _, m := range moves {
			if step < len(m.to) {
				r.move(m.id, m.to[step])
			}
		}
	}
	r.until(9 * min)
	for _, m := range moves {
		due := m.to[len(m.to)-1]
		if due < 0 {
			due = 5 * sec
		}
		r.want(m.name, m.id, due, r.o.Late)
	}
}

func cleared(r *rig) {
	ids := map[string]string{}
	for _, after := range []time.Duration{20 * sec, 100 * sec, 6 * min} {
		cleared, closed, same := r.create(after), r.create(after), r.create(after)
		r.change(cleared, func(m *greenroom.Meeting) { m.WakeAt = time.Time{} })
		r.change(closed, func(m *greenroom.Meeting) { m.Closed = true })
		r.change(same, func(m *greenroom.Meeting) { m.Title = "another" })
		ids[cleared], ids[closed] = "cleared", "closed"
		defer r.want("a save that leaves the wake", same, after, r.o.Late)
	}
	r.until(7 * min)
	for id, what := range ids {
		r.none(what, id)
	}
}

func kick(r *rig) {
	id := r.create(6 * min)
	r.until(5 * sec)
	if err := r.saver.Kick(r.t.Context(), id); err != nil {
		r.t.Fatal(err)
	}
	r.until(5*sec + r.o.Late)
	if got := r.called(id); len(got) == 0 || got[0] < 5*sec {
		r.t.Errorf("calls at %v, want one after the kick", got)
	}
	r.none("a kick", id)
	r.until(7 * min)
	r.want("the wake after a kick", id, 6*min, r.o.Late)
}

func kickDuringAPass(r *rig) {
	id := r.create(20 * min)
	r.passes(func(context.Context, store.Store, string) error {
		time.Sleep(10 * sec)
		return nil
	})
	for _, at := range []time.Duration{0, 5 * sec} {
		r.until(at)
		if err := r.saver.Kick(r.t.Context(), id); err != nil {
			r.t.Fatal(err)
		}
	}
	r.until(min)
	got := r.called(id)
	if !slices.ContainsFunc(got, func(at time.Duration) bool { return at >= 5*sec && at <= 10*sec+r.o.Late }) {
		r.t.Errorf("calls at %v, want one after the kick at 5 s", got)
	}
}

func wakeDuringAPass(r *rig) {
	id := r.create(sec)
	var passes atomic.Int64
	r.passes(func(ctx context.Context, s store.Store, id string) error {
		if passes.Add(1) > 1 {
			return r.answer(ctx, s, id)
		}
		m, err := s.Meeting(ctx, id)
		if err == nil {
			m.WakeAt = r.clock.now().Add(sec)
			_, err = s.Update(ctx, m, nil)
		}
		time.Sleep(5 * sec)
		return err
	})
	r.until(min)
	r.want("a wake that a pass saved", id, 2*sec, 4*sec+2*r.o.Late)
}

func failedPass(r *rig) {
	bad, good := r.create(sec), r.create(10*sec)
	var tries atomic.Int64
	r.passes(func(ctx context.Context, s store.Store, id string) error {
		if id == bad && tries.Add(1) <= 3 {
			return errors.New("refused")
		}
		return r.answer(ctx, s, id)
	})
	r.until(10 * min)
	r.want("a pass that fails three times", bad, sec, 3*r.o.Retry+r.o.Late)
	r.want("its neighbour", good, 10*sec, r.o.Late)
}

func panicInAPass(r *rig) {
	bad, good := r.create(sec), r.create(10*sec)
	var tries atomic.Int64
	r.passes(func(ctx context.Context, s store.Store, id string) error {
		if id == bad && tries.Add(1) == 1 {
			panic("a fault in the code")
		}
		return r.answer(ctx, s, id)
	})
	r.until(10 * min)
	r.want("a pass that panics", bad, sec, r.o.Retry+r.o.Late)
	r.want("its neighbour", good, 10*sec, r.o.Late)
}

func killedBefore(r *rig) {
	near, far := r.create(20*sec), r.create(6*min)
	r.until(10 * sec)
	r.killSaver()
	r.until(7 * min)
	r.want("near", near, 20*sec, r.o.Found)
	r.want("far", far, 6*min, r.o.Found)
}

func killedAndAway(r *rig) {
	id := r.create(20 * sec)
	for _, p := range r.all {
		p.Kill()
	}
	r.until(5 * min)
	r.start()
	r.until(7 * min)
	r.want("what fell due while nobody was there", id, 5*min, r.o.Found)
}

// killedIn kills the process that makes the first pass, within it.
func (r *rig) killedIn(pass func(ctx context.Context, s store.Store, id string) error) {
	var passes atomic.Int64
	r.passes(func(ctx context.Context, s store.Store, id string) error {
		if passes.Add(1) > 1 {
			return r.answer(ctx, s, id)
		}
		err := pass(ctx, s, id)
		for _, p := range r.all {
			if p.Store() == s {
				p.Kill()
			}
		}
		if r.o.Others == 0 {
			go r.start()
		}
		return err
	})
}

func killedBeforeTheSave(r *rig) {
	r.killedIn(func(context.Context, store.Store, string) error { return nil })
	id := r.create(10 * sec)
	r.until(10 * min)
	r.want("the wake of a pass that died", id, 10*sec, r.o.Found+r.o.Retry)
}

func killedAfterTheSave(r *rig) {
	r.killedIn(func(ctx context.Context, s store.Store, id string) error {
		m, err := s.Meeting(ctx, id)
		if err == nil {
			m.WakeAt = r.clock.now().Add(30 * sec)
			_, err = s.Update(ctx, m, nil)
		}
		return err
	})
	id := r.create(10 * sec)
	r.until(10 * min)
	r.want("the next wake of a pass that died", id, 40*sec, r.o.Late+r.o.Found)
}

func storeIsDown(r *rig) {
	during, far := r.create(20*sec), r.create(8*min)
	r.until(10 * sec)
	r.everybody(func(s *Store) { s.Fail(ErrDown) })
	r.until(3 * min)
	r.everybody(func(s *Store) { s.Fail(nil) })
	r.until(9 * min)
	r.want("what fell due meanwhile", during, 3*min, r.o.Found+r.o.Retry)
	r.want("what is due later", far, 8*min, r.o.Late)
}

func startsWhileDown(r *rig) {
	over, far := r.create(20*sec), r.create(8*min)
	for _, p := range r.all {
		p.Kill()
	}
	r.until(min)
	p := r.start()
	p.Store().Fail(ErrDown)
	r.until(2 * min)
	p.Store().Fail(nil)
	r.until(9 * min)
	r.want("what fell due meanwhile", over, min, min+r.o.Found+r.o.Retry)
	r.want("what is due later", far, 8*min, r.o.Late)
}

func clockForward(r *rig) {
	near, far, later := r.create(90*sec), r.create(8*min), r.create(16*min)
	r.until(10 * sec)
	r.clock.step(10 * min)
	r.until(7 * min) // seventeen by the clock
	after := 10*min + 10*sec
	r.want("near", near, after, r.o.Found)
	r.want("far", far, after, r.o.Found)
	r.want("later", later, 16*min, r.o.Found)
}

func clockBack(r *rig) {
	near, far := r.create(90*sec), r.create(6*min)
	r.until(10 * sec)
	r.clock.step(-5 * min)
	r.until(6 * min)
	r.none("near, before its time", near)
	r.until(12 * min)
	r.want("near", near, 90*sec, r.o.Found)
	r.want("far", far, 6*min, r.o.Found)
}
