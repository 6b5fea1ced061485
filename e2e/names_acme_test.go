package e2e

import (
	"fmt"
	"path/filepath"
	"testing"

	"greenroom/internal/testenv/pebbletest"
)

// TestCertificatesFromACME gives each desktop of a meeting a certificate of an ACME authority, which looks for the proofs
// in greenroom's own zone, over the network.
func TestCertificatesFromACME(t *testing.T) {
	t.Parallel()
	const zone = "desk.example.com"
	s := newNamed(t, "")
	pebble := pebbletest.Start(t, pebbletest.Options{DNS: s.ports[2]})
	roots := filepath.Join(s.data, "roots.pem")
	write(t, roots, pebble.PEM())
	write(t, filepath.Join(s.data, "greenroom.yaml"), fmt.Sprintf("zone: %s\naccess: direct\ncertificates: {issuer: acme, directory_url: %q, roots_file: %q}\n", zone, pebble.Directory, roots))
	s.start()
	m := s.proved(mustSchedule(t, s, "With public certificates", "now").ID)
	for _, seat := range m.Seats {
		d := seat.Desktop
		reaches(t, s.ports[2], d.Hostname, s.ports[1], pebble.Roots)
		if left := texts(t, s.ports[2], "_acme-challenge."+d.Hostname); len(left) != 0 {
			t.Errorf("left in the zone: %q", left)
		}
	}
	if n := pebble.Orders(); n != len(m.Seats) {
		t.Errorf("%d orders for %d desktops", n, len(m.Seats))
	}
	s.ended(m.ID)
	s.nothingLeft()
}
