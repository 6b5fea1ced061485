package advance_test

import (
	"testing"
	"testing/synctest"
	"time"

	"greenroom"
	"greenroom/internal/advance"
	"greenroom/internal/compute"
	"greenroom/internal/plan"
)

// TestParked holds a meeting while a machine vanishes and its time runs: nothing is launched, removed or swept away,
// the process sleeps until the parking is over, and then everything is made good.
func TestParked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, time.Minute)
		l.run(10 * time.Second)
		l.phases(greenroom.Ready, greenroom.Ready)
		m := l.meeting()
		parked := plan.Park(&m, time.Now().Add(40*time.Minute), "", nil, time.Now())
		m.WakeAt = time.Now()
		if _, err := l.store.Update(t.Context(), m, []greenroom.Event{parked}); err != nil {
			t.Fatal(err)
		}
		lost := l.meeting().Seats[0].Desktop.InstanceID
		if err := l.Terminate(t.Context(), lost); err != nil {
			t.Fatal(err)
		}
		sweeper := &advance.Sweeper{Store: l.store, Providers: map[greenroom.Provider]compute.Provider{"local": l.cloud}, Records: l.cloud,
			Kick: func(string) { l.advance() }, Now: time.Now, Logger: l.advancer.Logger}
		for range 30 { // beyond the time after which nobody's coming would remove the desktops
			if err := sweeper.Sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
			l.run(time.Minute)
		}
		l.phases(greenroom.Ready, greenroom.Ready)
		if len(l.instances) != 1 || len(l.names) != 2 || len(l.Launches) != 2 {
			t.Errorf("%d machines, %d names, %d launches", len(l.instances), len(l.names), len(l.Launches))
		}
		if m := l.meeting(); m.WakeAt.After(m.ParkedUntil) || m.WakeAt.Before(time.Now()) { // proofs are kept fresh
			t.Errorf("wake at %v, want one until the end of the parking at %v", m.WakeAt, m.ParkedUntil)
		}
		l.run(15 * time.Minute)
		if m := l.meeting(); !m.ParkedUntil.IsZero() || m.State() != greenroom.Waiting {
			t.Errorf("after the parking: parked until %v, state %s", m.ParkedUntil, m.State())
		}
		if len(l.instances)+len(l.names) != 0 {
			t.Errorf("left: %v %v", l.instances, l.names)
		}
	})
}
