package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"greenroom/internal/access"
)

// Listener exports the counts of the listener for desktops. stats may be called at any time.
func (m *Set) Listener(stats func() access.Stats) { m.registry.MustRegister(listener(stats)) }

type listener func() access.Stats

var (
	accessConnections = accessDesc("connections", "Connections of browsers that are open now.")
	accessProved      = accessDesc("proved_connections", "Open connections that showed a token or cookie, or that their desktop keeps: they make way for nobody.")
	accessSessions    = accessDesc("sessions", "Sessions under way: WebSockets with access gateway, connections with access direct.")
	accessPassed      = accessDesc("passed_total", "Connections (access direct) or requests (access gateway) that were passed on to a desktop.")
	accessRefused     = accessDesc("refused_total", "Connections or requests that were refused, by reason.", "reason")
)

func accessDesc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("greenroom_access_"+name, help, labels, nil)
}

// Describe implements prometheus.Collector.
func (l listener) Describe(out chan<- *prometheus.Desc) { prometheus.DescribeByCollect(l, out) }

// Collect implements prometheus.Collector.
func (l listener) Collect(out chan<- prometheus.Metric) {
	s := l()
	out <- prometheus.MustNewConstMetric(accessConnections, prometheus.GaugeValue, float64(s.Open))
	out <- prometheus.MustNewConstMetric(accessProved, prometheus.GaugeValue, float64(s.Proved))
	out <- prometheus.MustNewConstMetric(accessSessions, prometheus.GaugeValue, float64(s.Sessions))
	out <- prometheus.MustNewConstMetric(accessPassed, prometheus.CounterValue, float64(s.Passed))
	for why, n := range s.Refused {
		out <- prometheus.MustNewConstMetric(accessRefused, prometheus.CounterValue, float64(n), why)
	}
}
