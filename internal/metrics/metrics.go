// Package metrics counts and measures what the server does, for Prometheus. No label takes a value from outside: the number of
// series is bounded by the configuration.
package metrics

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"greenroom"
	"greenroom/internal/httpx"
	"greenroom/internal/observe"
	"greenroom/internal/plan"
)

// Set is the metrics of one server. Its methods may be called at once.
type Set struct {
	registry *prometheus.Registry
	lateness prometheus.Histogram
	effects  *prometheus.HistogramVec
	failures *prometheus.CounterVec
	calls    *prometheus.HistogramVec
	stages   *prometheus.HistogramVec
	ready    prometheus.Histogram
	events   *prometheus.CounterVec
	ended    *prometheus.CounterVec
	requests *prometheus.CounterVec
	answers  *prometheus.HistogramVec
	swept    prometheus.Gauge
	census   census

	certificates certificates
}

var (
	quick = []float64{.001, .005, .025, .1, .25, .5, 1, 2.5, 5, 10, 30}
	slow  = []float64{.1, .25, .5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600}
)

// New returns a set for that version of the program.
func New(version string) *Set {
	m := &Set{registry: prometheus.NewRegistry()}
	m.lateness = histogram("greenroom_wake_lateness_seconds", "Time from a meeting's wake to the call of Advance.",
		[]float64{.001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30})
	m.effects = histograms("greenroom_effect_seconds", "Time that an effect took, with its waiting: launch, publish, prove, unpublish, terminate.", quick, "effect")
	m.failures = counters("greenroom_effect_failures_total", "Effects that failed and are tried again or given up.", "effect")
	m.calls = histograms("greenroom_call_seconds",
		"Time that a call to a provider of machines (compute), names (dns) or certificates took, by what came of it: ok, pending, throttled, capacity, blocked, refused, cancelled, error.",
		quick, "system", "name", "call", "outcome")
	m.stages = histograms("greenroom_desktop_stage_seconds", "Time that a desktop which became ready was in each stage: launching, booting, naming, proving.", slow, "stage")
	m.ready = histogram("greenroom_desktop_ready_seconds", "Time from the launch of a desktop to its being ready.", slow)
	m.events = counters("greenroom_events_total", "Entries of timelines that this server saved, by kind.", "kind")
	m.ended = counters("greenroom_meetings_ended_total", "Meetings that this server ended, by reason.", "reason")
	m.requests = counters("greenroom_http_requests_total", "Requests, by the route that answered (none: refused before, or unknown) and status.", "route", "status")
	m.answers = histograms("greenroom_http_request_seconds", "Time to the end of the answer, by route; without event streams.", quick, "route")
	m.swept = gauge("greenroom_last_sweep_timestamp_seconds", "When this server's last sweep ended, in Unix seconds.")
	m.census = newCensus()
	m.certificates.ends = map[string]time.Time{}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "greenroom_build_info", Help: "1, with the version of the program.", ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)
	m.registry.MustRegister(m.lateness, m.effects, m.failures, m.calls, m.stages, m.ready, m.events, m.ended, m.requests, m.answers, m.swept, build, &m.certificates,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.registry.MustRegister(m.census.collectors()...)
	m.fill()
	return m
}

// fill makes the series whose labels are known, so that rules see a zero and not nothing.
func (m *Set) fill() {
	for _, r := range []greenroom.EndReason{greenroom.Completed, greenroom.NoShow, greenroom.EndedByHost, greenroom.Cancelled, greenroom.Expired, greenroom.GaveUp} {
		m.ended.WithLabelValues(string(r))
	}
	for _, k := range greenroom.EventKinds() {
		m.events.WithLabelValues(string(k))
	}
	for _, do := range []plan.Verb{plan.Launch, plan.Publish, plan.Prove, plan.Unpublish, plan.Terminate} {
		m.failures.WithLabelValues(string(do))
		m.effects.WithLabelValues(string(do))
	}
	for _, p := range greenroom.Phases() {
		if p.Starting() {
			m.stages.WithLabelValues(string(p))
		}
	}
}

// Registry is where parts with figures of their own register.
func (m *Set) Registry() *prometheus.Registry { return m.registry }

// Handler serves the metrics.
func (m *Set) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// LostLines exports how many lines of the log nobody took.
func (m *Set) LostLines(lost func() uint64) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "greenroom_log_lines_lost_total", Help: "Lines of the log that were dropped because their reader did not take them.",
	}, func() float64 { return float64(lost()) }))
}

// Lateness is told how long after its wake a pass began.
func (m *Set) Lateness(late time.Duration) { m.lateness.Observe(late.Seconds()) }

// Effect is told how long an effect took and whether it worked.
func (m *Set) Effect(do plan.Verb, took time.Duration, err error) {
	m.effects.WithLabelValues(string(do)).Observe(took.Seconds())
	if err != nil {
		m.failures.WithLabelValues(string(do)).Inc()
	}
}

// Swept is told that a sweep ended well.
func (m *Set) Swept() { m.swept.SetToCurrentTime() }

// Call implements observe.Calls.
func (m *Set) Call(ctx context.Context, c observe.Call) (context.Context, func(error)) {
	began := time.Now()
	return ctx, func(err error) {
		m.calls.WithLabelValues(c.System, c.Name, c.Do, string(observe.OutcomeOf(err))).Observe(time.Since(began).Seconds())
	}
}

// Answer is told of each request.
func (m *Set) Answer(a httpx.Answer) {
	route := a.Route
	if route == "" {
		route = "none"
	}
	m.requests.WithLabelValues(route, strconv.Itoa(a.Status)).Inc()
	if !a.Stream {
		m.answers.WithLabelValues(route).Observe(a.Took.Seconds())
	}
}

// Saved implements observe.Saves.
func (m *Set) Saved(_ context.Context, s observe.Saved) {
	for _, e := range s.Events {
		m.events.WithLabelValues(string(e.Kind)).Inc()
		switch e.Kind {
		case greenroom.EventEnding:
			m.ended.WithLabelValues(string(s.Meeting.EndReason)).Inc()
		case greenroom.EventReady:
			m.becameReady(e)
		default:
		}
	}
}

func (m *Set) becameReady(e greenroom.Event) {
	for _, p := range greenroom.Phases() {
		if v, err := strconv.ParseFloat(e.Data[string(p)], 64); err == nil && p.Starting() {
			m.stages.WithLabelValues(string(p)).Observe(v)
		}
	}
	if v, err := strconv.ParseFloat(e.Data["total"], 64); err == nil {
		m.ready.Observe(v)
	}
}

func histogram(name, help string, buckets []float64) prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
}

func histograms(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
}

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

func gauge(name, help string) prometheus.Gauge {
	return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
}
