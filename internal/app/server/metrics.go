package server

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"greenroom/internal/meetings"
	"greenroom/internal/plan"
)

// metrics is what operators can watch.
type metrics struct {
	registry *prometheus.Registry
	lateness prometheus.Histogram
	effects  *prometheus.HistogramVec
	failures *prometheus.CounterVec
	swept    prometheus.Gauge
	stuck    prometheus.Gauge
}

func newMetrics(version string) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		lateness: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "greenroom_wake_lateness_seconds", Help: "Delay from a meeting's wake to its pass.",
			Buckets: []float64{.001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}),
		effects: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "greenroom_effect_seconds", Help: "Duration of effects: launch, publish, prove, unpublish, terminate.",
			Buckets: []float64{.001, .005, .025, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"effect"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "greenroom_effect_failures_total", Help: "Failed effects, retried or not.",
		}, []string{"effect"}),
		swept: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "greenroom_last_sweep_timestamp_seconds", Help: "End of the last sweep, as Unix time.",
		}),
		stuck: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "greenroom_meetings_stuck", Help: "Stuck meetings, counted once a minute; parked ones do not count.",
		}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "greenroom_build_info", Help: "1, with the version of the program.", ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)
	m.registry.MustRegister(m.lateness, m.effects, m.failures, m.swept, m.stuck, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) measure(do plan.Verb, took time.Duration, err error) {
	m.effects.WithLabelValues(string(do)).Observe(took.Seconds())
	if err != nil {
		m.failures.WithLabelValues(string(do)).Inc()
	}
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

func (m *metrics) observeLateness(late time.Duration) { m.lateness.Observe(late.Seconds()) }

// countStuck counts meetings, not findings: one may have several.
func (m *metrics) countStuck(found []meetings.Stuck) {
	stuck := map[string]bool{}
	for _, s := range found {
		if !s.Note {
			stuck[s.Meeting] = true
		}
	}
	m.stuck.Set(float64(len(stuck)))
}
