package server

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"greenroom/internal/access"
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

// desktopListener exports the counts of the listener for desktops.
type desktopListener struct {
	stats                                   func() access.Stats
	open, proved, sessions, passed, refused *prometheus.Desc
}

func newDesktopListener(stats func() access.Stats) *desktopListener {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("greenroom_desktop_listener_"+name, help, labels, nil)
	}
	return &desktopListener{
		stats:    stats,
		open:     desc("open_connections", "Connections of browsers that are open now."),
		proved:   desc("proved_connections", "Open connections that showed a token or cookie, or that their desktop keeps: they make way for nobody."),
		sessions: desc("open_sessions", "Sessions under way: WebSockets with access gateway, connections with access direct."),
		passed:   desc("passed_total", "Connections (access direct) or requests (access gateway) that were passed on to a desktop."),
		refused:  desc("refused_total", "Connections or requests that were refused, by reason.", "reason"),
	}
}

// Describe implements prometheus.Collector.
func (d *desktopListener) Describe(out chan<- *prometheus.Desc) { prometheus.DescribeByCollect(d, out) }

// Collect implements prometheus.Collector.
func (d *desktopListener) Collect(out chan<- prometheus.Metric) {
	s := d.stats()
	out <- prometheus.MustNewConstMetric(d.open, prometheus.GaugeValue, float64(s.Open))
	out <- prometheus.MustNewConstMetric(d.proved, prometheus.GaugeValue, float64(s.Proved))
	out <- prometheus.MustNewConstMetric(d.sessions, prometheus.GaugeValue, float64(s.Sessions))
	out <- prometheus.MustNewConstMetric(d.passed, prometheus.CounterValue, float64(s.Passed))
	for why, n := range s.Refused {
		out <- prometheus.MustNewConstMetric(d.refused, prometheus.CounterValue, float64(n), why)
	}
}
