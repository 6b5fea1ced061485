package server

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"greenroom"
	"greenroom/internal/certs/localca"
	"greenroom/internal/certs/trust"
	"greenroom/internal/config"
)

// Trust lets this machine's stores and browsers trust the local authority of a data directory, or takes it out
// again, and writes what it did to out. It makes no authority: with a directory that has none, another was meant.
func Trust(ctx context.Context, cfg config.Config, home string, remove bool, out io.Writer) error {
	pages := cfg.TLS.Issuer == config.IssuerLocal
	if issuer := cfg.Certificates.Issuer; issuer != "" && issuer != config.IssuerLocal && !remove && !pages {
		return &greenroom.UserError{Message: "Browsers do not see the local authority's certificates (certificates.issuer is " + issuer + "): there is nothing to trust."}
	}
	for _, name := range []string{"ca.pem", "ca.key"} {
		if _, err := os.Stat(filepath.Join(cfg.DataDir, name)); err != nil {
			return &greenroom.UserError{Message: fmt.Sprintf("There is no local authority in %s: name the server's data directory with --data-dir, or start the server once, which makes one.", cfg.DataDir), Cause: err}
		}
	}
	authority, err := openAuthority(cfg)
	if err != nil {
		return err
	}
	stores := trust.Stores{Home: home, NoSystem: os.Geteuid() != 0}
	change := stores.Trust
	if remove {
		change = stores.Untrust
	}
	if pages {
		own, err := localca.OpenPages(filepath.Join(cfg.DataDir, "pages"), cfg.TLSNames())
		if err != nil {
			return err
		}
		if err := change(ctx, own.RootPEM(), out); err != nil {
			return err
		}
	}
	return change(ctx, authority.RootPEM(), out)
}

// Trusted reports whether a browser of this machine trusts the local authority. It makes nothing.
func Trusted(ctx context.Context, cfg config.Config, home string) (bool, error) {
	root, err := os.ReadFile(filepath.Join(cfg.DataDir, "ca.pem"))
	if err != nil {
		return false, &greenroom.UserError{Message: "There is no local authority yet; greenroom serve makes one.", Cause: err}
	}
	findings, err := trust.Stores{Home: home}.Trusted(ctx, root)
	if err != nil {
		return false, fmt.Errorf("look at trust stores: %w", err)
	}
	for _, f := range findings {
		if f.Trusted {
			return true, nil
		}
	}
	return false, nil
}
