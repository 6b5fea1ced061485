package server

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"strings"

	miekg "github.com/miekg/dns"

	"greenroom"
	"greenroom/internal/app/components"
	"greenroom/internal/certs/acmecerts"
	"greenroom/internal/certs/cloudflareorigin"
	"greenroom/internal/certs/filecerts"
	"greenroom/internal/config"
	"greenroom/internal/doctor"
	"greenroom/internal/secrets"
)

// Certificates is what the doctor can look at beside a server: nothing of it changes anything.
func Certificates(cfg config.Config) doctor.Certificates {
	store := components.Secrets(components.AWS(cfg), slog.New(slog.DiscardHandler))
	out := doctor.Certificates{Zone: cfg.Zone}
	if cfg.IdentityCerts != "" || components.Identified(cfg) {
		out.Identity = func() ([]*x509.Certificate, error) { return components.IdentityCertificates(cfg) }
	}
	kept := map[string]string{}
	for key, secret := range map[string]config.Secret{
		"database": cfg.Database, "certificates.eab_key": cfg.Certificates.EABKey, "certificates.token": cfg.Certificates.Token,
		"dns.token": cfg.DNS.Token, "dns.tsig_secret": cfg.DNS.TSIGSecret,
	} {
		if secrets.IsReference(secret.Reveal()) {
			kept[key] = secret.Reveal()
		}
	}
	if len(kept) > 0 {
		out.Secrets = func(ctx context.Context) ([]string, []doctor.Finding) { return readable(ctx, store, kept) }
	}
	roots, err := components.Roots(cfg.Certificates.RootsFile)
	if err != nil {
		out.Edge = func() (*x509.Certificate, error) { return nil, err }
		return out
	}
	switch cfg.Certificates.Issuer {
	case config.IssuerFiles:
		out.Edge = func() (*x509.Certificate, error) { return fileLeaf(cfg, roots) }
	case config.IssuerACME:
		inspectACME(&out, cfg, roots)
	case config.IssuerCloudflareOrigin:
		out.Token = func(ctx context.Context) error { return checkToken(ctx, store, cfg, roots) }
	}
	return out
}

func readable(ctx context.Context, store *secrets.Store, kept map[string]string) (read []string, faults []doctor.Finding) {
	for key, reference := range kept {
		if _, err := store.Open(ctx, key, reference); err != nil {
			faults = append(faults, doctor.Finding{Check: "secret " + key, Detail: greenroom.Sentence(err, err.Error()), Fix: "fix the file or secret that the key names"})
			continue
		}
		read = append(read, key)
	}
	return read, faults
}

func fileLeaf(cfg config.Config, roots *x509.CertPool) (*x509.Certificate, error) {
	e, err := filecerts.Open(components.Files(cfg, roots, slog.New(slog.DiscardHandler)))
	if err != nil {
		return nil, err
	}
	cert, err := e.GetCertificate(nil)
	if err != nil {
		return nil, err
	}
	return cert.Leaf, nil
}

func inspectACME(out *doctor.Certificates, cfg config.Config, roots *x509.CertPool) {
	o := components.ACME(cfg, roots)
	name := components.AnyDesktop(cfg.Zone)
	if cfg.Access == config.AccessGateway {
		name = "*." + cfg.Zone
		out.Edge = func() (*x509.Certificate, error) { return acmecerts.EdgeLeaf(o, name) }
	}
	out.CAA = lookupCAA
	out.Authority = func(ctx context.Context) (doctor.Authority, error) {
		d, err := acmecerts.Ask(ctx, o)
		return doctor.Authority{CAA: d.CAA, Date: d.Date, NeedsEAB: d.NeedsEAB && o.EABKeyID == "", Registered: d.Registered}, err
	}
	out.Left = func() ([]doctor.Allowance, error) {
		list, err := acmecerts.Allowances(o, name)
		var left []doctor.Allowance
		for _, a := range list {
			left = append(left, doctor.Allowance(a))
		}
		return left, err
	}
}

// checkToken asks Cloudflare what the token may see.
func checkToken(ctx context.Context, store *secrets.Store, cfg config.Config, roots *x509.CertPool) error {
	token, err := store.Open(ctx, "certificates.token", cfg.Certificates.Token.Reveal())
	if err != nil {
		return err
	}
	o := components.Origin(cfg, roots)
	o.Token = token.Get
	origin, err := cloudflareorigin.Open(o)
	if err != nil {
		return err
	}
	return origin.CheckToken(ctx)
}

const resolvConf = "/etc/resolv.conf"

// systemResolver is this machine's first, host:port; empty if there is none.
func systemResolver() string {
	conf, err := miekg.ClientConfigFromFile(resolvConf)
	if err != nil || len(conf.Servers) == 0 {
		return ""
	}
	return net.JoinHostPort(conf.Servers[0], conf.Port)
}

// lookupCAA asks this machine's resolver for the CAA records of name, or of what is nearest above it.
func lookupCAA(ctx context.Context, name string) (doctor.CAA, error) {
	server := systemResolver()
	if server == "" {
		return doctor.CAA{}, fmt.Errorf("%s names no resolver", resolvConf)
	}
	for at := strings.TrimSuffix(name, "."); at != ""; _, at, _ = strings.Cut(at, ".") {
		q := new(miekg.Msg)
		q.SetQuestion(miekg.Fqdn(at), miekg.TypeCAA)
		answer, _, err := new(miekg.Client).ExchangeContext(ctx, q, server)
		if err != nil {
			return doctor.CAA{}, err
		}
		if answer.Rcode != miekg.RcodeSuccess && answer.Rcode != miekg.RcodeNameError {
			return doctor.CAA{}, fmt.Errorf("the resolver answers %s for %s", miekg.RcodeToString[answer.Rcode], at)
		}
		if set := caaOf(at, answer.Answer); set.At != "" {
			return set, nil
		}
	}
	return doctor.CAA{}, nil
}

// caaOf reads who may issue. What follows a semicolon binds the authority, not us.
func caaOf(at string, records []miekg.RR) doctor.CAA {
	var set doctor.CAA
	for _, rr := range records {
		caa, ok := rr.(*miekg.CAA)
		if !ok {
			continue
		}
		who, _, _ := strings.Cut(caa.Value, ";")
		switch who = strings.TrimSpace(who); caa.Tag {
		case "issue":
			set.At, set.Issue = at, append(set.Issue, who)
		case "issuewild":
			set.At, set.IssueWild = at, append(set.IssueWild, who)
		}
	}
	return set
}
