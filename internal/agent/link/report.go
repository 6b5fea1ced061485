// Package link is a desktop's line to the control plane: who it is, what it reports, and what it is told. Both agents use
// it, the one that serves desktops on this machine and the one beside a DCV server.
package link

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"greenroom/internal/agentapi"
)

// Why a desktop ends by itself. Both are a good end.
var (
	ErrRetired  = errors.New("the desktop belongs to nothing any more")
	ErrKillTime = errors.New("the desktop reached its greatest age")
)

// Notice is what the desktop's participant is told.
type Notice struct {
	EndsAt time.Time // of the meeting; zero until known
	Ending string    // set when the desktop is about to go
}

// Reporter says how the desktop is and hears what becomes of it.
type Reporter struct {
	Control  *Control
	Identity *Identity
	Report   *Watched[agentapi.Report]
	Notice   *Watched[Notice]
	Logger   *slog.Logger
}

// Run tells the control plane every change at once, and the present state at least every heartbeat.
// While the control plane is away the last state waits; what it replaced is of no interest any more.
// It returns ErrRetired when the desktop belongs to nothing any more.
func (r *Reporter) Run(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-r.Identity.Enrolled():
	}
	away := false
	pause := Backoff{}
	for {
		report, changed := r.Report.Get()
		orders, err := r.Control.report(ctx, report)
		if err != nil {
			if !away && ctx.Err() == nil {
				r.Logger.Warn("reports wait for the control plane", "err", err)
				pause = Backoff{100 * time.Millisecond, 5 * time.Second}
			}
			away = true
			if !pause.Wait(ctx) {
				return nil
			}
			continue
		}
		if away {
			r.Logger.Info("control plane is back")
		}
		away = false
		if err := r.obey(orders); err != nil {
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

func (r *Reporter) obey(o agentapi.Orders) error {
	if n, _ := r.Notice.Get(); n.Ending != o.Ending || !n.EndsAt.Equal(o.EndsAt) {
		r.Notice.Update(func(n *Notice) { *n = Notice{EndsAt: o.EndsAt, Ending: o.Ending} })
	}
	if o.Retired {
		return ErrRetired
	}
	return nil
}

// UntilKillTime returns ErrKillTime then. The clock is read again now and then, because a timer stands still
// while a machine sleeps; a clock that is set back gives no more time than there was at the beginning.
func UntilKillTime(ctx context.Context, killAt time.Time) error {
	began := time.Now() // with the monotonic clock
	most := killAt.Sub(began)
	for {
		left := min(time.Until(killAt.Round(0)), most-time.Since(began))
		if left <= 0 {
			return ErrKillTime
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(min(left, 10*time.Second)):
		}
	}
}
