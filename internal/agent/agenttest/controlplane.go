// Package agenttest has both neighbours of an agent for tests: a control plane that enrols it and answers it,
// and the browser of a participant. Neither fakes anything on the wire.
package agenttest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/agent/agentapi"
	"greenroom/internal/dcv"
)

// ControlPlane is a small control plane. Its fields may be changed under its lock.
type ControlPlane struct {
	sync.Mutex
	CertificateLife time.Duration // of what it signs
	Slow            bool          // it signs at the second time of asking, and only a request that names the desktop alone
	Hooks           string        // of the desktops whose user data it makes
	Roots           *x509.CertPool

	server  *httptest.Server
	ca      *x509.Certificate
	key     *ecdsa.PrivateKey
	serial  int64
	machine map[string]*Machine // by enrolment secret, which is the handle's token
}

// Machine is what the control plane knows of one desktop.
type Machine struct {
	Enrolled bool
	Report   agentapi.Report // the last one
	Reports  int
	Orders   agentapi.Orders   // the answer to the next
	Tokens   map[string]string // good tokens, and the client address that used each first
	Signed   int               // certificates
	Asked    int               // for certificates
	ReadyAt  time.Time         // when a report first said so
	Data     string            // where the session's data lies, as the desktop told
}

// NewControlPlane starts one that ends with the test.
func NewControlPlane(t testing.TB) *ControlPlane {
	t.Helper()
	c := &ControlPlane{CertificateLife: time.Hour, machine: map[string]*Machine{}, Roots: x509.NewCertPool()}
	c.authority(t)
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+agentapi.EnrolPath, c.enrol)
	mux.HandleFunc("POST "+agentapi.ReportPath, c.report)
	mux.HandleFunc("POST "+agentapi.CertificatePath, c.certificate)
	mux.HandleFunc("PUT "+agentapi.SessionDataPath, c.sessionData)
	mux.HandleFunc("POST /dcv/verify/{secret}", c.verify)
	c.server = httptest.NewServer(mux)
	t.Cleanup(func() { c.server.Close() })
	return c
}

// URL is where it answers.
func (c *ControlPlane) URL() string { return c.server.URL }

// Stop takes it away.
func (c *ControlPlane) Stop() { stop(c.server) }

func stop(s *httptest.Server) {
	s.CloseClientConnections()
	s.Close()
}

// Move lets it answer elsewhere, with everything it knew, and takes it away from where it was.
func (c *ControlPlane) Move() {
	before := c.server
	c.server = httptest.NewServer(before.Config.Handler)
	stop(before)
}

// Hostname is the name that the desktop with that token is given.
func Hostname(token string) string { return greenroom.InstanceIDFromToken(token) + ".desk.localhost" }

// UserData is what the machine for the handle is told at birth.
func (c *ControlPlane) UserData(h greenroom.Handle, killAt time.Time, applications ...string) []byte {
	c.Lock()
	defer c.Unlock()
	if c.machine[h.Token()] == nil {
		c.machine[h.Token()] = &Machine{Tokens: map[string]string{}}
	}
	text, _ := json.Marshal(agentapi.UserData{
		InstanceID: greenroom.InstanceIDFromToken(h.Token()), ControlURL: c.URL(), Secret: h.Token(), KillAt: killAt,
		Protocol: "novnc", Screen: "1024x768", Applications: applications, Title: "Algebra", Role: h.Seat, Hooks: c.Hooks,
	})
	return text
}

// NewToken is a fresh desktop token for the handle's desktop.
func (c *ControlPlane) NewToken(h greenroom.Handle) string {
	token := greenroom.NewSecret()
	c.Change(h, func(m *Machine) { m.Tokens[token] = "" })
	return token
}

// Change changes what is known of a desktop.
func (c *ControlPlane) Change(h greenroom.Handle, f func(*Machine)) {
	c.Lock()
	defer c.Unlock()
	f(c.machine[h.Token()])
}

// Await waits until ok holds for what is known of a desktop.
func (c *ControlPlane) Await(t testing.TB, h greenroom.Handle, what string, ok func(*Machine) bool) {
	t.Helper()
	Eventually(t, what, func() bool {
		c.Lock()
		defer c.Unlock()
		return ok(c.machine[h.Token()])
	})
}

// AwaitReady waits until the desktop reported that it is ready, and fails with what it reported instead.
func (c *ControlPlane) AwaitReady(t testing.TB, h greenroom.Handle) {
	t.Helper()
	c.Await(t, h, "desktop ready", func(m *Machine) bool {
		if m.Report.Error != "" {
			t.Fatalf("the desktop reports: %s", m.Report.Error)
		}
		return m.Report.Ready
	})
}

// Eventually polls until ok holds, for as long as any of this may take on a busy machine.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("waited in vain for: %s", what)
		case <-tick.C:
		}
	}
}

func (c *ControlPlane) authority(t testing.TB) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	if c.ca, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	c.key = key
	c.Roots.AddCert(c.ca)
}

// sign signs a request for the desktop. The caller holds the lock.
func (c *ControlPlane) sign(request, token string) string {
	block, _ := pem.Decode([]byte(request))
	if block == nil {
		return ""
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil || csr.CheckSignature() != nil {
		return ""
	}
	if c.Slow && (c.machine[token].Asked < 2 || len(csr.DNSNames) != 1 || csr.DNSNames[0] != Hostname(token)) {
		return ""
	}
	c.serial++
	template := &x509.Certificate{SerialNumber: big.NewInt(1 + c.serial), DNSNames: []string{Hostname(token)},
		NotBefore: time.Now(), NotAfter: time.Now().Add(c.CertificateLife), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, c.ca, csr.PublicKey, c.key)
	if err != nil {
		return ""
	}
	c.machine[token].Signed++
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func (c *ControlPlane) enrol(w http.ResponseWriter, r *http.Request) {
	c.Lock()
	defer c.Unlock()
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	var in agentapi.Enrolment
	m := c.machine[token]
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || m == nil || m.Enrolled || in.InstanceID != greenroom.InstanceIDFromToken(token) {
		http.Error(w, "refused", http.StatusForbidden)
		return
	}
	m.Enrolled = true
	answer(w, agentapi.Enrolled{AgentToken: "agent " + token, Hostname: Hostname(token), VerifyURL: c.URL() + "/dcv/verify/" + token,
		ReturnURL: c.URL() + "/join/" + token, Certificate: c.sign(in.CertificateRequest, token),
		Meeting: agentapi.Meeting{ID: "k3v9", Title: "Algebra", Role: "teacher"}, WrapUp: 30})
}

func (c *ControlPlane) report(w http.ResponseWriter, r *http.Request) {
	c.Lock()
	defer c.Unlock()
	m := c.caller(r)
	if m == nil {
		http.Error(w, "refused", http.StatusForbidden)
		return
	}
	var in agentapi.Report
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if in.Ready && !m.Report.Ready {
		m.ReadyAt = time.Now()
	}
	m.Report = in
	m.Reports++
	answer(w, m.Orders)
}

func (c *ControlPlane) certificate(w http.ResponseWriter, r *http.Request) {
	c.Lock()
	defer c.Unlock()
	var in agentapi.CertificateRequest
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || c.caller(r) == nil {
		http.Error(w, "refused", http.StatusForbidden)
		return
	}
	c.machine[bearer(r)].Asked++
	answer(w, agentapi.Certificate{Certificate: c.sign(in.CertificateRequest, bearer(r))})
}

func (c *ControlPlane) sessionData(w http.ResponseWriter, r *http.Request) {
	c.Lock()
	defer c.Unlock()
	var in agentapi.SessionData
	m := c.caller(r)
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || m == nil {
		http.Error(w, "refused", http.StatusForbidden)
		return
	}
	m.Data = in.URL
	w.WriteHeader(http.StatusNoContent)
}

func bearer(r *http.Request) string {
	return strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer agent ")
}

func (c *ControlPlane) caller(r *http.Request) *Machine { return c.machine[bearer(r)] }

func (c *ControlPlane) verify(w http.ResponseWriter, r *http.Request) {
	q, err := dcv.ParseVerifyRequest(r)
	c.Lock()
	defer c.Unlock()
	m := c.machine[r.PathValue("secret")]
	switch {
	case err != nil || m == nil || q.SessionID != agentapi.SessionID:
		_ = dcv.WriteVerdict(w, false, "", "This is not a question for us.")
		return
	}
	first, known := m.Tokens[q.Token]
	if !known || first != "" && first != q.ClientAddress {
		_ = dcv.WriteVerdict(w, false, "", "The token is not good from there.")
		return
	}
	m.Tokens[q.Token] = q.ClientAddress
	w.Header().Set(agentapi.LinksHeader, strconv.Itoa(m.Orders.Links))
	_ = dcv.WriteVerdict(w, true, "participant", "")
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}
