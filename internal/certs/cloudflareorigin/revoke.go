package cloudflareorigin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/cloudflare/cloudflare-go/v6/option"
	origin "github.com/cloudflare/cloudflare-go/v6/origin_ca_certificates"

	"greenroom"
	"greenroom/internal/certs"
)

// life of a certificate; after it there is nothing to revoke.
const life = 7 * 24 * time.Hour

// goodID keeps what Cloudflare calls a certificate from being a path.
var goodID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)

// remember notes a certificate in the journal: an empty file Journal/hostname/id.
func (a *Authority) remember(hostname, id string) error {
	if a.o.Journal == "" {
		return nil
	}
	if !goodID.MatchString(id) {
		return fmt.Errorf("certificate has the odd id %q", id)
	}
	dir := filepath.Join(a.o.Journal, hostname)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, id), nil, 0o600)
}

// Revoke revokes the certificates that the journal remembers of a desktop that is gone; of one that it does not
// know, it does nothing. What cannot be revoked now stays in the journal for the next call.
func (a *Authority) Revoke(ctx context.Context, hostname string) error {
	if a.o.Journal == "" || !certs.Below(hostname, a.o.Zone) {
		return nil
	}
	dir := filepath.Join(a.o.Journal, hostname)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read journal of certificates: %w", err)
	}
	for _, e := range entries {
		if err := a.revoke(ctx, hostname, e); err != nil {
			return err
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
			return fmt.Errorf("clear journal of certificates: %w", err)
		}
	}
	return os.Remove(dir)
}

func (a *Authority) revoke(ctx context.Context, hostname string, e os.DirEntry) error {
	if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > life {
		return nil
	}
	err := a.call(ctx, "revoke the certificate of "+hostname, func(auth option.RequestOption) error {
		_, err := a.api.Delete(ctx, e.Name(), auth)
		return err
	})
	if errors.Is(err, greenroom.ErrNotFound) { // somebody else has revoked it
		return nil
	}
	return err
}

// Pending are the host names of the journal: their certificates are not revoked yet.
func (a *Authority) Pending() ([]string, error) {
	entries, err := os.ReadDir(a.o.Journal)
	if a.o.Journal == "" || errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out, err
}

// CheckToken asks whether the token may see the certificates of the zone with that id at Cloudflare.
func (a *Authority) CheckToken(ctx context.Context, zoneID string) error {
	var ask origin.OriginCACertificateListParams
	ask.ZoneID.Value, ask.ZoneID.Present = zoneID, true
	ask.PerPage.Value, ask.PerPage.Present = 5, true
	return a.call(ctx, "list certificates", func(auth option.RequestOption) error {
		_, err := a.api.List(ctx, ask, auth)
		return err
	})
}
