package components

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"greenroom"
	"greenroom/internal/certs"
	"greenroom/internal/certs/acmecerts"
	"greenroom/internal/certs/cloudflareorigin"
	"greenroom/internal/certs/filecerts"
	"greenroom/internal/certs/localca"
	"greenroom/internal/config"
	"greenroom/internal/dns"
)

// Certificates are those of desktops, and of the gateway where there is one.
type Certificates struct {
	Issuer certs.Issuer          // signs desktops' requests
	Edge   certs.Edge            // what the gateway shows browsers; nil: the local authority's
	Local  *localca.Authority    // nil where it signs nothing that browsers see
	Shown  func() *x509.CertPool // authorities to trust for what browsers see; a nil pool: the system's

	acme   *acmecerts.Authority
	origin *cloudflareorigin.Authority
}

// openCertificates opens who signs for desktops. Where browsers reach greenroom itself that is always the local authority, which
// greenroom alone has to trust.
func (p *Ports) openCertificates(ctx context.Context, texts dns.Texts) (*Certificates, error) {
	cfg, behind := p.Config.Certificates, p.Config.Access != config.AccessDirect
	roots, err := Roots(cfg.RootsFile)
	if err != nil {
		return nil, err
	}
	c := &Certificates{}
	if behind || cfg.Issuer == config.IssuerLocal {
		local, err := p.Authority(ctx)
		if err != nil {
			return nil, err
		}
		c.Issuer = local
		if cfg.Issuer == config.IssuerLocal && p.Config.Access != config.AccessSingle {
			c.Local = local
		}
	}
	switch cfg.Issuer {
	case config.IssuerFiles:
		c.Edge, err = filecerts.Open(Files(p.Config, roots, p.Logger))
	case config.IssuerACME:
		err = p.openACME(ctx, c, roots, texts)
	case config.IssuerCloudflareOrigin:
		err = p.openOrigin(ctx, c, roots)
	}
	switch {
	case err != nil:
	case p.Config.DNS.Proxied: // browsers see the proxy's certificate
		var pool *x509.CertPool
		pool, err = RootsAndSystem(cfg.RootsFile)
		c.Shown = func() *x509.CertPool { return pool }
	case c.Edge != nil:
		c.Shown = c.Edge.Roots
	default:
		c.Shown = c.Issuer.Roots
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func (p *Ports) openACME(ctx context.Context, c *Certificates, roots *x509.CertPool, texts dns.Texts) error {
	key, err := p.Secrets.Open(ctx, "certificates.eab_key", p.Config.Certificates.EABKey.Reveal())
	if err != nil {
		return err
	}
	o := ACME(p.Config, roots)
	if o.EABKey, err = key.Get(ctx); err != nil {
		return err
	}
	o.DNS, o.Logger = dns.Challenges{Texts: texts}, p.Logger
	if p.ACME != nil {
		p.ACME(&o)
	}
	c.acme = acmecerts.Open(o)
	if p.Config.Access != config.AccessGateway {
		c.Issuer = c.acme
		return nil
	}
	c.Edge = c.acme
	return c.acme.ManageEdge("*." + p.Config.Zone)
}

func (p *Ports) openOrigin(ctx context.Context, c *Certificates, roots *x509.CertPool) error {
	token, err := p.Secrets.Open(ctx, "certificates.token", p.Config.Certificates.Token.Reveal())
	if err != nil {
		return err
	}
	o := Origin(p.Config, roots)
	o.Token, o.Refused, o.Logger = token.Get, token.Refused, p.Logger
	if c.origin, err = cloudflareorigin.Open(o); err != nil {
		return err
	}
	c.Issuer = c.origin
	return nil
}

// LocalPEM is the local authority's certificate, for people to trust; nil where browsers see another's.
func (c *Certificates) LocalPEM() []byte {
	if c.Local == nil {
		return nil
	}
	return c.Local.RootPEM()
}

// LocalCA is LocalPEM; nil where it is nil.
func (c *Certificates) LocalCA() func() []byte {
	if c.Local == nil {
		return nil
	}
	return c.LocalPEM
}

// settled is how long after its last certificate a desktop has its name in the zone for sure, if it lives.
const settled = 15 * time.Minute

// RevokeGone revokes the certificates of desktops that are gone, if certificates.at_end says so.
func (c *Certificates) RevokeGone(ctx context.Context, zone dns.Zone) error {
	if c.origin == nil {
		return nil
	}
	pending, err := c.origin.Pending(time.Now(), settled)
	if err != nil || len(pending) == 0 {
		return err
	}
	records, err := zone.GetRecords(ctx)
	if err != nil {
		return err
	}
	named := map[string]bool{}
	for _, r := range records {
		named[r.Name] = true
	}
	var errs []error
	for _, hostname := range pending {
		if !named[hostname] && ctx.Err() == nil {
			errs = append(errs, c.origin.Revoke(ctx, hostname))
		}
	}
	return errors.Join(errs...)
}

// Close ends the orders that are under way.
func (c *Certificates) Close() {
	if c.acme != nil {
		c.acme.Close()
	}
}

// ACME are the options of the issuer acme, but for what it writes and whom it trusts for that.
func ACME(cfg config.Config, roots *x509.CertPool) acmecerts.Options {
	c := cfg.Certificates
	return acmecerts.Options{Dir: filepath.Join(cfg.DataDir, "acme"), Zone: cfg.Zone, Directory: c.DirectoryURL, Email: c.Email, EABKeyID: c.EABKeyID, Roots: roots}
}

// Origin are the options of the issuer cloudflare-origin, but for its token.
func Origin(cfg config.Config, roots *x509.CertPool) cloudflareorigin.Options {
	o := cloudflareorigin.Options{Zone: cfg.Zone, Proxied: cfg.DNS.Proxied, Advanced: cfg.Certificates.Edge == "advanced", Roots: roots}
	if cfg.DNS.Provider == config.DNSCloudflare {
		o.ZoneID = cfg.DNS.ZoneID
	}
	if cfg.Certificates.AtEnd == "revoke" {
		o.Journal = filepath.Join(cfg.DataDir, "origin-certificates")
	}
	return o
}

// Files are the options of the issuer files.
func Files(cfg config.Config, roots *x509.CertPool, logger *slog.Logger) filecerts.Options {
	c := cfg.Certificates
	return filecerts.Options{ChainFile: c.ChainFile, KeyFile: c.KeyFile, Hostname: AnyDesktop(cfg.Zone), Roots: roots, Logger: logger}
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
