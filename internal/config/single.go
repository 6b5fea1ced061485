package config

import (
	"net/netip"
	"net/url"

	"greenroom"
)

// judgeSingle judges what goes together with desktops below the one address of listen.
func (c Config) judgeSingle(bad *greenroom.InvalidError) {
	for _, b := range c.Blueprints {
		if b.Protocol == greenroom.DCV {
			bad.Add("blueprints."+b.Name+".protocol", "must be novnc with access single: DCV's client comes from the desktop itself and would run on the organiser's pages' origin; use access direct or gateway for dcv")
		}
	}
	if c.DNS.Provider != DNSEmbedded {
		bad.Add("dns.provider", "is not used with access single, which needs no names of its own: leave it out")
	}
	if c.Certificates.Issuer != IssuerLocal {
		bad.Add("certificates.issuer", "must be local with access single: browsers see the certificate of tls alone")
	}
	if c.DesktopPort != 0 {
		bad.Add("desktop_port", "is not used with access single: desktops are below public_url")
	}
	u, err := url.Parse(c.PublicURL)
	if c.PublicURL == "" || err != nil || u.Scheme == "https" {
		return
	}
	if host, err := netip.ParseAddr(u.Hostname()); u.Hostname() != "localhost" && (err != nil || !host.IsLoopback()) {
		bad.Add("public_url", "must begin with https:// with access single, because screens and passes go there: set tls, or let a proxy in front end TLS; it is %q", c.PublicURL)
	}
}
