package config_test

import (
	"strings"
	"testing"

	"greenroom"
	"greenroom/internal/config"
)

// faults are those of the keys whose names begin with prefix.
func faults(c config.Config, prefix string) map[string]string {
	out := map[string]string{}
	if bad, ok := c.Validate().(*greenroom.InvalidError); ok {
		for _, f := range bad.Fields {
			if strings.HasPrefix(f.Field, prefix) {
				out[f.Field] += f.Message
			}
		}
	}
	return out
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		access, zone string
		set          config.Certificates
		want         map[string]string // what the faults say, by key after the dot
	}{
		"local":                 {"direct", "desk.localhost", config.Certificates{Issuer: "local"}, nil},
		"files at the gateway":  {"gateway", "desk.example.com", config.Certificates{Issuer: "files", ChainFile: "/c", KeyFile: "/k"}, nil},
		"files on desktops":     {"direct", "desk.example.com", config.Certificates{Issuer: "files", ChainFile: "/c", KeyFile: "/k"}, map[string]string{"issuer": "never goes onto a desktop"}},
		"files without files":   {"gateway", "desk.example.com", config.Certificates{Issuer: "files"}, map[string]string{"chain_file": "PEM file", "key_file": "PEM file"}},
		"acme":                  {"direct", "desk.example.com", config.Certificates{Issuer: "acme", Email: "ops@example.com"}, nil},
		"acme on one machine":   {"direct", "desk.localhost", config.Certificates{Issuer: "acme"}, map[string]string{"issuer": "public domain"}},
		"acme of one's own":     {"direct", "desk.localhost", config.Certificates{Issuer: "acme", DirectoryURL: "https://ca.internal/acme/directory"}, nil},
		"acme, all wrong":       {"direct", "desk.example.com", config.Certificates{Issuer: "acme", DirectoryURL: "http://ca", Email: "Ops <o@e.com>", EABKeyID: "k"}, map[string]string{"directory_url": "https://", "email": "mail address", "eab_key": "belong together"}},
		"acme, key as a path":   {"direct", "desk.example.com", config.Certificates{Issuer: "acme", EABKeyID: "k", EABKey: "file:key"}, map[string]string{"eab_key": "whole path"}},
		"origin":                {"direct", "example.com", config.Certificates{Issuer: "cloudflare-origin", Token: "secret://aws/cf#token", RootsFile: "/r"}, nil},
		"origin with nothing":   {"direct", "example.com", config.Certificates{Issuer: "cloudflare-origin"}, map[string]string{"token": "Edit", "roots_file": "origin authorities"}},
		"origin at the gateway": {"gateway", "example.com", config.Certificates{Issuer: "cloudflare-origin", Token: "t", RootsFile: "/r"}, map[string]string{"issuer": "access direct"}},
		"no such secrets":       {"direct", "example.com", config.Certificates{Issuer: "cloudflare-origin", Token: "secret://gcp/x", RootsFile: "/r"}, map[string]string{"token": "no other is known"}},
		"words of their own":    {"direct", "example.com", config.Certificates{Issuer: "local", Edge: "all", AtEnd: "keep"}, map[string]string{"edge": "universal, advanced", "at_end": "expire, revoke"}},
	} {
		cfg := config.Default()
		cfg.Access, cfg.Zone = c.access, c.zone
		if c.set.Edge == "" {
			c.set.Edge, c.set.AtEnd = "universal", "expire"
		}
		cfg.Certificates = c.set
		got := faults(cfg, "certificates.")
		for key, says := range c.want {
			if !strings.Contains(got["certificates."+key], says) {
				t.Errorf("%s: of %s it says %q, not %q", name, key, got["certificates."+key], says)
			}
		}
		if len(got) != len(c.want) {
			t.Errorf("%s: the faults are %v", name, got)
		}
	}
}

func TestDatabaseMayBeKeptElsewhere(t *testing.T) {
	t.Parallel()
	for text, says := range map[string]string{
		"file:/run/secrets/database": "", "secret://aws/greenroom/database": "", "file:database": "whole path",
	} {
		cfg := config.Default()
		cfg.Database = config.Secret(text)
		if got := faults(cfg, "database")["database"]; (got == "") != (says == "") || !strings.Contains(got, says) {
			t.Errorf("%s: %q", text, got)
		}
	}
}
