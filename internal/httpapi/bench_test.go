package httpapi_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"greenroom/internal/store/sqlstore"
)

// BenchmarkJoinStatus holds the lobby's question against a bare net/http handler that sends the same bytes, in
// the same run, over connections that are kept. "ratio" is our requests a second over the bare handler's.
func BenchmarkJoinStatus(b *testing.B) {
	db, err := sqlstore.Open(b.Context(), sqlstore.Options{Path: filepath.Join(b.TempDir(), "greenroom.db")})
	if err != nil {
		b.Fatal(err)
	}
	r := newRig(b, func(s *setup) {
		s.store = db
	})
	link := r.join(r.scheduled(), "teacher")
	body := r.call("GET", link, nil).body
	bare := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusAccepted)
		_, _ = w.Write(body)
	}))
	b.Cleanup(bare.Close)
	var ours, theirs time.Duration
	for b.Loop() { // taken in turns, so that a busy machine is busy for both
		ours += askMany(b, r.server.Listener.Addr(), link)
		theirs += askMany(b, bare.Listener.Addr(), link)
	}
	b.ReportMetric(theirs.Seconds()/ours.Seconds(), "ratio")
	b.ReportMetric(float64(b.N*asks)/ours.Seconds(), "req/s")
	b.ReportMetric(float64(b.N*asks)/theirs.Seconds(), "bare-req/s")
}

const asks = 2000

// askMany sends requests on one connection, as little client as possible, so that the servers are what is measured.
func askMany(b *testing.B, server net.Addr, path string) time.Duration {
	conn, err := net.Dial("tcp", server.String())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	request := []byte("GET " + path + " HTTP/1.1\r\nHost: " + server.String() + "\r\n\r\n")
	buf := make([]byte, 16<<10)
	began := time.Now()
	for range asks {
		if _, err := conn.Write(request); err != nil {
			b.Fatal(err)
		}
		if n, err := conn.Read(buf); err != nil && err != io.EOF || n < 12 || string(buf[9:12]) != "202" {
			b.Fatalf("%v: %s", err, buf[:n])
		}
	}
	return time.Since(began)
}
