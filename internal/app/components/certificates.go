package components

import (
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"

	"greenroom"
	"greenroom/internal/certs/acmecerts"
	"greenroom/internal/certs/cloudflareorigin"
	"greenroom/internal/config"
)

// ACME are the options of the issuer acme, but for what it writes and whom it trusts for that.
func ACME(cfg config.Config, roots *x509.CertPool) acmecerts.Options {
	c := cfg.Certificates
	return acmecerts.Options{Dir: filepath.Join(cfg.DataDir, "acme"), Zone: cfg.Zone, Directory: c.DirectoryURL, Email: c.Email, EABKeyID: c.EABKeyID, Roots: roots}
}

// Origin are the options of the issuer cloudflare-origin, but for its token.
func Origin(cfg config.Config, roots *x509.CertPool) cloudflareorigin.Options {
	o := cloudflareorigin.Options{Zone: cfg.Zone, Proxied: cfg.DNS.Proxied, Advanced: cfg.Certificates.Edge == "advanced", Roots: roots}
	if cfg.DNS.Provider == "cloudflare" {
		o.ZoneID = cfg.DNS.ZoneID
	}
	if cfg.Certificates.AtEnd == "revoke" {
		o.Journal = filepath.Join(cfg.DataDir, "origin-certificates")
	}
	return o
}

// AnyDesktop is a name such as desktops have.
func AnyDesktop(zone string) string { return "i-00000000000000000." + zone }

// RootsAndSystem are the system's authorities and those in the file at path, if there is one.
func RootsAndSystem(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("read the system's authorities: %w", err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err // Roots has said why
	}
	roots.AppendCertsFromPEM(text)
	return roots, nil
}

// Roots is nil, the system's authorities, when path is empty.
func Roots(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, &greenroom.UserError{Message: "The file " + path + " (certificates.roots_file) cannot be read.", Cause: err}
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, &greenroom.UserError{Message: "The file " + path + " (certificates.roots_file) holds no certificate in PEM."}
	}
	return roots, nil
}
