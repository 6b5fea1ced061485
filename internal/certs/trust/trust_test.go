package trust_test

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"greenroom"
	"greenroom/internal/certs/localca"
	"greenroom/internal/certs/trust"
)

func root(t *testing.T) []byte {
	t.Helper()
	a, err := localca.Open(t.TempDir(), "desk.localhost")
	if err != nil {
		t.Fatal(err)
	}
	return a.RootPEM()
}

// profile makes an empty store below home, as a browser would.
func profile(t *testing.T, home, path string) string {
	t.Helper()
	dir := filepath.Join(home, path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "certutil", "-d", "sql:"+dir, "-N", "--empty-password").CombinedOutput(); err != nil {
		t.Fatalf("certutil (sudo apt-get install libnss3-tools): %v\n%s", err, out)
	}
	return dir
}

// held returns the names in a store.
func held(t *testing.T, dir string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "certutil", "-d", "sql:"+dir, "-L").CombinedOutput()
	if err != nil {
		t.Fatalf("certutil: %v\n%s", err, out)
	}
	return string(out)
}

func TestBrowsers(t *testing.T) {
	t.Parallel()
	const called = "greenroom local authority"

	t.Run("EveryStoreIsFilledAndEmptied", func(t *testing.T) {
		t.Parallel()
		home, rootPEM := t.TempDir(), root(t)
		dirs := []string{profile(t, home, ".mozilla/firefox/x.default"), profile(t, home, ".local/share/pki/nssdb"), profile(t, home, "snap/firefox/common/.mozilla/firefox/y")}
		stores := trust.Stores{Home: home, NoSystem: true}

		var out strings.Builder
		if err := stores.Trust(t.Context(), rootPEM, &out); err != nil {
			t.Fatalf("%v\n%s", err, &out)
		}
		for _, dir := range dirs {
			if !strings.Contains(held(t, dir), called) || !strings.Contains(out.String(), dir+"): trusted now\n") {
				t.Errorf("%s has\n%s\nand was said to be\n%s", dir, held(t, dir), &out)
			}
		}
		wantTrusted(t, stores, rootPEM, len(dirs), true)
		wantTrusted(t, stores, root(t), len(dirs), false)

		out.Reset()
		if err := stores.Trust(t.Context(), rootPEM, &out); err != nil || strings.Count(out.String(), "already") != len(dirs) {
			t.Errorf("again: %v\n%s", err, &out)
		}
		if err := stores.Untrust(t.Context(), rootPEM, &out); err != nil {
			t.Errorf("%v\n%s", err, &out)
		}
		for _, dir := range dirs {
			if strings.Contains(held(t, dir), called) {
				t.Errorf("%s still has it", dir)
			}
		}
	})

	t.Run("ChromiumGetsAStore", func(t *testing.T) {
		t.Parallel()
		home, rootPEM := t.TempDir(), root(t)
		stores := trust.Stores{Home: home, NoSystem: true}
		wantTrusted(t, stores, rootPEM, 1, false)
		if err := stores.Trust(t.Context(), rootPEM, &strings.Builder{}); err != nil {
			t.Fatal(err)
		}
		if got := held(t, filepath.Join(home, ".pki/nssdb")); !strings.Contains(got, called) {
			t.Errorf("it has\n%s", got)
		}
		wantTrusted(t, stores, rootPEM, 1, true)
	})

	t.Run("ABrokenStoreDoesNotStopOthers", func(t *testing.T) {
		t.Parallel()
		home, rootPEM := t.TempDir(), root(t)
		good := profile(t, home, ".pki/nssdb")
		broken := profile(t, home, ".mozilla/firefox/broken")
		if err := os.WriteFile(filepath.Join(broken, "cert9.db"), []byte("not a database"), 0o600); err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		err := trust.Stores{Home: home, NoSystem: true}.Trust(t.Context(), rootPEM, &out)
		if greenroom.Sentence(err, "") == "" || !strings.Contains(out.String(), broken+"): not changed") {
			t.Errorf("got %v\n%s", err, &out)
		}
		if !strings.Contains(held(t, good), called) {
			t.Error("the good store was not changed")
		}
	})

	t.Run("NonsenseIsAnError", func(t *testing.T) {
		t.Parallel()
		if err := (trust.Stores{Home: t.TempDir(), NoSystem: true}).Trust(t.Context(), []byte("nonsense"), &strings.Builder{}); err == nil {
			t.Error("no error")
		}
	})
}

// TestWithoutCertutil says what to install. It is not parallel: it changes PATH.
func TestWithoutCertutil(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	var out strings.Builder
	err := trust.Stores{Home: t.TempDir(), NoSystem: true}.Trust(t.Context(), root(t), &out)
	if err == nil || !strings.Contains(out.String(), "sudo apt-get install libnss3-tools") {
		t.Errorf("got %v\n%s", err, &out)
	}
}

// TestSystemStoreIsLookedAt only looks: changing it takes root, and is not a test's to do.
func TestSystemStoreIsLookedAt(t *testing.T) {
	t.Parallel()
	rootPEM := root(t)
	findings, err := trust.Stores{Home: t.TempDir()}.Trusted(t.Context(), rootPEM)
	if err != nil || len(findings) == 0 || findings[0].Store != "system store" || findings[0].Trusted {
		t.Fatalf("got %+v, %v", findings, err)
	}
	block, _ := pem.Decode(rootPEM)
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(findings[0].Detail, c.SerialNumber.String()) && !strings.Contains(findings[0].Detail, "by hand") {
		t.Errorf("the hint names no file of this root: %s", findings[0].Detail)
	}
}

func wantTrusted(t *testing.T, s trust.Stores, rootPEM []byte, stores int, want bool) {
	t.Helper()
	findings, err := s.Trusted(t.Context(), rootPEM)
	if err != nil || len(findings) != stores {
		t.Fatalf("%d findings, want %d: %v, %v", len(findings), stores, findings, err)
	}
	for _, f := range findings {
		if f.Trusted != want || (f.Detail == "") != want {
			t.Errorf("got %+v, want trusted %v", f, want)
		}
	}
}
