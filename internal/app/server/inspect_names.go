package server

import (
	"cmp"
	"context"
	"crypto/x509"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"strings"

	"greenroom"
	"greenroom/internal/app/components"
	"greenroom/internal/certs/localca"
	"greenroom/internal/config"
	"greenroom/internal/dns"
	"greenroom/internal/doctor"
)

// doctorsMark is the owner of test records: no server's, so that no sweep takes them for its own.
const doctorsMark = "doctor"

// Names is what the doctor can look at in the zone. With write it writes a test record and removes it; everything else changes
// nothing. A zone of this machine alone needs none of it.
func Names(cfg config.Config, write bool) doctor.Names {
	embedded := cfg.DNS.Provider == config.DNSEmbedded
	if cfg.Access == config.AccessSingle || embedded && (cfg.Zone == "localhost" || strings.HasSuffix(cfg.Zone, ".localhost")) {
		return doctor.Names{}
	}
	out := doctor.Names{
		Zone: cfg.Zone, Proxied: cfg.DNS.Proxied, Port: desktopPortOf(cfg), Advanced: cfg.Certificates.Edge == "advanced", Resolver: systemResolver(),
	}
	if cfg.Access == config.AccessGateway {
		out.Edge = cfg.Gateway()
	}
	for _, s := range cfg.DNS.OwnServers() {
		out.Servers = append(out.Servers, doctor.Server(s))
	}
	if embedded {
		return out
	}
	account := components.AWS(cfg)
	store := components.Secrets(account, slog.New(slog.DiscardHandler))
	open := func(ctx context.Context) (components.Zone, error) {
		return components.OpenZone(ctx, cfg, account, doctorsMark, store)
	}
	out.Inspect = func(ctx context.Context) (dns.Facts, []error) {
		zone, err := open(ctx)
		if err != nil {
			return dns.Facts{Apex: cfg.Zone}, []error{err}
		}
		return zone.Inspect(ctx)
	}
	if write {
		out.Open = func(ctx context.Context) (dns.Provider, error) { return open(ctx) }
	}
	return out
}

// Front is what the doctor can look at from outside, where pages, API and desktops have one address.
func Front(cfg config.Config) doctor.Front {
	if cfg.Access != config.AccessSingle {
		return doctor.Front{}
	}
	f := doctor.Front{URL: cfg.PublicURL}
	if f.URL == "" {
		scheme := "http://"
		if cfg.TLS.Issuer != "" {
			scheme = "https://"
		}
		f.URL = scheme + cfg.Listen
	}
	f.URL = strings.TrimRight(f.URL, "/")
	switch cfg.TLS.Issuer {
	case config.IssuerLocal:
		f.Roots = func() (*x509.CertPool, error) {
			return components.Roots(localca.PagesRoot(filepath.Join(cfg.DataDir, "pages"), cfg.TLSNames()))
		}
	case config.IssuerACME:
		f.Roots = func() (*x509.CertPool, error) { return components.RootsAndSystem(cfg.TLS.RootsFile) }
	}
	return f
}

// desktopPortOf is the port in desktops' addresses as far as the configuration tells.
func desktopPortOf(cfg config.Config) int {
	own := greenroom.DesktopPort
	if listen, _ := Listens(cfg); listen != "" {
		_, port, _ := net.SplitHostPort(listen)
		own, _ = strconv.Atoi(port)
	}
	return cmp.Or(cfg.DesktopPort, own)
}
