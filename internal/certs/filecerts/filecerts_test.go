package filecerts_test

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/certs/certstest"
	"greenroom/internal/certs/filecerts"
	"greenroom/internal/testenv/locked"
)

const host = "i-1.desk.example.com"

// pair is a self-signed certificate for names.
func pair(t *testing.T, life time.Duration, names ...string) (chain, key []byte, leaf *x509.Certificate) {
	t.Helper()
	private := certstest.ECKey(t)
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62))
	template := &x509.Certificate{SerialNumber: serial, DNSNames: names, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(life),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	if leaf, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), keyPEM(t, private), leaf
}

func keyPEM(t *testing.T, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

type files struct{ chain, key string }

func inFiles(t *testing.T, chain, key []byte) files {
	t.Helper()
	dir := t.TempDir()
	f := files{filepath.Join(dir, "chain.pem"), filepath.Join(dir, "key.pem")}
	write(t, f.chain, chain)
	write(t, f.key, key)
	return f
}

func write(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsWrongIsSaid(t *testing.T) {
	t.Parallel()
	chain, key, _ := pair(t, time.Hour, "*.desk.example.com")
	_, otherKey, _ := pair(t, time.Hour, "*.desk.example.com")
	expired, expiredKey, _ := pair(t, -time.Minute, "*.desk.example.com")
	elsewhere, elsewhereKey, _ := pair(t, time.Hour, "desk.example.com")
	for name, c := range map[string]struct {
		chain, key []byte
		says       string
	}{
		"nonsense":        {[]byte("hello"), key, "are not a certificate chain and its key"},
		"another's key":   {chain, otherKey, "are not a certificate chain and its key"},
		"expired":         {expired, expiredKey, "expired on"},
		"no wildcard":     {elsewhere, elsewhereKey, "get one for the wildcard"},
		"huge":            {bytes.Repeat([]byte("x"), 1<<20), key, "larger than"},
		"no such file":    {nil, key, "cannot be read"},
		"good, for scale": {chain, key, ""},
	} {
		f := inFiles(t, c.chain, c.key)
		if c.chain == nil {
			f.chain += ".no"
		}
		_, err := filecerts.Open(filecerts.Options{ChainFile: f.chain, KeyFile: f.key, Hostname: host, Logger: slog.New(slog.DiscardHandler)})
		if got := greenroom.Sentence(err, ""); !strings.Contains(got, c.says) || (err == nil) != (c.says == "") {
			t.Errorf("%s: got %q (%v)", name, got, err)
		}
	}
}

// TestRenewalWhileServing: new files are shown to who comes next, and who is connected stays so.
func TestRenewalWhileServing(t *testing.T) {
	t.Parallel()
	chain, key, first := pair(t, time.Hour, "*.desk.example.com")
	f := inFiles(t, chain, key)
	var log locked.Buffer
	e, err := filecerts.Open(filecerts.Options{ChainFile: f.chain, KeyFile: f.key, Hostname: host, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	address := echo(t, e)
	session := dial(t, address)
	says(t, session, "before")

	renewed, renewedKey, second := pair(t, time.Hour, "*.desk.example.com")
	write(t, f.chain, renewed) // for a moment the two do not fit
	eventually(t, "the half-done change to be told", func() bool {
		serial(t, address)
		return strings.Contains(log.String(), "are not used")
	})
	if got := serial(t, address); got != first.SerialNumber.String() {
		t.Error("a half-done change was shown")
	}
	write(t, f.key, renewedKey)
	eventually(t, "the new certificate", func() bool { return serial(t, address) == second.SerialNumber.String() })
	says(t, session, "after")
	write(t, f.key, []byte("gone"))
	eventually(t, "the fault to be told", func() bool { serial(t, address); return strings.Count(log.String(), "are not used") == 2 })
	if got := serial(t, address); got != second.SerialNumber.String() {
		t.Error("a fault in the files ended the service")
	}
}

// echo serves lines back under e's certificate.
func echo(t *testing.T, e *filecerts.Edge) string {
	t.Helper()
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{GetCertificate: e.GetCertificate})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				for in := bufio.NewScanner(conn); in.Scan(); {
					fmt.Fprintln(conn, in.Text())
				}
			}()
		}
	}()
	return ln.Addr().String()
}

func dial(t *testing.T, address string) *tls.Conn {
	t.Helper()
	conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, ServerName: host}) // self-signed; the serial is compared
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func serial(t *testing.T, address string) string {
	t.Helper()
	conn := dial(t, address)
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

func says(t *testing.T, conn net.Conn, line string) {
	t.Helper()
	fmt.Fprintln(conn, line)
	if got, err := bufio.NewReader(conn).ReadString('\n'); err != nil || got != line+"\n" {
		t.Fatalf("the session answers %q, %v", got, err)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited for %s in vain", what)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
