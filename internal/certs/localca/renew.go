package localca

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"time"
)

// RenewLeft is the time that an authority has left when it is renewed: long enough to trust the new certificate everywhere before
// the old one ends.
const RenewLeft = 90 * 24 * time.Hour

// due reports whether the certificate of an authority has to be renewed: it ends soon, has ended, or is not valid yet, as after a
// clock that was ahead.
func due(root *x509.Certificate, now time.Time) bool {
	return now.Before(root.NotBefore) || root.NotAfter.Sub(now) < RenewLeft
}

// resigned is the same authority with more time: name and key stay, so what it signed is good under both certificates, and whoever
// trusts the old one loses nothing until that ends.
func resigned(root *x509.Certificate, key *ecdsa.PrivateKey, now time.Time) ([]byte, error) {
	fresh := *root
	fresh.SerialNumber, fresh.NotAfter = serial(), now.Add(rootLife)
	if fresh.NotBefore.After(now) {
		fresh.NotBefore = now.Add(-skew)
	}
	der, err := x509.CreateCertificate(rand.Reader, &fresh, &fresh, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}

// renewed is what the certificate file of an authority holds after it was renewed, if it had to be. Of several processes that renew
// at once, one wins; all of their certificates are of one key.
func renewed(file string, rootPEM []byte, root *x509.Certificate, key *ecdsa.PrivateKey) ([]byte, error) {
	now := time.Now()
	if !due(root, now) {
		return rootPEM, nil
	}
	fresh, err := resigned(root, key, now)
	if err == nil {
		err = replace(file, fresh)
	}
	if err == nil {
		return fresh, nil
	}
	return rootPEM, err
}

// replace puts text in the place of a file at once.
func replace(file string, text []byte) error {
	dir := filepath.Dir(file)
	f, err := os.CreateTemp(dir, filepath.Base(file)+".*.new")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text)
	if err := errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), file); err != nil {
		return err
	}
	return syncDir(dir)
}

// valid says why a certificate cannot be used now, if it cannot.
func valid(root *x509.Certificate) error {
	now := time.Now()
	switch {
	case now.Before(root.NotBefore):
		return errors.New("the authority is valid only from " + root.NotBefore.UTC().Format(time.RFC3339) + ": see that the clock is right")
	case !root.NotAfter.After(now):
		return errors.New("the authority expired on " + root.NotAfter.Format(time.DateOnly))
	}
	return nil
}
