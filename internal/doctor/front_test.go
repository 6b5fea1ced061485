package doctor

import (
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// TestFront looks through doors that are shut in one way each.
func TestFront(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		shut, check, detail string
		note                bool
	}{
		"Open":      {"", "", "", false},
		"NoSockets": {"socket", "WebSockets", "answers 502", false},
		"Held":      {"held", "streams of events", "held back", true},
		"CutOff":    {"cut", "streams of events", "cut off", false},
		"Another":   {"another", "public address", "not as greenroom does", false},
		"Untrusted": {"untrusted", "public address", "do not trust", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewTLSServer(front(c.shut))
			defer server.Close()
			roots := x509.NewCertPool()
			if c.shut != "untrusted" {
				roots.AddCert(server.Certificate())
			}
			found := Front{URL: server.URL, Roots: func() (*x509.CertPool, error) { return roots, nil }}.check(t.Context())
			seen := false
			for _, f := range found {
				if f.OK {
					continue
				}
				seen = true
				if f.Check != c.check || !strings.Contains(f.Detail, c.detail) || f.Note != c.note || f.Fix == "" {
					t.Errorf("%+v", f)
				}
			}
			if seen != (c.shut != "") || !seen && len(found) != 4 {
				t.Errorf("found %+v", found)
			}
		})
	}
}

// front is a server that is shut in one way.
func front(shut string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, map[bool]string{true: "hello", false: "ok\n"}[shut == "another"])
	})
	mux.HandleFunc("GET /check/socket", func(w http.ResponseWriter, r *http.Request) {
		if shut == "socket" {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer func() { _ = conn.CloseNow() }()
		if kind, data, err := conn.Read(r.Context()); err == nil {
			_ = conn.Write(r.Context(), kind, data)
		}
	})
	mux.HandleFunc("GET /check/events", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "event: check\ndata: 0\n\n")
		if shut == "cut" {
			return
		}
		if shut != "held" {
			_ = http.NewResponseController(w).Flush()
		}
		select {
		case <-time.After(time.Second):
		case <-r.Context().Done():
		}
		_, _ = io.WriteString(w, "event: check\ndata: 1\n\n")
	})
	return mux
}
