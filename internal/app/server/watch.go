package server

import (
	"context"
	"net/http"

	"greenroom"
	"greenroom/internal/certs"
	"greenroom/internal/compute"
	"greenroom/internal/dns"
	"greenroom/internal/metrics"
	"greenroom/internal/observe"
	"greenroom/internal/store"
	"greenroom/internal/tracing"
)

// watch is what lets operators see what the server does: log, metrics and traces.
type watch struct {
	metrics *metrics.Set
	traces  *tracing.Tracing // nil: off
	saves   observe.Saves    // tells the log and the metrics
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
	w.saves = observe.Together(observe.Log(a.Logger), w.metrics.Saved)
	a.watch = w
	return nil
}

// calls are told of what is called where it is counted and traced in one place.
func (w *watch) calls() observe.Calls { return observe.CallsTogether(w.metrics.Call, w.traces.Call) }

// store is a store whose changes by people, desktops and the sweep are seen.
func (w *watch) store(s store.Store) store.Store { return observe.Store{Store: s, Saves: w.saves} }

func (w *watch) provider(name greenroom.Provider, p compute.Provider) compute.Provider {
	return observe.Provider{Provider: p, Name: string(name), Calls: w.calls()}
}

// zone sees what is asked of the zone. A provider's calls are counted behind the batches, where
// they are made, and traced before them, where it is known for whom.
func (w *watch) zone(name string, z dns.Zone) dns.Zone {
	if name != "embedded" {
		return observe.Zone{Zone: z, Name: name, Calls: w.traces.Call}
	}
	return observe.Zone{Zone: z, Name: name, Calls: w.calls()}
}

func (w *watch) dnsProvider(name string, p dns.Provider) dns.Provider {
	return observe.NewDNSProvider(p, name, w.metrics.Call)
}

func (w *watch) issuer(name string, i certs.Issuer) certs.Issuer {
	return observe.Issuer{Issuer: i, Name: name, Calls: w.calls()}
}

func (w *watch) handler(h http.Handler) http.Handler { return w.traces.Handler(h) }
