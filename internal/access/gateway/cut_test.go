package gateway_test

import (
	"context"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/access/gateway"
	"greenroom/internal/notify"
)

// TestSessionsAreCut: a desktop that does not close its sessions itself is no way to stay when the link was replaced, the seat taken
// off or the meeting ended.
func TestSessionsAreCut(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		do   func(t *testing.T, r *rig) error
		told bool // the gateway is told of changes, and does not find out only when it looks
		cut  bool
	}{
		"Replaced": {func(t *testing.T, r *rig) error {
			_, err := r.service.ReissueKey(t.Context(), r.meeting, "student", "cut")
			return err
		}, true, true},
		"ReplacedUntold": {func(t *testing.T, r *rig) error {
			_, err := r.service.ReissueKey(t.Context(), r.meeting, "student", "")
			return err
		}, false, true},
		"Kept": {func(t *testing.T, r *rig) error {
			_, err := r.service.ReissueKey(t.Context(), r.meeting, "student", "keep")
			return err
		}, true, false},
		"TakenOff": {func(t *testing.T, r *rig) error {
			_, err := r.service.RemoveSeat(t.Context(), r.meeting, "student", true, 0)
			return err
		}, true, true},
		"DesktopGone": {func(_ *testing.T, r *rig) error {
			r.stand(r.student, greenroom.Terminating)
			return nil
		}, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hub := notify.New()
			r := newRig(t, func(o *gateway.Options) {
				if c.told {
					o.Changes = hub.Subscribe
				}
			})
			b := r.browser("127.0.0.1", false)
			r.enter(b, r.student)
			r.enter(b, r.teacher)
			mine, other := b.socket(r.student), b.socket(r.teacher)
			echo(t, mine, "before")
			began := time.Now()
			if err := c.do(t, r); err != nil {
				t.Fatal(err)
			}
			hub.Publish(r.meeting)
			ctx, cancel := context.WithTimeout(t.Context(), patient)
			defer cancel()
			if c.cut {
				if _, _, err := mine.Read(ctx); err == nil || ctx.Err() != nil {
					t.Errorf("the session goes on: %v", err)
				}
				if took := time.Since(began); c.told && took > 3*time.Second {
					t.Errorf("cut after %s", took)
				}
			} else {
				time.Sleep(1500 * time.Millisecond) // longer than a session that is over is given
				echo(t, mine, "after")
			}
			echo(t, other, "still")
		})
	}
}
