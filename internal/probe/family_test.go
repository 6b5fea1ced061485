package probe_test

import (
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"crypto/tls"

	"greenroom/internal/dns"
	"greenroom/internal/probe"
	"greenroom/internal/testenv/ipv6"
)

// onBoth makes the world's desktop listen on 127.0.0.1 and, with six, on ::1, at one port, and names it with both addresses.
func (w *world) onBoth(t *testing.T, six bool) (four, sixth netip.Addr) {
	t.Helper()
	ipv6.Loopback(t)
	sixth = netip.IPv6Loopback()
	var l4, l6 net.Listener
	for range 50 { // until a port is free on both
		var err error
		if l4, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		_, port, _ := net.SplitHostPort(l4.Addr().String())
		if l6, err = net.Listen("tcp", net.JoinHostPort("::1", port)); err == nil {
			break
		}
		l4.Close()
	}
	if l6 == nil {
		t.Fatal("no port is free on both addresses")
	}
	w.options.DesktopAddr, w.options.Port = "", l4.Addr().(*net.TCPAddr).Port
	w.answer = func(http.ResponseWriter, *http.Request) {}
	listeners := []net.Listener{l4, l6}
	if !six {
		l6.Close()
		listeners = listeners[:1]
	}
	for _, l := range listeners {
		s := &http.Server{
			Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { w.answer(rw, r) }), ErrorLog: log.New(io.Discard, "", 0),
			TLSConfig: &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return w.cert, nil }},
		}
		go func() { _ = s.ServeTLS(l, "", "") }()
		t.Cleanup(func() { s.Close() })
	}
	if err := w.zone.SetRecords(t.Context(), []dns.Record{dns.NewRecord(host, loopback, sixth)}); err != nil {
		t.Fatal(err)
	}
	return loopback, sixth
}

func TestBothFamiliesAreProved(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	four, six := w.onBoth(t, true)
	proof := probe.New(w.options).Probe(t.Context(), host, four, six)
	if !proof.OK || proof.Narrow || proof.Untried || len(proof.Steps) != 4 {
		t.Fatalf("got %+v", proof)
	}
	if s := proof.Steps[0]; !strings.Contains(s.Detail, "is 127.0.0.1 and ::1, says") {
		t.Errorf("got %+v", s)
	}
	if s := proof.Steps[3]; s.Name != "ipv6" || !s.OK || !strings.Contains(s.Detail, "::1") {
		t.Errorf("got %+v", s)
	}
}

func TestFamilyThatDoesNotAnswerIsNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	four, six := w.onBoth(t, false)
	proof := probe.New(w.options).Probe(t.Context(), host, four, six)
	if last := proof.Steps[len(proof.Steps)-1]; !proof.OK || !proof.Narrow || last.OK || !strings.Contains(last.Detail, "connection refused") {
		t.Errorf("got %+v", proof)
	}
	// The other way round the main one does not answer, and that is no proof.
	if proof := probe.New(w.options).Probe(t.Context(), host, six, four); proof.OK {
		t.Errorf("got %+v", proof)
	}
}

func TestNameHasBothFamilies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	four, six := w.onBoth(t, true)
	w.set(t, host, four) // without its AAAA record
	if proof := probe.New(w.options).Probe(t.Context(), host, four, six); proof.OK || !strings.Contains(proof.Steps[0].Detail, "is [], not ::1") {
		t.Errorf("got %+v", proof)
	}
}

func TestIPv6Only(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, six := w.onBoth(t, true)
	if err := w.zone.SetRecords(t.Context(), []dns.Record{dns.NewRecord(host, six)}); err != nil {
		t.Fatal(err)
	}
	if proof := probe.New(w.options).Probe(t.Context(), host, six); !proof.OK || proof.Untried || len(proof.Steps) != 3 {
		t.Errorf("got %+v", proof)
	}
}

func TestNoRoute(t *testing.T) {
	t.Parallel()
	nowhere := netip.MustParseAddr("100::1") // RFC 6666: to be discarded
	w := newWorld(t)
	w.options.DesktopAddr, w.options.HasRoute = "", func(netip.Addr) bool { return false }
	if err := w.zone.SetRecords(t.Context(), []dns.Record{dns.NewRecord(host, nowhere)}); err != nil {
		t.Fatal(err)
	}
	proof := probe.New(w.options).Probe(t.Context(), host, nowhere)
	if !proof.OK || !proof.Untried || !strings.Contains(proof.Steps[2].Detail, "no IPv6 route") {
		t.Errorf("got %+v", proof)
	}
}
