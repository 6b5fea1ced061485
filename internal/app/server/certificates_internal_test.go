package server

import (
	"context"
	"crypto/x509"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/app/components"
	"greenroom/internal/certs/certstest"
	"greenroom/internal/certs/cloudflareorigin"
	"greenroom/internal/config"
	"greenroom/internal/dns"
	"greenroom/internal/testenv/cloudflareorigintest"
)

func inFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCertificatesThatCannotBeHadAreSaid(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		zone, database string
		set            config.Certificates
		says           string
	}{
		"nothing to do":         {"desk.localhost", "", config.Certificates{Issuer: "local"}, ""},
		"database nowhere":      {"desk.localhost", "file:/nowhere/database", config.Certificates{Issuer: "local"}, "database: the file /nowhere/database cannot be read"},
		"no such roots":         {"desk.localhost", "", config.Certificates{Issuer: "local", RootsFile: "/nowhere/roots"}, "certificates.roots_file"},
		"roots of nothing":      {"desk.localhost", "", config.Certificates{Issuer: "local", RootsFile: inFile(t, "hello")}, "holds no certificate"},
		"token nowhere":         {"example.com", "", config.Certificates{Issuer: "cloudflare-origin", Token: "file:/nowhere/token", RootsFile: "x"}, "certificates.token: the file"},
		"records not proxied":   {"example.com", "", config.Certificates{Issuer: "cloudflare-origin", Token: "t", RootsFile: "x"}, "needs proxied records"},
		"a database is no file": {"desk.localhost", "file:" + inFile(t, "mysql://x"), config.Certificates{Issuer: "local"}, "database: must begin with postgres://"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := config.Default()
			cfg.DataDir, cfg.Zone, cfg.Database = t.TempDir(), c.zone, config.Secret(c.database)
			c.set.Edge, c.set.AtEnd = "universal", "expire"
			if c.set.RootsFile == "x" {
				authority, err := openAuthority(cfg)
				if err != nil {
					t.Fatal(err)
				}
				c.set.RootsFile = inFile(t, string(authority.RootPEM()))
			}
			cfg.Certificates = c.set
			a := &app{Options: Options{Config: cfg, Logger: slog.New(slog.DiscardHandler)}}
			err := a.openSecrets(t.Context())
			if err == nil {
				err = a.openCertificates(t.Context())
			}
			got := ""
			if err != nil {
				got = greenroom.Sentence(err, err.Error())
			}
			if (err == nil) != (c.says == "") || !strings.Contains(got, c.says) {
				t.Errorf("got %q", got)
			}
		})
	}
}

// fewRecords is a zone that holds one record.
type fewRecords struct {
	dns.Zone
	name string
}

func (f fewRecords) GetRecords(context.Context) ([]dns.Record, error) {
	return []dns.Record{{Name: f.name, Address: netip.MustParseAddr("192.0.2.1")}}, nil
}

// TestCertificatesOfGoneDesktopsAreRevoked, and of no others.
func TestCertificatesOfGoneDesktopsAreRevoked(t *testing.T) {
	t.Parallel()
	s := cloudflareorigintest.Start(t, "example.com", "token")
	journal := filepath.Join(t.TempDir(), "origin")
	origin, err := cloudflareorigin.Open(cloudflareorigin.Options{Zone: "example.com", Proxied: true, BaseURL: s.URL, Roots: s.Roots, Journal: journal,
		Token: func(context.Context) (string, error) { return "token", nil }, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"i-live.example.com", "i-gone.example.com", "i-young.example.com"} {
		if _, err := origin.Issue(t.Context(), certstest.Request(t, certstest.ECKey(t), host), host, time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if host != "i-young.example.com" {
			past := time.Now().Add(-time.Hour)
			if err := os.Chtimes(filepath.Join(journal, host), past, past); err != nil {
				t.Fatal(err)
			}
		}
	}
	c := certificates{origin: origin}
	for range 2 {
		if err := c.revokeGone(t.Context(), fewRecords{name: "i-live.example.com"}); err != nil {
			t.Error(err)
		}
	}
	if s.Live() != 2 || s.Revoked() != 1 {
		t.Errorf("%d live, %d revoked", s.Live(), s.Revoked())
	}
}

// TestBehindAProxyTheSystemIsTrusted: a proxy shows browsers its own certificate, and the origin's authority signs none of those.
func TestBehindAProxyTheSystemIsTrusted(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	cfg.DataDir = t.TempDir()
	authority, err := openAuthority(cfg)
	if err != nil {
		t.Fatal(err)
	}
	file := inFile(t, string(authority.RootPEM()))
	alone, err := components.Roots(file)
	if err != nil {
		t.Fatal(err)
	}
	both, err := components.RootsAndSystem(file)
	if err != nil {
		t.Fatal(err)
	}
	want, err := x509.SystemCertPool()
	if err != nil {
		t.Fatal(err)
	}
	if both.Equal(want) {
		t.Error("the configured authority is not in it")
	}
	if want.AppendCertsFromPEM(authority.RootPEM()); !both.Equal(want) {
		t.Error("the system's authorities are not in it")
	}
	if none, err := components.RootsAndSystem(""); err != nil || none != nil || alone == nil {
		t.Errorf("without a file it is %v, %v, not the system's", none, err)
	}
}

func TestThereIsNothingToTrustWhereOthersSign(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	cfg.DataDir, cfg.Certificates.Issuer = t.TempDir(), "acme"
	err := Trust(t.Context(), cfg, t.TempDir(), false, io.Discard)
	if !strings.Contains(greenroom.Sentence(err, ""), "nothing to trust") {
		t.Errorf("%v", err)
	}
	if made, err := os.ReadDir(cfg.DataDir); err != nil || len(made) > 0 {
		t.Errorf("%v was made, %v", made, err)
	}
}
