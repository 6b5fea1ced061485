package localca_test

import (
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"greenroom/internal/certs/localca"
)

const day = 24 * time.Hour

func certificate(t *testing.T, text []byte) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(text)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func trusts(t *testing.T, root, leaf []byte, name string) {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AddCert(certificate(t, root))
	if _, err := certificate(t, leaf).Verify(x509.VerifyOptions{Roots: pool, DNSName: name}); err != nil {
		t.Error(err)
	}
}

// TestAnAuthorityIsRenewedBeforeItEnds: while both certificates are valid, what is signed under either is good under both, and what
// others wrote on disk is taken up.
func TestAnAuthorityIsRenewedBeforeItEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		a := open(t, dir)
		beside := open(t, dir)
		old := a.RootPEM()
		name := "i-1." + zone
		before, err := a.Issue(t.Context(), request(t, ecKey(t, elliptic.P256())), name, time.Now().Add(20*365*day))
		if err != nil {
			t.Fatal(err)
		}
		if changed, err := a.Keep(); changed || err != nil {
			t.Errorf("a fresh authority: %v %v", changed, err)
		}
		trusts(t, old, before, name)

		time.Sleep(time.Until(a.Root().NotAfter) - localca.RenewLeft + time.Minute)
		late, err := a.Issue(t.Context(), request(t, ecKey(t, elliptic.P256())), name, time.Now().Add(20*365*day))
		if err != nil {
			t.Fatal(err)
		}
		if changed, err := a.Keep(); !changed || err != nil {
			t.Fatalf("an authority with little time left: %v %v", changed, err)
		}
		if left := time.Until(a.Root().NotAfter); left < 9*365*day {
			t.Errorf("the renewed one has %s", left)
		}
		after, err := a.Issue(t.Context(), request(t, ecKey(t, elliptic.P256())), name, time.Now().Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		for _, root := range [][]byte{old, a.RootPEM()} {
			trusts(t, root, late, name)
			trusts(t, root, after, name)
		}
		if fresh := certificate(t, a.RootPEM()); len(fresh.PermittedDNSDomains) != 1 || fresh.PermittedDNSDomains[0] != zone || len(fresh.ExcludedIPRanges) != 2 || !fresh.MaxPathLenZero {
			t.Errorf("the renewed authority may sign for %v, but not for %v", fresh.PermittedDNSDomains, fresh.ExcludedIPRanges)
		}
		if changed, err := beside.Keep(); !changed || err != nil || string(beside.RootPEM()) != string(a.RootPEM()) {
			t.Errorf("another process: %v %v", changed, err)
		}
	})
}

// TestAnAuthorityOutOfTimeIsRenewedAtTheStart: one that has ended, and one of a clock that was ahead.
func TestAnAuthorityOutOfTimeIsRenewedAtTheStart(t *testing.T) {
	t.Parallel()
	for name, passed := range map[string]time.Duration{"ended": 10*365*day + time.Hour, "not valid yet": -day} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			ahead(t, max(0, -passed), func(t *testing.T) { open(t, dir) })
			ahead(t, max(0, passed), func(t *testing.T) {
				a := open(t, dir)
				root := a.Root()
				if now := time.Now(); root.NotBefore.After(now) || root.NotAfter.Before(now.Add(9*365*day)) {
					t.Errorf("at %s it is valid from %s until %s", now, root.NotBefore, root.NotAfter)
				}
				chain, err := a.Issue(t.Context(), request(t, ecKey(t, elliptic.P256())), "i-1."+zone, time.Now().Add(time.Hour))
				if err != nil {
					t.Fatal(err)
				}
				trusts(t, a.RootPEM(), chain, "i-1."+zone)
			})
			pagesOutOfTime(t, passed)
		})
	}
}

// pagesOutOfTime is the same for the pages' authority, which renews the server's certificate with it.
func pagesOutOfTime(t *testing.T, passed time.Duration) {
	t.Helper()
	dir, names := t.TempDir(), []string{"lab.internal", "127.0.0.1"}
	ahead(t, max(0, -passed), func(t *testing.T) {
		if _, err := localca.OpenPages(dir, names); err != nil {
			t.Fatal(err)
		}
	})
	ahead(t, max(0, passed), func(t *testing.T) {
		p, err := localca.OpenPages(dir, names)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			leaf, err := p.GetCertificate(nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range names {
				trusts(t, p.RootPEM(), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Certificate[0]}), name)
			}
			time.Sleep(time.Until(p.Root().NotAfter) - localca.RenewLeft + time.Minute)
			if changed, err := p.Keep(); !changed || err != nil {
				t.Errorf("pages: %v %v", changed, err)
			}
		}
	})
}

// ahead runs f so long after the bubble's beginning.
func ahead(t *testing.T, by time.Duration, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(by)
		f(t)
	})
}

// TestWhatIsOnDiskAndCannotBeUsedChangesNothing: the authority goes on with what it has.
func TestWhatIsOnDiskAndCannotBeUsedChangesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a := open(t, dir)
	before := string(a.RootPEM())
	for name, text := range map[string][]byte{"nonsense": []byte("hello"), "of another key": open(t, t.TempDir()).RootPEM()} {
		if err := os.WriteFile(filepath.Join(dir, "ca.pem"), text, 0o644); err != nil {
			t.Fatal(err)
		}
		if changed, err := a.Keep(); changed || err == nil || string(a.RootPEM()) != before {
			t.Errorf("%s: %v %v", name, changed, err)
		}
	}
}
