package server

import (
	"context"

	"greenroom/internal/app/components"
	"greenroom/internal/metrics"
	"greenroom/internal/observe"
	"greenroom/internal/tracing"
)

// watch is what lets operators see what the server does: log, metrics and traces.
type watch struct {
	metrics *metrics.Set
	traces  *tracing.Tracing // nil: off
	core    components.Watch
}

func (a *app) openWatch(ctx context.Context) (err error) {
	w := &watch{metrics: metrics.New(a.Version)}
	if w.traces, err = tracing.Open(ctx, a.Config.OTelEndpoint, a.Version, a.Logger); err != nil {
		return err
	}
	a.Logger = w.traces.Logger(a.Logger)
	if a.LostLines != nil {
		w.metrics.LostLines(a.LostLines)
	}
	w.core = components.Watch{
		Saves: observe.Together(observe.Log(a.Logger), w.metrics.Saved), Count: w.metrics.Call, Trace: w.traces.Call, Requests: w.traces.Store,
	}
	a.watch = w
	return nil
}
