package dcvagent_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"greenroom/internal/testenv/dcvtest"
)

func (m *machine) set(f func(s *dcvtest.Server)) {
	m.dcv.Lock()
	defer m.dcv.Unlock()
	f(m.dcv)
}

func (m *machine) restarts() (n int) {
	m.set(func(s *dcvtest.Server) { n = s.Restarts })
	return n
}

// served is the certificate that DCV shows now, which is checked.
func (m *machine) served(hostname string) *x509.Certificate {
	m.t.Helper()
	conn, err := tls.Dial("tcp", m.dcv.Address(), &tls.Config{RootCAs: m.roots, ServerName: hostname})
	if err != nil {
		m.t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0]
}

// shown are the notices on the desktop's screen.
func (m *machine) shown() (text string) {
	m.set(func(s *dcvtest.Server) { text = strings.Join(s.Told, "\n") })
	return text
}

func (m *machine) until(what string, ok func() bool) {
	m.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !ok() {
		if time.Now().After(deadline) {
			m.t.Fatalf("waited in vain until: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// cpu is the processor time that the agent has used, or that of the programs it has run.
func (m *machine) cpu(children bool) time.Duration {
	m.t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", m.cmd.Process.Pid))
	if err != nil {
		m.t.Fatal(err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	first := 11 // utime, after the name
	if children {
		first = 13
	}
	var ticks int
	for _, f := range fields[first : first+2] {
		n, _ := strconv.Atoi(f)
		ticks += n
	}
	return time.Duration(ticks) * time.Second / 100
}

// proxy is a network that can fail: then it passes nothing and tells nobody.
type proxy struct {
	listener net.Listener
	mu       sync.Mutex
	dead     bool
	open     map[net.Conn]bool
}

func newProxy(t *testing.T, to string) *proxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: ln, open: map[net.Conn]bool{}}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			from, err := ln.Accept()
			if err != nil {
				return
			}
			go p.pass(from, to)
		}
	}()
	return p
}

func (p *proxy) pass(from net.Conn, to string) {
	defer from.Close()
	onward, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer onward.Close()
	p.mu.Lock()
	dead := p.dead
	p.open[from] = true
	p.mu.Unlock()
	if dead {
		return
	}
	go io.Copy(onward, from) // it ends with the connections
	_, _ = io.Copy(from, onward)
}

// url is the control plane's by way of the proxy.
func (p *proxy) url() string { return "https://" + p.listener.Addr().String() }

// cut breaks the network, or mends it.
func (p *proxy) cut(dead bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dead = dead
	for c := range p.open {
		c.Close()
		delete(p.open, c)
	}
}

// certificate is that of a server at address, and the PEM of the authority that signed it.
func certificate(t *testing.T, address net.Addr) (tls.Certificate, string) {
	t.Helper()
	host, _, err := net.SplitHostPort(address.String())
	if err != nil {
		t.Fatal(err)
	}
	sign := func(template, parent *x509.Certificate, key, parentKey *ecdsa.PrivateKey) []byte {
		t.Helper()
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Minute), time.Now().Add(time.Hour)
		der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "the control plane's authority"},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), IPAddresses: []net.IP{net.ParseIP(host)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	rootKey, leafKey := newKey(t), newKey(t)
	rootDER := sign(root, root, rootKey, rootKey)
	return tls.Certificate{Certificate: [][]byte{sign(leaf, root, leafKey, rootKey)}, PrivateKey: leafKey},
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: rootDER}))
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}
