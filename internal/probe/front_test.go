package probe_test

import (
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"greenroom/internal/probe"
)

// TestFront: what the front door says of a desktop, and what it says of itself alone.
func TestFront(t *testing.T) {
	t.Parallel()
	const id = "i-11111111111111111"
	for name, c := range map[string]struct {
		status   int
		plain    bool
		stranger bool // the certificate is of an authority that is not trusted
		own      bool
		host     string
		ok, lost bool
		step     string
		detail   string
	}{
		"Answers":              {status: 200, ok: true, step: "page", detail: "/d/" + id + "/version answers 200"},
		"AnswersInTheClear":    {status: 200, plain: true, ok: true, step: "page"},
		"DesktopDoesNotAnswer": {status: 502, step: "page", detail: "502: the reason"},
		"NoSuchDesktop":        {status: 404, step: "page"},
		"GreenroomIsAtFault":   {status: 503, lost: true, step: "page"},
		"TooMany":              {status: 429, lost: true, step: "page"},
		"NotTrusted":           {status: 200, stranger: true, lost: true, step: "tls", detail: "not trusted"},
		"OperatorsOwn":         {status: 200, stranger: true, own: true, ok: true, step: "page"},
		"OtherName":            {status: 200, own: true, host: "lab.example.org", lost: true, step: "tls", detail: "not for lab.example.org"},
		"Shut":                 {lost: true, step: "tls", detail: "connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/d/"+id+"/version" {
					w.WriteHeader(http.StatusTeapot)
					return
				}
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, "the reason\n")
			}))
			if c.plain {
				server.Start()
			} else {
				server.StartTLS()
			}
			t.Cleanup(server.Close)
			f := &probe.Front{URL: "https://example.com", Addr: server.Listener.Addr()}
			if c.host != "" {
				f.URL = "https://" + c.host
			}
			if !c.plain {
				roots := x509.NewCertPool()
				f.TLS = &probe.FrontTLS{Roots: func() *x509.CertPool { return roots }, Own: c.own}
				if !c.stranger {
					roots.AddCert(server.Certificate())
				}
			}
			if c.status == 0 {
				server.Close()
			}
			proof := probe.New(probe.Options{Front: f, Timeout: 5 * time.Second}).Probe(t.Context(), id+".desk.localhost", netip.MustParseAddr("127.0.1.1"))
			last := proof.Steps[len(proof.Steps)-1]
			if proof.OK != c.ok || proof.Lost != c.lost || last.Name != c.step || !strings.Contains(last.Detail, c.detail) {
				t.Errorf("got %+v", proof)
			}
		})
	}
}

func TestFrontAddr(t *testing.T) {
	t.Parallel()
	for listen, want := range map[string]string{"0.0.0.0:443": "127.0.0.1:443", "[::]:443": "[::1]:443", "192.0.2.1:443": "192.0.2.1:443", "[2001:db8::7]:443": "[2001:db8::7]:443"} {
		addr, err := net.ResolveTCPAddr("tcp", listen)
		if err != nil {
			t.Fatal(err)
		}
		if got := probe.FrontAddr(addr); got != want {
			t.Errorf("%s: %s, want %s", listen, got, want)
		}
	}
}
