// Package pebbletest runs Pebble, the ACME authority of Let's Encrypt's own tests, inside a test. It looks for
// challenges for real, through a DNS server of the test's.
package pebbletest

import (
	"cmp"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
)

// Options of an authority.
type Options struct {
	DNS          string            // host:port of the server that it asks, by TCP
	HTTPPort     int               // to which it connects for HTTP-01; 1, where nobody is
	TLSPort      int               // the same for TLS-ALPN-01
	Life         time.Duration     // of certificates; 90 days
	RejectNonces int               // percent of good nonces that it refuses
	Accounts     map[string]string // external accounts: key by id; without them none is needed
	Blocked      []string          // names it does not sign
}

// Authority is a running one.
type Authority struct {
	Directory string         // its URL
	Roots     *x509.CertPool // to trust for its HTTPS and for what it signs

	roots  []*x509.Certificate // those in Roots
	server *httptest.Server
	o      Options

	mu     sync.Mutex
	pebble http.Handler
	orders int
	refuse *Refusal
}

// Refusal is what every new order gets.
type Refusal struct {
	Status       int
	Type, Detail string
}

// environment is how Pebble is told some of its options, once it is made.
var environment sync.Mutex

// Start starts one that ends with the test.
func Start(tb testing.TB, o Options) *Authority {
	tb.Helper()
	a := &Authority{o: o, Roots: x509.NewCertPool()}
	a.server = httptest.NewTLSServer(a)
	tb.Cleanup(a.server.Close)
	a.trust(a.server.Certificate())
	a.Directory = a.server.URL + wfe.DirectoryPath
	a.Forget(tb)
	return a
}

// Forget makes it a new authority at the same address, which knows no account.
func (a *Authority) Forget(tb testing.TB) {
	tb.Helper()
	environment.Lock()
	defer environment.Unlock()
	for name, value := range map[string]string{"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": strconv.Itoa(a.o.RejectNonces), "PEBBLE_AUTHZREUSE": "0"} {
		if err := os.Setenv(name, value); err != nil { //nolint:usetesting // its own would forbid tests that run at once
			tb.Fatal(err)
		}
		defer os.Unsetenv(name)
	}
	quiet := log.New(io.Discard, "", 0)
	store := db.NewMemoryStore()
	for id, key := range a.o.Accounts {
		if err := store.AddExternalAccountKeyByID(id, key); err != nil {
			tb.Fatal(err)
		}
	}
	for _, name := range a.o.Blocked {
		if err := store.AddBlockedDomain(name); err != nil {
			tb.Fatal(err)
		}
	}
	signer := ca.New(quiet, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {ValidityPeriod: uint64(a.o.Life / time.Second)}})
	checker := va.New(quiet, cmp.Or(a.o.HTTPPort, 1), cmp.Or(a.o.TLSPort, 1), false, a.o.DNS, store)
	front := wfe.New(quiet, store, checker, signer, []string{"pebble.example"}, true, len(a.o.Accounts) > 0, 0, 0)
	root, err := x509.ParseCertificate(signer.GetRootCert(0).DER)
	if err != nil {
		tb.Fatal(err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.trust(root)
	a.pebble = front.Handler()
}

func (a *Authority) trust(root *x509.Certificate) {
	a.roots = append(a.roots, root)
	a.Roots.AddCert(root)
}

// PEM is Roots for a file.
func (a *Authority) PEM() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []byte
	for _, root := range a.roots {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Raw})...)
	}
	return string(out)
}

// Refuse makes it refuse every new order; nil ends that.
func (a *Authority) Refuse(r *Refusal) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refuse = r
}

// Orders counts the new orders that reached it, those with a refused nonce too.
func (a *Authority) Orders() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.orders
}

// Stop makes it unreachable.
func (a *Authority) Stop() { a.server.Close() }

// ServeHTTP is for the authority's own server.
func (a *Authority) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	pebble, refuse := a.pebble, a.refuse
	order := r.URL.Path == "/order-plz"
	if order {
		a.orders++
	}
	a.mu.Unlock()
	if order && refuse != nil {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(refuse.Status)
		_ = json.NewEncoder(w).Encode(map[string]any{"type": refuse.Type, "detail": refuse.Detail, "status": refuse.Status})
		return
	}
	pebble.ServeHTTP(w, r)
}
