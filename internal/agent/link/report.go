// Package link is a desktop's line to the control plane: who it is, what it reports, and what it is told. Both agents use
// it, the one that serves desktops on this machine and the one beside a DCV server.
package link

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"greenroom/internal/agent/agentapi"
	"greenroom/internal/backoff"
	"greenroom/internal/logkey"
)

// Why a desktop ends by itself. Both are a good end.
var (
	ErrRetired  = errors.New("the desktop belongs to nothing any more")
	ErrKillTime = errors.New("the desktop reached its maximum age")
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
	// Obey is told every answer before the notice changes. It must not wait. It may be nil.
	Obey func(agentapi.Orders)
}

// Run tells the control plane every change at once, and the present state at least every heartbeat. While nothing changes the
// control plane may hold its answer until it has news.
// While the control plane is away the last state waits; what it replaced is of no interest any more.
// It returns ErrRetired when the desktop belongs to nothing any more.
func (r *Reporter) Run(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-r.Identity.Enrolled():
	}
	away := false
	pause := backoff.Every(100*time.Millisecond, 5*time.Second)
	var heard *agentapi.Orders
	for {
		began := time.Now()
		report, changed := r.Report.Get()
		report.Heard = heard
		orders, err := r.say(ctx, report, changed)
		switch {
		case err == nil:
		case errors.Is(err, errNews):
			continue
		default:
			if !away && ctx.Err() == nil {
				r.Logger.Warn("report not sent; waiting for the control plane", logkey.Err, err)
				pause.Reset()
			}
			away, heard = true, nil
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
		held := time.Since(began) >= agentapi.HoldFor/2
		if held || heard == nil || !heard.Same(orders) {
			began = time.Now().Add(-agentapi.HeartbeatEvery) // at once: whoever can hold an answer may hold the next one
		}
		heard = &orders
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-time.After(time.Until(began.Add(agentapi.HeartbeatEvery))):
		}
	}
}

var errNews = errors.New("there is something newer to say")

// say reports, and hangs up on a control plane that holds its answer when there is something newer to say.
func (r *Reporter) say(ctx context.Context, report agentapi.Report, changed <-chan struct{}) (agentapi.Orders, error) {
	call, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if report.Heard != nil {
		said := make(chan struct{})
		defer close(said)
		go func() {
			select {
			case <-changed:
				cancel(errNews)
			case <-said:
			}
		}()
	}
	orders, err := r.Control.report(call, report)
	if err != nil && ctx.Err() == nil && errors.Is(context.Cause(call), errNews) {
		return orders, errNews
	}
	return orders, err
}

func (r *Reporter) obey(o agentapi.Orders) error {
	if r.Obey != nil {
		r.Obey(o)
	}
	if n, _ := r.Notice.Get(); n.Ending != o.Ending || !n.EndsAt.Equal(o.EndsAt) {
		r.Notice.Update(func(n *Notice) { *n = Notice{EndsAt: o.EndsAt, Ending: o.Ending} })
	}
	if o.Retired {
		return ErrRetired
	}
	return nil
}

// UntilKillTime returns ErrKillTime then. The clock is read again now and then, because a timer does not advance
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
