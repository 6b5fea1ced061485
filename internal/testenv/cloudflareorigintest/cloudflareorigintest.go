// Package cloudflareorigintest stands in for Cloudflare's origin authority in tests: the calls, the envelope
// and the refusals that its API documents, and nothing beyond.
package cloudflareorigintest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"greenroom/internal/testenv/cloudflare"
)

// Server is a running authority. It signs below Apex, for who brings Token.
type Server struct {
	URL    string
	Apex   string
	ZoneID string
	Status string // of the zone
	Others []Zone // of the same name, that the token sees, too
	Roots  *x509.CertPool

	root *x509.Certificate
	key  *ecdsa.PrivateKey

	mu         sync.Mutex
	token      string
	throttled  int // Retry-After in seconds, 0: not
	calls      int
	live, gone []string
}

// Zone is a zone of another account.
type Zone struct{ ID, Status string }

// Start starts one that ends with the test.
func Start(tb testing.TB, apex, token string) *Server {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "origin authority of a test"}, IsCA: true,
		BasicConstraintsValid: true, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour * 365), KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		tb.Fatal(err)
	}
	s := &Server{Apex: apex, ZoneID: "023e105f4ecef8ad9ca31a8372d0c353", Status: "active", Roots: x509.NewCertPool(), key: key, token: token}
	if s.root, err = x509.ParseCertificate(der); err != nil {
		tb.Fatal(err)
	}
	s.Roots.AddCert(s.root)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /client/v4/certificates", s.sign)
	mux.HandleFunc("GET /client/v4/certificates", s.list)
	mux.HandleFunc("GET /client/v4/zones", s.zones)
	mux.HandleFunc("DELETE /client/v4/certificates/{id}", s.revoke)
	server := httptest.NewServer(s.guard(mux))
	tb.Cleanup(server.Close)
	s.URL = server.URL + "/client/v4/"
	return s
}

// SetToken changes the good token.
func (s *Server) SetToken(token string) { s.mu.Lock(); defer s.mu.Unlock(); s.token = token }

// Throttle makes it refuse every call with this Retry-After, in seconds; 0 ends that.
func (s *Server) Throttle(seconds int) { s.mu.Lock(); defer s.mu.Unlock(); s.throttled = seconds }

// Calls counts what reached it.
func (s *Server) Calls() int { s.mu.Lock(); defer s.mu.Unlock(); return s.calls }

// Live and Revoked count certificates.
func (s *Server) Live() int { s.mu.Lock(); defer s.mu.Unlock(); return len(s.live) }

// Revoked counts those that were taken back.
func (s *Server) Revoked() int { s.mu.Lock(); defer s.mu.Unlock(); return len(s.gone) }

func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.calls++
		switch {
		case s.throttled > 0:
			w.Header().Set("Retry-After", fmt.Sprint(s.throttled))
			refuse(w, http.StatusTooManyRequests, 971, "Please wait and consider throttling your request speed")
		case r.Header.Get("Authorization") != "Bearer "+s.token:
			refuse(w, http.StatusForbidden, 10000, "Authentication error")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func (s *Server) sign(w http.ResponseWriter, r *http.Request) {
	var in struct {
		CSR       string   `json:"csr"`
		Hostnames []string `json:"hostnames"`
		Type      string   `json:"request_type"`
		Validity  int      `json:"requested_validity"`
	}
	in.Validity = 5475
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		refuse(w, http.StatusBadRequest, 1001, "Failed to parse the request: "+err.Error())
		return
	}
	block, _ := pem.Decode([]byte(in.CSR))
	if block == nil {
		refuse(w, http.StatusBadRequest, 1002, "Failed to parse the CSR")
		return
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil || csr.CheckSignature() != nil {
		refuse(w, http.StatusBadRequest, 1002, "Failed to parse the CSR")
		return
	}
	kind := "origin-ecc"
	if _, ok := csr.PublicKey.(*rsa.PublicKey); ok {
		kind = "origin-rsa"
	}
	foreign := func(name string) bool { return name != s.Apex && !strings.HasSuffix(name, "."+s.Apex) }
	switch {
	case in.Type != kind:
		refuse(w, http.StatusBadRequest, 1005, "The CSR's key does not match request_type")
	case !slices.Contains([]int{7, 30, 90, 365, 730, 1095, 5475}, in.Validity):
		refuse(w, http.StatusBadRequest, 1008, "Invalid requested_validity")
	case len(in.Hostnames) == 0 || slices.ContainsFunc(in.Hostnames, foreign):
		refuse(w, http.StatusBadRequest, 1010, "Failed to validate requested hostname: This zone is either not part of your account, or you do not have access to it")
	default:
		s.issue(w, csr, in.Hostnames, in.CSR, in.Type, in.Validity)
	}
}

func (s *Server) issue(w http.ResponseWriter, csr *x509.CertificateRequest, names []string, text, kind string, days int) {
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	leaf := &x509.Certificate{SerialNumber: serial, DNSNames: names, NotBefore: time.Now().Add(-5 * time.Minute),
		NotAfter: time.Now().AddDate(0, 0, days), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, leaf, s.root, csr.PublicKey, s.key)
	if err != nil {
		refuse(w, http.StatusInternalServerError, 1100, err.Error())
		return
	}
	id := hex.EncodeToString(serial.Bytes())
	s.live = append(s.live, id)
	answer(w, map[string]any{"id": id, "csr": text, "hostnames": names, "request_type": kind, "requested_validity": days,
		"certificate": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), "expires_on": leaf.NotAfter.UTC().String()})
}

func (s *Server) list(w http.ResponseWriter, r *http.Request) {
	if _, _, err := cloudflare.Paging(r.URL.Query(), 5, 50, 20, "zone_id"); err != nil {
		refuse(w, http.StatusBadRequest, 1004, err.Error())
		return
	}
	if r.URL.Query().Get("zone_id") != s.ZoneID {
		refuse(w, http.StatusForbidden, 1016, "User is not authorized to perform this action")
		return
	}
	list := []any{}
	for _, id := range s.live {
		list = append(list, map[string]any{"id": id})
	}
	answer(w, list)
}

func (s *Server) zones(w http.ResponseWriter, r *http.Request) {
	if _, _, err := cloudflare.Paging(r.URL.Query(), 5, 50, 20, "name"); err != nil {
		refuse(w, http.StatusBadRequest, 1004, err.Error())
		return
	}
	list := []any{}
	if r.URL.Query().Get("name") == s.Apex {
		for _, z := range append(slices.Clone(s.Others), Zone{s.ZoneID, s.Status}) {
			list = append(list, map[string]any{"id": z.ID, "name": s.Apex, "status": z.Status})
		}
	}
	answer(w, list)
}

func (s *Server) revoke(w http.ResponseWriter, r *http.Request) {
	i := slices.Index(s.live, r.PathValue("id"))
	if i < 0 {
		refuse(w, http.StatusNotFound, 1101, "Failed to read certificate from database")
		return
	}
	s.gone, s.live = append(s.gone, s.live[i]), slices.Delete(s.live, i, i+1)
	answer(w, map[string]any{"id": r.PathValue("id"), "revoked_at": time.Now().UTC()})
}

func answer(w http.ResponseWriter, result any) {
	send(w, http.StatusOK, map[string]any{"success": true, "errors": []any{}, "messages": []any{}, "result": result})
}

func refuse(w http.ResponseWriter, status, code int, message string) {
	send(w, status, map[string]any{"success": false, "errors": []any{map[string]any{"code": code, "message": message}}, "messages": []any{}, "result": nil})
}

func send(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
