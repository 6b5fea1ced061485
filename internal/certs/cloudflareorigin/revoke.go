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
	err := a.call(ctx, "revoke the certificate of "+hostname, func(ctx context.Context) error { return a.api.Revoke(ctx, e.Name()) })
	if errors.Is(err, greenroom.ErrNotFound) { // somebody else has revoked it
		return nil
	}
	return err
}

// Pending are the host names of the journal that got no certificate for a while: a desktop whose name is not in
// the zone after so long is gone.
func (a *Authority) Pending(now time.Time, settled time.Duration) ([]string, error) {
	if a.o.Journal == "" {
		return nil, nil
	}
	entries, err := os.ReadDir(a.o.Journal)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var out []string
	for _, e := range entries {
		if info, err := e.Info(); err == nil && now.Sub(info.ModTime()) >= settled { // a directory changes with each entry
			out = append(out, e.Name())
		}
	}
	return out, err
}
