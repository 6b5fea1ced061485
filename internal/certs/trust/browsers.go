package trust

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// browser is one store in the format of NSS, kept by Chromium and its kin for a user and by Firefox for each
// profile. truststore knows fewer places, reads the home directory once for the process, makes no store, and does not say
// which one it could not change; so this speaks to certutil itself.
type browser struct {
	title string
	dir   string
}

// certutilTime bounds one run of certutil, which would wait for a password for ever.
const certutilTime = 20 * time.Second

// browsers lists the stores below home: those that are there, and for Chromium also the one that would be made.
func browsers(home string) []store {
	var all []store
	for _, c := range []struct{ title, pattern string }{
		{"Chromium", ".pki/nssdb"},
		{"Chromium", ".local/share/pki/nssdb"}, // where Chromium looks since version 146, unless the other is there
		{"Chromium (snap)", "snap/chromium/current/.pki/nssdb"},
		{"Firefox", ".mozilla/firefox/*"},
		{"Firefox", ".config/mozilla/firefox/*"},
		{"Firefox (snap)", "snap/firefox/common/.mozilla/firefox/*"},
		{"Firefox (flatpak)", ".var/app/org.mozilla.firefox/.mozilla/firefox/*"},
		{"Firefox", "Library/Application Support/Firefox/Profiles/*"},
	} {
		dirs, _ := filepath.Glob(filepath.Join(escapeGlob(home), c.pattern)) // fails for a bad pattern only
		for _, dir := range dirs {
			if _, err := os.Stat(filepath.Join(dir, "cert9.db")); err == nil {
				all = append(all, browser{c.title, dir})
			}
		}
	}
	if runtime.GOOS == "linux" && !hasUserStore(all, home) {
		all = append(all, browser{"Chromium", filepath.Join(home, ".pki/nssdb")})
	}
	return all
}

// hasUserStore reports whether Chromium has a store already. Making the older one beside the newer would hide
// what the newer holds.
func hasUserStore(all []store, home string) bool {
	for _, st := range all {
		if dir := st.(browser).dir; dir == filepath.Join(home, ".pki/nssdb") || dir == filepath.Join(home, ".local/share/pki/nssdb") {
			return true
		}
	}
	return false
}

func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

func (b browser) name() string { return b.title + " (" + b.dir + ")" }

func (b browser) trusts(ctx context.Context, root *x509.Certificate) bool {
	if _, err := os.Stat(filepath.Join(b.dir, "cert9.db")); err != nil {
		return false
	}
	return b.certutil(ctx, nil, "-V", "-u", "L", "-n", nickname(root)) == nil // L: an authority for servers
}

func (b browser) add(ctx context.Context, root *x509.Certificate) error {
	if _, err := os.Stat(filepath.Join(b.dir, "cert9.db")); err != nil {
		if err := os.MkdirAll(b.dir, 0o700); err != nil {
			return err
		}
		if err := b.certutil(ctx, nil, "-N", "--empty-password"); err != nil {
			return err
		}
	}
	return b.certutil(ctx, root, "-A", "-t", "C,,", "-n", nickname(root))
}

func (b browser) remove(ctx context.Context, root *x509.Certificate) error {
	return b.certutil(ctx, nil, "-D", "-n", nickname(root))
}

func (b browser) hint(*x509.Certificate) string {
	if _, err := exec.LookPath("certutil"); err != nil {
		return "Install certutil, then run greenroom trust: sudo apt-get install libnss3-tools (Debian, Ubuntu), sudo dnf install nss-tools (Fedora), brew install nss (macOS)"
	}
	return "Close the browser and run: greenroom trust"
}

// certutil runs certutil on the store, with root as its input if there is one.
func (b browser) certutil(ctx context.Context, root *x509.Certificate, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, certutilTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, "certutil", append([]string{"-d", "sql:" + b.dir}, args...)...)
	if root != nil {
		cmd.Stdin = strings.NewReader(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Raw})))
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("certutil %s: %w %s", args[0], err, strings.TrimSpace(string(out)))
	}
	return nil
}

// nickname is the name of the root in a store, the same that truststore gives it.
func nickname(root *x509.Certificate) string {
	return root.Subject.CommonName + " " + root.SerialNumber.String()
}
