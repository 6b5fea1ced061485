// Package components makes of a configuration what server and functions are both put together from. It makes no calls: those
// begin when a part is used.
package components

import (
	"context"
	"fmt"
	"time"

	"greenroom/internal/config"
	"greenroom/internal/dns"
	"greenroom/internal/dns/cloudflaredns"
	"greenroom/internal/dns/rfc2136dns"
	"greenroom/internal/dns/route53dns"
	"greenroom/internal/secrets"
)

// Zone is a zone of a provider other than greenroom itself.
type Zone interface {
	dns.Provider
	dns.Texts
	Inspect(ctx context.Context) (dns.Facts, []error)
}

// OpenZone opens the zone that cfg names. It makes no call to the provider.
func OpenZone(ctx context.Context, cfg config.Config, account Account, owner string, store *secrets.Store) (Zone, error) {
	d := cfg.DNS
	ttl := time.Duration(d.TTL)
	switch d.Provider {
	case config.DNSRFC2136:
		secret, err := store.Open(ctx, "dns.tsig_secret", d.TSIGSecret.Reveal())
		if err != nil {
			return nil, err
		}
		return rfc2136dns.New(rfc2136dns.Options{
			Zone: cfg.Zone, Server: d.Server, KeyName: d.TSIGName, Secret: secret.Get, Refused: secret.Refused, Algorithm: d.TSIGAlgorithm, Owner: owner, TTL: ttl,
		}), nil
	case config.DNSRoute53:
		aws, err := account(ctx)
		if err != nil {
			return nil, err
		}
		return route53dns.New(route53dns.Options{Zone: cfg.Zone, ZoneID: d.ZoneID, Owner: owner, AWS: aws, Endpoint: d.Endpoint, TTL: ttl}), nil
	case config.DNSCloudflare:
		token, err := store.Open(ctx, "dns.token", d.Token.Reveal())
		if err != nil {
			return nil, err
		}
		return cloudflaredns.New(cloudflaredns.Options{Zone: cfg.Zone, ZoneID: d.ZoneID, Owner: owner, Token: token.Get, Refused: token.Refused, Proxied: d.Proxied, TTL: ttl, BaseURL: d.Endpoint}), nil
	}
	return nil, fmt.Errorf("there is no DNS provider %q", d.Provider)
}
