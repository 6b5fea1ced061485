package metrics

import "github.com/prometheus/client_golang/prometheus"

// Access is how the listener for desktops stands. What is not open now is counted since the start.
type Access struct {
	Connections int              // open now
	Sessions    int              // under way: connections that reach a desktop
	Passed      int64            // connections or requests passed on to a desktop
	Refused     map[string]int64 // by reason; the reasons are greenroom's own
}

// Listener exports how a listener for desktops stands. read may be called at any time.
func (m *Set) Listener(read func() Access) { m.registry.MustRegister(listener(read)) }

type listener func() Access

var (
	accessConnections = prometheus.NewDesc("greenroom_access_connections", "Connections to the listener for desktops that are open now.", nil, nil)
	accessSessions    = prometheus.NewDesc("greenroom_access_sessions", "Connections that reach a desktop now.", nil, nil)
	accessPassed      = prometheus.NewDesc("greenroom_access_passed_total", "Connections, or requests, passed on to a desktop.", nil, nil)
	accessRefused     = prometheus.NewDesc("greenroom_access_refused_total", "Connections and requests that were not passed on, by reason.", []string{"reason"}, nil)
)

// Describe implements prometheus.Collector.
func (l listener) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{accessConnections, accessSessions, accessPassed, accessRefused} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (l listener) Collect(out chan<- prometheus.Metric) {
	a := l()
	out <- prometheus.MustNewConstMetric(accessConnections, prometheus.GaugeValue, float64(a.Connections))
	out <- prometheus.MustNewConstMetric(accessSessions, prometheus.GaugeValue, float64(a.Sessions))
	out <- prometheus.MustNewConstMetric(accessPassed, prometheus.CounterValue, float64(a.Passed))
	for reason, n := range a.Refused {
		out <- prometheus.MustNewConstMetric(accessRefused, prometheus.CounterValue, float64(n), reason)
	}
}
