package localca_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/certs"
	"greenroom/internal/certs/certstest"
	"greenroom/internal/certs/localca"
)

const zone = "desk.localhost"

func open(tb testing.TB, dir string) *localca.Authority {
	tb.Helper()
	a, err := localca.Open(dir, zone)
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

func ecKey(tb testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func rsaKey(tb testing.TB, bits int) *rsa.PrivateKey {
	tb.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

// request asks for whatever name it likes: the authority does not listen.
func request(tb testing.TB, key crypto.Signer) []byte {
	tb.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject:  pkix.Name{CommonName: "bank.example"},
		DNSNames: []string{"bank.example", "*.desk.localhost"},
	}, key)
	if err != nil {
		tb.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}

func parse(tb testing.TB, text []byte) *x509.Certificate {
	tb.Helper()
	block, rest := pem.Decode(text)
	if block == nil || len(rest) > 0 {
		tb.Fatalf("not exactly one certificate:\n%s", text)
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func roots(a *localca.Authority) *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(a.RootPEM())
	return pool
}

func TestSuite(t *testing.T) {
	t.Parallel()
	certstest.Run(t, certstest.Kind{Zone: zone}, func(t *testing.T) certs.Issuer { return open(t, t.TempDir()) })
}

func TestIssue(t *testing.T) {
	t.Parallel()
	a := open(t, t.TempDir())
	const host = "i-1.desk.localhost"
	until := time.Now().Add(2 * time.Hour)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]crypto.Signer{
		"ECDSA P-256": ecKey(t, elliptic.P256()), "ECDSA P-384": ecKey(t, elliptic.P384()),
		"Ed25519": ed, "RSA 2048": rsaKey(t, 2048),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			chain, err := a.Issue(t.Context(), request(t, key), host, until)
			if err != nil {
				t.Fatal(err)
			}
			leaf := parse(t, chain)
			if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots(a), DNSName: host}); err != nil {
				t.Errorf("it does not verify: %v", err)
			}
			if len(leaf.DNSNames) != 1 || leaf.DNSNames[0] != host || len(leaf.Subject.Names) > 0 || leaf.IsCA {
				t.Errorf("it is good for more than %s: %v %v", host, leaf.DNSNames, leaf.Subject)
			}
			if leaf.SerialNumber.BitLen() != 128 || leaf.NotAfter.Before(until) || leaf.NotAfter.After(until.Add(2*time.Hour)) || !leaf.NotBefore.Before(time.Now().Add(-4*time.Minute)) {
				t.Errorf("serial %v, from %v until %v", leaf.SerialNumber, leaf.NotBefore, leaf.NotAfter)
			}
		})
	}
}

func TestIssueRefuses(t *testing.T) {
	t.Parallel()
	a := open(t, t.TempDir())
	good := request(t, ecKey(t, elliptic.P256()))
	forged := func() []byte {
		block, _ := pem.Decode(good)
		der := append([]byte(nil), block.Bytes...)
		der[len(der)-1] ^= 1
		return pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: der})
	}()
	soon := time.Now().Add(time.Hour)
	for name, c := range map[string]struct {
		request []byte
		host    string
		until   time.Time
		want    error
	}{
		"nothing":              {nil, "a.desk.localhost", soon, greenroom.ErrForbidden},
		"a certificate":        {a.RootPEM(), "a.desk.localhost", soon, greenroom.ErrForbidden},
		"two requests":         {append(append([]byte(nil), good...), good...), "a.desk.localhost", soon, greenroom.ErrForbidden},
		"half a request":       {good[:len(good)/2], "a.desk.localhost", soon, greenroom.ErrForbidden},
		"a huge request":       {append(good, make([]byte, 1<<20)...), "a.desk.localhost", soon, greenroom.ErrForbidden},
		"a forged signature":   {forged, "a.desk.localhost", soon, greenroom.ErrForbidden},
		"a short RSA key":      {request(t, rsaKey(t, 1024)), "a.desk.localhost", soon, greenroom.ErrForbidden},
		"another curve":        {request(t, ecKey(t, elliptic.P224())), "a.desk.localhost", soon, greenroom.ErrForbidden},
		"another zone":         {good, "bank.example", soon, greenroom.ErrForbidden},
		"the zone itself":      {good, zone, soon, greenroom.ErrForbidden},
		"a similar zone":       {good, "xdesk.localhost", soon, greenroom.ErrForbidden},
		"a wildcard":           {good, "*.desk.localhost", soon, greenroom.ErrForbidden},
		"an empty label":       {good, "a..desk.localhost", soon, greenroom.ErrForbidden},
		"capitals":             {good, "A.desk.localhost", soon, greenroom.ErrForbidden},
		"a name with a blank":  {good, "a b.desk.localhost", soon, greenroom.ErrForbidden},
		"a desktop that ended": {good, "a.desk.localhost", time.Now().Add(-2 * time.Hour), greenroom.ErrEnded},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := a.Issue(t.Context(), c.request, c.host, c.until); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.Issue(ctx, good, "a.desk.localhost", soon); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v", err)
	}
}

func TestLeafLivesThirtyDaysAtMost(t *testing.T) {
	t.Parallel()
	chain, err := open(t, t.TempDir()).Issue(t.Context(), request(t, ecKey(t, elliptic.P256())), "a.desk.localhost", time.Now().AddDate(1, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	if left := time.Until(parse(t, chain).NotAfter); left > 30*24*time.Hour {
		t.Errorf("it lives %v", left)
	}
}

// TestRootEndangersNobody: with the key itself, nothing outside the zone can be signed that verifies.
func TestRootEndangersNobody(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a := open(t, dir)
	root := parse(t, a.RootPEM())
	if !strings.HasPrefix(root.Subject.CommonName, "greenroom local authority ") || len(root.Subject.CommonName) > 64 {
		t.Errorf("it is called %q", root.Subject.CommonName)
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "ca.pem"), filepath.Join(dir, "ca.key"))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		leaf *x509.Certificate
		host string
		use  x509.ExtKeyUsage
		ok   bool
	}{
		"a desktop":  {&x509.Certificate{DNSNames: []string{"a.desk.localhost"}}, "a.desk.localhost", x509.ExtKeyUsageServerAuth, true},
		"a bank":     {&x509.Certificate{DNSNames: []string{"bank.example"}}, "bank.example", x509.ExtKeyUsageServerAuth, false},
		"both":       {&x509.Certificate{DNSNames: []string{"a.desk.localhost", "bank.example"}}, "a.desk.localhost", x509.ExtKeyUsageServerAuth, false},
		"an address": {&x509.Certificate{IPAddresses: []net.IP{net.IPv4(192, 0, 2, 1)}}, "192.0.2.1", x509.ExtKeyUsageServerAuth, false},
		"IPv6":       {&x509.Certificate{IPAddresses: []net.IP{net.ParseIP("2001:db8::1")}}, "2001:db8::1", x509.ExtKeyUsageServerAuth, false},
		"mail":       {&x509.Certificate{EmailAddresses: []string{"a@bank.example"}}, "", x509.ExtKeyUsageServerAuth, false},
		"code":       {&x509.Certificate{DNSNames: []string{"a.desk.localhost"}}, "", x509.ExtKeyUsageCodeSigning, false},
		"a client":   {&x509.Certificate{DNSNames: []string{"a.desk.localhost"}}, "", x509.ExtKeyUsageClientAuth, false},
	} {
		c.leaf.SerialNumber, c.leaf.NotAfter, c.leaf.ExtKeyUsage = root.SerialNumber, time.Now().Add(time.Hour), []x509.ExtKeyUsage{c.use}
		key := ecKey(t, elliptic.P256())
		der, err := x509.CreateCertificate(rand.Reader, c.leaf, root, key.Public(), pair.PrivateKey)
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		_, err = leaf.Verify(x509.VerifyOptions{Roots: roots(a), DNSName: c.host, KeyUsages: []x509.ExtKeyUsage{c.use}})
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestOthersVerify asks verifiers that are not Go's.
func TestOthersVerify(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a := open(t, dir)
	const host = "i-1.desk.localhost"
	chain, err := a.Issue(t.Context(), request(t, ecKey(t, elliptic.P256())), host, time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	leaf := filepath.Join(dir, "leaf.pem")
	if err := os.WriteFile(leaf, chain, 0o600); err != nil {
		t.Fatal(err)
	}
	rootFile := filepath.Join(dir, "ca.pem")
	run := func(want bool, name string, args ...string) {
		t.Helper()
		if _, err := exec.LookPath(name); err != nil {
			t.Fatalf("%s is missing: sudo apt-get install openssl libnss3-tools", name)
		}
		out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
		if (err == nil) != want {
			t.Errorf("%s %v: %v\n%s", name, args, err, out)
		}
	}
	run(true, "openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", host, "-CAfile", rootFile, leaf)
	run(false, "openssl", "verify", "-purpose", "sslserver", "-verify_hostname", "i-2.desk.localhost", "-CAfile", rootFile, leaf)

	db := "sql:" + t.TempDir()
	run(true, "certutil", "-d", db, "-N", "--empty-password")
	run(true, "certutil", "-d", db, "-A", "-t", "C,,", "-n", "root", "-i", rootFile)
	run(true, "certutil", "-d", db, "-A", "-t", ",,", "-n", "leaf", "-i", leaf)
	run(true, "certutil", "-d", db, "-V", "-u", "L", "-n", "root")
	run(true, "certutil", "-d", db, "-V", "-u", "V", "-e", "-n", "leaf")
}

func TestOpen(t *testing.T) {
	t.Parallel()
	t.Run("AgainIsTheSame", func(t *testing.T) {
		t.Parallel()
		dir := filepath.Join(t.TempDir(), "not", "there", "yet")
		first, second := open(t, dir), open(t, dir)
		if string(first.RootPEM()) != string(second.RootPEM()) {
			t.Error("another authority")
		}
		info, err := os.Stat(filepath.Join(dir, "ca.key"))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the key's mode is %v, %v", info.Mode(), err)
		}
	})
	t.Run("ManyAtOnceGetTheSame", func(t *testing.T) {
		t.Parallel()
		for range 20 {
			dir := t.TempDir()
			var wg sync.WaitGroup
			var got [8]string
			for i := range got {
				wg.Go(func() {
					a, err := localca.Open(dir, zone)
					if err != nil {
						t.Error(err)
						return
					}
					got[i] = string(a.RootPEM())
				})
			}
			wg.Wait()
			for _, one := range got {
				if one != got[0] {
					t.Fatal("two authorities")
				}
			}
			if files, _ := os.ReadDir(dir); len(files) != 2 {
				t.Errorf("left behind: %v", files)
			}
		}
	})
	t.Run("KilledAfterTheKey", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		open(t, dir)
		remove(t, dir, "ca.pem")
		a := open(t, dir)
		if _, err := a.Issue(t.Context(), request(t, ecKey(t, elliptic.P256())), "a.desk.localhost", time.Now().Add(time.Hour)); err != nil {
			t.Error(err)
		}
	})
	for name, c := range map[string]struct {
		spoil func(t *testing.T, dir string)
		zone  string
		says  string
	}{
		"ReadableByOthers": {func(t *testing.T, dir string) { chmod(t, dir, 0o640) }, zone, "chmod 600"},
		"KeyOfAnother":     {func(t *testing.T, dir string) { remove(t, dir, "ca.key"); copyFile(t, anotherDir(t), dir, "ca.key") }, zone, "do not belong together"},
		"NoKey":            {func(t *testing.T, dir string) { remove(t, dir, "ca.key") }, zone, "is not"},
		"NonsenseAsKey":    {func(t *testing.T, dir string) { write(t, dir, "ca.key", "hello") }, zone, "holds no key"},
		"NonsenseAsRoot":   {func(t *testing.T, dir string) { write(t, dir, "ca.pem", "hello") }, zone, "holds no certificate"},
		"AnotherZone":      {func(*testing.T, string) {}, "desk.example.com", "is for desk.localhost, not for desk.example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := anotherDir(t)
			c.spoil(t, dir)
			wantSentence(t, dir, c.zone, c.says)
		})
	}
}

func anotherDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	open(t, dir)
	return dir
}

func wantSentence(t *testing.T, dir, zone, says string) {
	t.Helper()
	_, err := localca.Open(dir, zone)
	if got := greenroom.Sentence(err, ""); !strings.Contains(got, says) {
		t.Errorf("got %q (%v), want it to say %q", got, err, says)
	}
}

func remove(t *testing.T, dir, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}

func chmod(t *testing.T, dir string, mode fs.FileMode) {
	t.Helper()
	if err := os.Chmod(filepath.Join(dir, "ca.key"), mode); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func copyFile(t *testing.T, from, to, name string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(from, name))
	if err != nil {
		t.Fatal(err)
	}
	write(t, to, name, string(text))
}

func BenchmarkIssue(b *testing.B) {
	a := open(b, b.TempDir())
	r := request(b, ecKey(b, elliptic.P256()))
	until := time.Now().Add(time.Hour)
	for b.Loop() {
		if _, err := a.Issue(b.Context(), r, "i-1.desk.localhost", until); err != nil {
			b.Fatal(err)
		}
	}
}

// FuzzIssue: no request panics, and what is signed is good for the one name.
func FuzzIssue(f *testing.F) {
	a := open(f, f.TempDir())
	f.Add(request(f, ecKey(f, elliptic.P256())), "i-1.desk.localhost")
	f.Add([]byte("-----BEGIN CERTIFICATE REQUEST-----\n"), "bank.example")
	f.Fuzz(func(t *testing.T, r []byte, host string) {
		chain, err := a.Issue(t.Context(), r, host, time.Now().Add(time.Hour))
		if err != nil {
			return
		}
		if _, err := parse(t, chain).Verify(x509.VerifyOptions{Roots: roots(a), DNSName: host}); err != nil {
			t.Errorf("signed for %q, but: %v", host, err)
		}
	})
}

func TestWildcardIsForTheEdgeAlone(t *testing.T) {
	t.Parallel()
	a := open(t, t.TempDir())
	key := ecKey(t, elliptic.P256())
	chain, err := a.IssueWildcard(t.Context(), request(t, key), time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	leaf := parse(t, chain)
	for name, ok := range map[string]bool{"i-1.desk.localhost": true, "desk.localhost": false, "a.i-1.desk.localhost": false, "bank.example": false} {
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots(a), DNSName: name}); (err == nil) != ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	if leaf.IsCA || !key.PublicKey.Equal(leaf.PublicKey) {
		t.Error("not a leaf for the key of the request")
	}
	if _, err := a.IssueWildcard(t.Context(), request(t, rsaKey(t, 1024)), time.Now().Add(time.Hour)); !errors.Is(err, greenroom.ErrForbidden) {
		t.Errorf("a weak key: %v", err)
	}
	if _, err := a.Issue(t.Context(), request(t, key), "*.desk.localhost", time.Now().Add(time.Hour)); !errors.Is(err, greenroom.ErrForbidden) {
		t.Errorf("a wildcard as a desktop's name: %v", err)
	}
}

func TestKeptElsewhere(t *testing.T) {
	t.Parallel()
	kept := ""
	keep := func(text string) (string, error) {
		if kept == "" {
			kept = text
		}
		return kept, nil
	}
	first, err := localca.Kept(keep, zone)
	if err != nil {
		t.Fatal(err)
	}
	again, err := localca.Kept(keep, zone)
	if err != nil || !bytes.Equal(first.RootPEM(), again.RootPEM()) {
		t.Fatalf("another authority was made beside the kept one: %v", err)
	}
	chain, err := again.Issue(t.Context(), request(t, ecKey(t, elliptic.P256())), "i-1."+zone, time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(chain)
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: first.Roots(), DNSName: "i-1." + zone}); err != nil {
		t.Error(err)
	}
	if _, err := localca.Kept(keep, "desk.example.com"); !strings.Contains(greenroom.Sentence(err, ""), "is for "+zone) {
		t.Errorf("for another zone: %v", err)
	}
	kept = "nonsense"
	if _, err := localca.Kept(keep, zone); !strings.Contains(greenroom.Sentence(err, ""), "is not one") {
		t.Errorf("of nonsense: %v", err)
	}
}
