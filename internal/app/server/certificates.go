package server

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"greenroom/internal/app/components"
	"greenroom/internal/certs"
	"greenroom/internal/certs/acmecerts"
	"greenroom/internal/certs/cloudflareorigin"
	"greenroom/internal/certs/filecerts"
	"greenroom/internal/certs/localca"
	"greenroom/internal/config"
	"greenroom/internal/dns"
	"greenroom/internal/secrets"
	"greenroom/internal/secrets/awssecrets"
)

// certificates are those of desktops, and of the gateway where there is one.
type certificates struct {
	local  *localca.Authority // nil where it signs nothing that browsers see
	issuer certs.Issuer       // signs desktops' requests
	edge   certs.Edge         // what greenroom's gateway shows; nil: the local authority's
	acme   *acmecerts.Authority
	origin *cloudflareorigin.Authority

	behindProxy *x509.CertPool // whom to trust for what a proxy in between shows: the system's authorities and the configured ones
}

// openSecrets reads the secrets that the configuration refers to. The database's is needed whole at the start.
func (a *app) openSecrets(ctx context.Context) error {
	a.secrets = secrets.New(secrets.Options{AWS: awssecrets.New(), Logger: a.Logger})
	database, err := a.reveal(ctx, "database", a.Config.Database)
	if err != nil {
		return err
	}
	a.Config.Database = config.Secret(database)
	return a.Config.Validate() // what was a reference can be judged now
}

func (a *app) reveal(ctx context.Context, key string, secret config.Secret) (string, error) {
	v, err := a.secrets.Open(ctx, key, secret.Reveal())
	if err != nil {
		return "", err
	}
	return v.Get(ctx)
}

// openCertificates opens who signs for desktops. Behind greenroom's gateway that is always the local authority,
// which the gateway alone has to trust.
func (a *app) openCertificates(ctx context.Context) error {
	cfg := a.Config.Certificates
	gateway := a.Config.Access == "gateway"
	roots, err := components.Roots(cfg.RootsFile)
	if err != nil {
		return err
	}
	if a.certs.behindProxy, err = components.RootsAndSystem(cfg.RootsFile); err != nil {
		return err
	}
	if gateway || cfg.Issuer == "local" {
		local, err := openAuthority(a.Config)
		if err != nil {
			return err
		}
		a.certs.issuer = local
		if cfg.Issuer == "local" {
			a.certs.local = local
		}
	}
	switch cfg.Issuer {
	case "files":
		a.certs.edge, err = filecerts.Open(filecerts.Options{ChainFile: cfg.ChainFile, KeyFile: cfg.KeyFile, Hostname: components.AnyDesktop(a.Config.Zone), Roots: roots, Logger: a.Logger})
	case "acme":
		err = a.openACME(ctx, roots, gateway)
	case "cloudflare-origin":
		err = a.openOrigin(ctx, roots)
	}
	return err
}

func (a *app) openACME(ctx context.Context, roots *x509.CertPool, gateway bool) error {
	o := components.ACME(a.Config, roots)
	key, err := a.reveal(ctx, "certificates.eab_key", a.Config.Certificates.EABKey)
	if err != nil {
		return err
	}
	o.EABKey, o.DNS, o.Logger = key, dns.Challenges{Texts: a.texts}, a.Logger
	if a.zone != nil { // it knows of a challenge first, and is asked without a detour
		o.Resolvers = []string{a.listeners.dnsTCP.Addr().String()}
	}
	a.certs.acme = acmecerts.Open(o)
	if !gateway {
		a.certs.issuer = a.certs.acme
		return nil
	}
	a.certs.edge = a.certs.acme
	return a.certs.acme.ManageEdge("*." + a.Config.Zone)
}

func (a *app) openOrigin(ctx context.Context, roots *x509.CertPool) error {
	token, err := a.secrets.Open(ctx, "certificates.token", a.Config.Certificates.Token.Reveal())
	if err != nil {
		return err
	}
	o := components.Origin(a.Config, roots)
	o.Token, o.Refused, o.Logger = token.Get, token.Refused, a.Logger
	if a.certs.origin, err = cloudflareorigin.Open(o); err != nil {
		return err
	}
	a.certs.issuer = a.certs.origin
	return nil
}

// shown are the authorities to trust for the certificates that browsers see; nil means the system's.
func (c *certificates) shown() *x509.CertPool {
	if c.edge != nil {
		return c.edge.Roots()
	}
	return c.issuer.Roots()
}

// rootPEM is the local authority's certificate, for people to trust; nil where browsers see another's.
func (c *certificates) rootPEM() []byte {
	if c.local == nil {
		return nil
	}
	return c.local.RootPEM()
}

// settled is how long after its last certificate a desktop has its name in the zone for sure, if it lives.
const settled = 15 * time.Minute

// revokeGone revokes the certificates of desktops that are gone, if that is wanted.
func (c *certificates) revokeGone(ctx context.Context, zone dns.Zone) error {
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

func (c *certificates) close() {
	if c.acme != nil {
		c.acme.Close()
	}
}

func openAuthority(cfg config.Config) (*localca.Authority, error) {
	authority, err := localca.Open(cfg.DataDir, cfg.Zone)
	if err != nil {
		return nil, fmt.Errorf("open local authority: %w", err)
	}
	return authority, nil
}
