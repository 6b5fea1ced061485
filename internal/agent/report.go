package agent

import (
	"context"
	"time"

	"greenroom/internal/agentapi"
)

// notice is what the open pages are told.
type notice struct {
	EndsAt time.Time // of the meeting; zero until known
	Ending string    // set when the desktop is about to go
}

// sendReports tells the control plane every change at once, and the present state at least every heartbeat.
// While the control plane is away the last state waits; what it replaced is of no interest any more.
func (d *desktop) sendReports(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-d.key.enrolled:
	}
	away := false
	pause := backoff{}
	for {
		report, changed := d.report.get()
		orders, err := d.control.report(ctx, report)
		if err != nil {
			if !away && ctx.Err() == nil {
				d.cfg.Logger.Warn("reports wait for the control plane", "err", err)
				pause = backoff{100 * time.Millisecond, 5 * time.Second}
			}
			away = true
			if !pause.wait(ctx) {
				return nil
			}
			continue
		}
		if away {
			d.cfg.Logger.Info("control plane is back")
		}
		away = false
		if err := d.obey(orders); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-time.After(agentapi.HeartbeatEvery):
		}
	}
}

func (d *desktop) obey(o agentapi.Orders) error {
	if n, _ := d.notice.get(); n.Ending != o.Ending || !n.EndsAt.Equal(o.EndsAt) {
		d.notice.update(func(n *notice) { *n = notice{EndsAt: o.EndsAt, Ending: o.Ending} })
	}
	if o.Retired {
		return errRetired
	}
	return nil
}
