package metrics

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// certificates exports how long certificates are good yet, at the time of the scrape.
type certificates struct {
	mu   sync.Mutex
	ends map[string]time.Time
}

var certificateExpiry = prometheus.NewDesc("greenroom_certificate_expiry_seconds",
	"Time until a certificate ends, negative after it: authority and pages_authority (greenroom's own), edge (the gateway's), pages.", []string{"certificate"}, nil)

// CertificateEnds is told when a certificate ends; name is one of the metric's.
func (m *Set) CertificateEnds(name string, at time.Time) {
	m.certificates.mu.Lock()
	defer m.certificates.mu.Unlock()
	m.certificates.ends[name] = at
}

// Describe implements prometheus.Collector.
func (c *certificates) Describe(out chan<- *prometheus.Desc) { out <- certificateExpiry }

// Collect implements prometheus.Collector.
func (c *certificates) Collect(out chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, at := range c.ends {
		out <- prometheus.MustNewConstMetric(certificateExpiry, prometheus.GaugeValue, time.Until(at).Seconds(), name)
	}
}
