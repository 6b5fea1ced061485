package config

import (
	"net/mail"
	"strings"

	"greenroom"
	"greenroom/internal/secrets"
)

// judgeSecrets judges the form of what refers to a secret; where it is kept is looked at when serving starts.
func (c Config) judgeSecrets(bad *greenroom.InvalidError) {
	for _, k := range c.keys() {
		if secret, ok := k.at.(*Secret); ok {
			if err := secrets.Check(secret.Reveal()); err != nil {
				bad.Add(k.name, "%v", err)
			}
		}
	}
}

func (c Config) judgeCertificates(bad *greenroom.InvalidError) {
	t := c.Certificates
	oneOf(bad, "certificates.issuer", t.Issuer, IssuerLocal, IssuerFiles, IssuerACME, IssuerCloudflareOrigin)
	oneOf(bad, "certificates.edge", t.Edge, "universal", "advanced")
	oneOf(bad, "certificates.at_end", t.AtEnd, "expire", "revoke")
	if (t.EABKeyID == "") != (t.EABKey == "") {
		bad.Add("certificates.eab_key", "and certificates.eab_key_id belong together: set both or none")
	}
	if t.DirectoryURL != "" && (!validLink(t.DirectoryURL) || !strings.HasPrefix(t.DirectoryURL, "https://")) {
		bad.Add("certificates.directory_url", "must be the https:// address of an ACME directory, such as https://acme-v02.api.letsencrypt.org/directory, and is %q", t.DirectoryURL)
	}
	if a, err := mail.ParseAddress(t.Email); t.Email != "" && (err != nil || a.Address != t.Email) {
		bad.Add("certificates.email", "must be a mail address, such as ops@example.com, or empty, and is %q", t.Email)
	}
	switch t.Issuer {
	case IssuerFiles:
		c.judgeFiles(bad)
	case IssuerACME:
		if t.DirectoryURL == "" && (c.Zone == "localhost" || strings.HasSuffix(c.Zone, ".localhost")) {
			bad.Add("certificates.issuer", "acme needs a zone below a public domain, and zone is %s: set zone, or choose local", c.Zone)
		}
	case IssuerCloudflareOrigin:
		c.judgeOrigin(bad)
	}
}

func (c Config) judgeFiles(bad *greenroom.InvalidError) {
	if c.Access == AccessDirect {
		bad.Add("certificates.issuer", "files is for access gateway: with access direct every desktop needs a key of its own, and a wildcard's key never goes onto a desktop; choose local, acme or cloudflare-origin")
	}
	for _, f := range []struct{ key, value string }{{"certificates.chain_file", c.Certificates.ChainFile}, {"certificates.key_file", c.Certificates.KeyFile}} {
		if f.value == "" {
			bad.Add(f.key, "must name a PEM file when certificates.issuer is files")
		}
	}
}

func (c Config) judgeOrigin(bad *greenroom.InvalidError) {
	if c.Access != AccessDirect {
		bad.Add("certificates.issuer", "cloudflare-origin is for access direct: browsers that reach greenroom's own edge do not trust it; choose files or acme")
	}
	if c.Certificates.Token == "" {
		bad.Add("certificates.token", "must be an API token of Cloudflare with the right Zone, SSL and Certificates, Edit, when certificates.issuer is cloudflare-origin")
	}
	if c.Certificates.RootsFile == "" {
		bad.Add("certificates.roots_file", "must name a PEM file with Cloudflare's origin authorities when certificates.issuer is cloudflare-origin; Cloudflare publishes them in its documentation of Origin CA")
	}
}
