package config

import (
	"net/mail"
	"net/netip"
	"net/url"
	"strings"

	"greenroom"
)

// TLS says who issues the certificate of pages and API.
type TLS struct {
	Issuer       string // empty: plain HTTP
	ChainFile    string // issuer files: PEM, leaf first
	KeyFile      string // issuer files: PEM
	Names        []string
	HTTPListen   string // plain HTTP: leads to HTTPS, and answers HTTP-01; empty: no listener
	DirectoryURL string // issuer acme; empty is Let's Encrypt
	Email        string // issuer acme; may be empty
	RootsFile    string // issuer acme: PEM of the authorities to trust for the directory; empty: the system's
}

func (t *TLS) keys() []key {
	return []key{
		{"tls.issuer", "Who issues the certificate of pages and API: `local`, an authority of greenroom's own, for host names and IP addresses; `acme`, such as Let's Encrypt, by TLS-ALPN-01 or HTTP-01; `files`, yours. Empty: plain HTTP, or a proxy ends TLS. See [certificates](certificates.md#pages-and-api).", &t.Issuer},
		{"tls.chain_file", "Issuer `files`: the certificate and what is between it and its root, PEM. It may be replaced at any time.", &t.ChainFile},
		{"tls.key_file", "Issuer `files`: its key, PEM.", &t.KeyFile},
		{"tls.names", "Issuers `local` and `acme`: host names (and, with `local`, IP addresses) beside that of public_url.", &t.Names},
		{"tls.http_listen", "Address for plain HTTP, such as `0.0.0.0:80`: it leads browsers to public_url and answers ACME's HTTP-01. Empty: there is none, and ACME uses TLS-ALPN-01 alone.", &t.HTTPListen},
		{"tls.directory_url", "Issuer `acme`: the authority's directory; empty is Let's Encrypt.", &t.DirectoryURL},
		{"tls.email", "Issuer `acme`: whom the authority warns; may be empty.", &t.Email},
		{"tls.roots_file", "Issuer `acme`: authorities to trust for the directory, PEM; empty: the system's.", &t.RootsFile},
	}
}

// TLSNames are the host names and IP addresses that pages and API have a certificate for: that of public_url first.
func (c Config) TLSNames() []string {
	var names []string
	if u, err := url.Parse(c.PublicURL); err == nil && u.Hostname() != "" {
		names = append(names, u.Hostname())
	} else if a, err := netip.ParseAddrPort(resolved(c.Listen)); err == nil && !a.Addr().IsUnspecified() {
		names = append(names, a.Addr().String())
	}
	return append(names, c.TLS.Names...)
}

func (c Config) judgeTLS(bad *greenroom.InvalidError) {
	t := c.TLS
	oneOf(bad, "tls.issuer", t.Issuer, "", IssuerLocal, IssuerFiles, IssuerACME)
	if t.Issuer == "" {
		for key, set := range map[string]bool{"tls.chain_file": t.ChainFile != "", "tls.key_file": t.KeyFile != "", "tls.http_listen": t.HTTPListen != "", "tls.names": len(t.Names) > 0} {
			if set {
				bad.Add(key, "is for tls.issuer local, acme or files; without it pages are plain HTTP")
			}
		}
		return
	}
	if u, err := url.Parse(c.PublicURL); c.PublicURL != "" && (err != nil || u.Scheme != "https") {
		bad.Add("public_url", "must begin with https:// when tls.issuer is set, and is %q", c.PublicURL)
	}
	if t.HTTPListen != "" {
		if _, err := netip.ParseAddrPort(resolved(t.HTTPListen)); err != nil {
			bad.Add("tls.http_listen", "must be an address and a port, such as 0.0.0.0:80, and is %q", t.HTTPListen)
		}
	}
	for _, name := range t.Names {
		if _, err := netip.ParseAddr(name); !validName(strings.ToLower(name)) && err != nil {
			bad.Add("tls.names", "must be host names or IP addresses, and one is %q", name)
		}
	}
	switch t.Issuer {
	case IssuerFiles:
		for _, f := range []struct{ key, value string }{{"tls.chain_file", t.ChainFile}, {"tls.key_file", t.KeyFile}} {
			if f.value == "" {
				bad.Add(f.key, "must name a PEM file when tls.issuer is files")
			}
		}
	case IssuerACME:
		c.judgePageACME(bad)
	}
}

func (c Config) judgePageACME(bad *greenroom.InvalidError) {
	names := c.TLSNames()
	if c.PublicURL == "" {
		bad.Add("public_url", "must be set when tls.issuer is acme: the certificate is for its host name")
	}
	for _, name := range names {
		if _, err := netip.ParseAddr(name); err == nil {
			bad.Add("tls.issuer", "acme certifies host names, and %s is an address: choose local", name)
		}
	}
	if u := c.TLS.DirectoryURL; u != "" && (!validLink(u) || !strings.HasPrefix(u, "https://")) {
		bad.Add("tls.directory_url", "must be the https:// address of an ACME directory, and is %q", u)
	}
	if a, err := mail.ParseAddress(c.TLS.Email); c.TLS.Email != "" && (err != nil || a.Address != c.TLS.Email) {
		bad.Add("tls.email", "must be a mail address, such as ops@example.com, or empty, and is %q", c.TLS.Email)
	}
}
