package components

import (
	"context"
	"crypto/x509"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/certs/certstest"
	"greenroom/internal/certs/cloudflareorigin"
	"greenroom/internal/certs/localca"
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
		zone string
		set  config.Certificates
		says string
	}{
		"nothing to do":       {"desk.localhost", config.Certificates{Issuer: "local"}, ""},
		"no such roots":       {"desk.localhost", config.Certificates{Issuer: "local", RootsFile: "/nowhere/roots"}, "certificates.roots_file"},
		"roots of nothing":    {"desk.localhost", config.Certificates{Issuer: "local", RootsFile: inFile(t, "hello")}, "holds no certificate"},
		"token nowhere":       {"example.com", config.Certificates{Issuer: "cloudflare-origin", Token: "file:/nowhere/token", RootsFile: "x"}, "certificates.token: the file"},
		"records not proxied": {"example.com", config.Certificates{Issuer: "cloudflare-origin", Token: "t", RootsFile: "x"}, "needs proxied records"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := config.Default()
			cfg.DataDir, cfg.Zone = t.TempDir(), c.zone
			c.set.Edge, c.set.AtEnd = "universal", "expire"
			if c.set.RootsFile == "x" {
				authority, err := localca.Open(cfg.DataDir, cfg.Zone)
				if err != nil {
					t.Fatal(err)
				}
				c.set.RootsFile = inFile(t, string(authority.RootPEM()))
			}
			cfg.Certificates = c.set
			logger := slog.New(slog.DiscardHandler)
			p := Ports{
				Config: cfg, Logger: logger, Secrets: Secrets(AWS(cfg), logger),
				Authority: func(context.Context) (*localca.Authority, error) { return localca.Open(cfg.DataDir, cfg.Zone) },
			}
			_, err := p.openCertificates(t.Context(), nil)
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
	c := Certificates{origin: origin}
	for range 2 {
		if err := c.RevokeGone(t.Context(), fewRecords{name: "i-live.example.com"}); err != nil {
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
	authority, err := localca.Open(cfg.DataDir, cfg.Zone)
	if err != nil {
		t.Fatal(err)
	}
	file := inFile(t, string(authority.RootPEM()))
	alone, err := Roots(file)
	if err != nil {
		t.Fatal(err)
	}
	both, err := RootsAndSystem(file)
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
	if none, err := RootsAndSystem(""); err != nil || none != nil || alone == nil {
		t.Errorf("without a file it is %v, %v, not the system's", none, err)
	}
}
