// Package localca is the local authority: it signs the certificates of desktops on one machine. Its root is
// constrained to the desktops' zone, so that a browser that trusts it trusts it for nothing else.
package localca

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"greenroom"
	"greenroom/internal/certs"
)

// The authority's two files.
const (
	keyFile  = "ca.key"
	rootFile = "ca.pem"
)

const (
	rootLife = 10 * 365 * 24 * time.Hour
	leafLife = 30 * 24 * time.Hour // at most
	skew     = 5 * time.Minute     // how far a desktop's clock may be behind ours
	margin   = time.Hour           // beyond the desktop's end, so that it is never the certificate that ends it
)

// Authority signs for one zone.
type Authority struct {
	zone string
	file string // of the certificate; empty: it is kept elsewhere, and not renewed
	key  *ecdsa.PrivateKey

	mu      sync.Mutex // of what a renewal changes
	root    *x509.Certificate
	rootPEM []byte
}

var _ certs.Issuer = (*Authority)(nil)

// Open returns the authority that dir holds, or makes one there for zone. Of several callers at once, in
// one process or many, all get the same key. An authority that ends within RenewLeft is renewed; see Keep. A key that others may
// read, a pair that does not match or an authority of another zone is a greenroom.UserError that says what to do.
func Open(dir, zone string) (*Authority, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the authority's directory: %w", err)
	}
	key, err := openKey(filepath.Join(dir, keyFile), filepath.Join(dir, rootFile))
	if err != nil {
		return nil, err
	}
	rootPEM, err := openRoot(filepath.Join(dir, rootFile), key, zone)
	if err != nil {
		return nil, err
	}
	a := &Authority{zone: zone, file: filepath.Join(dir, rootFile), key: key}
	root, err := check(rootPEM, key, zone)
	if err == nil {
		a.root, a.rootPEM = root, rootPEM
		if _, failed := a.Keep(); failed != nil { // what cannot be renewed is good until it ends
			err = valid(root)
		}
	}
	if err != nil {
		file := a.file
		return nil, userError(err, "The local authority in %s cannot be used: %v. Remove %[1]s and %[3]s; a new authority is made at the next start, and has to be trusted again.", file, err, filepath.Join(dir, keyFile))
	}
	return a, nil
}

// Keep takes up the certificate that is on disk, if another process or person has renewed it, and renews it if it ends within
// RenewLeft or is not valid yet. It reports whether the certificate has changed. One that cannot be used, or not be written, leaves
// the one before.
func (a *Authority) Keep() (changed bool, err error) {
	if a.file == "" {
		return false, nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	text, err := read(a.file)
	if err != nil {
		return false, fmt.Errorf("read the authority's certificate: %w", err)
	}
	root, err := check(text, a.key, a.zone)
	if err != nil {
		return false, fmt.Errorf("read the authority's certificate %s: %w", a.file, err)
	}
	fresh, failed := renewed(a.file, text, root, a.key)
	if root, err = check(fresh, a.key, a.zone); err != nil {
		return false, err
	}
	changed = !bytes.Equal(fresh, a.rootPEM)
	a.root, a.rootPEM = root, fresh
	if failed != nil {
		return changed, fmt.Errorf("renew the authority: %w", failed)
	}
	return changed, nil
}

// Root is the authority's certificate as it is now.
func (a *Authority) Root() *x509.Certificate {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.root
}

// Kept returns the authority that is kept elsewhere as one text, its key and its certificate in PEM. Keep returns what was
// kept first: the text it is given, or another caller's. An authority that ends within RenewLeft is renewed for this process.
func Kept(keep func(text string) (string, error), zone string) (*Authority, error) {
	fresh, err := newPair(zone)
	if err != nil {
		return nil, fmt.Errorf("make an authority: %w", err)
	}
	text, err := keep(string(fresh))
	if err != nil {
		return nil, fmt.Errorf("keep the authority: %w", err)
	}
	_, rootPEM := pem.Decode([]byte(text))
	key, err := parseKey([]byte(text))
	if err != nil {
		return nil, userError(err, "What is kept as the local authority is not one: %v.", err)
	}
	root, err := check(rootPEM, key, zone)
	if err == nil && due(root, time.Now()) { // for this process alone: what it signs is good under the one that is kept, too
		if rootPEM, err = resigned(root, key, time.Now()); err == nil {
			root, err = check(rootPEM, key, zone)
		}
	}
	if err != nil {
		return nil, userError(err, "The local authority that is kept cannot be used: %v. Remove it where it is kept; a new one then has to be trusted.", err)
	}
	return &Authority{zone: zone, root: root, rootPEM: rootPEM, key: key}, nil
}

func newPair(zone string) ([]byte, error) {
	keyPEM, err := newKey()
	if err != nil {
		return nil, err
	}
	key, err := parseKey(keyPEM)
	if err != nil {
		return nil, err
	}
	rootPEM, err := newRoot(key, zone)
	return append(keyPEM, rootPEM...), err
}

// RootPEM is the certificate that browsers are asked to trust.
func (a *Authority) RootPEM() []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.rootPEM
}

// Roots trust the authority as it is now, and nobody else.
func (a *Authority) Roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.Root())
	return pool
}

// Issue signs the key of the request for hostname, a name below the zone, until a little after until and for
// 30 days at most; see certs.Issuer. The error for another name wraps greenroom.ErrForbidden as well.
func (a *Authority) Issue(ctx context.Context, request []byte, hostname string, until time.Time) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	asked, err := certs.RequestFor(request, hostname, a.zone)
	if err != nil {
		return nil, err
	}
	return a.sign(asked.PublicKey, hostname, until)
}

// IssueWildcard signs the key of the request for every name of one label below the zone. It is for greenroom's own
// edge: a key that is good for all desktops must never be on one.
func (a *Authority) IssueWildcard(ctx context.Context, request []byte, until time.Time) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	asked, err := certs.ParseRequest(request)
	if err != nil {
		return nil, err
	}
	return a.sign(asked.PublicKey, "*."+a.zone, until)
}

// sign makes a certificate of the key for the name alone.
func (a *Authority) sign(public any, hostname string, until time.Time) ([]byte, error) {
	now, root := time.Now(), a.Root()
	leaf := &x509.Certificate{
		SerialNumber:          serial(),
		DNSNames:              []string{hostname}, // no subject: a name in two places can differ
		NotBefore:             now.Add(-skew),
		NotAfter:              earliest(until.Add(margin), now.Add(leafLife), root.NotAfter),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	if !leaf.NotAfter.After(now) {
		return nil, fmt.Errorf("sign for %s: its time is over: %w", hostname, greenroom.ErrEnded)
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, root, public, a.key)
	if err != nil {
		return nil, fmt.Errorf("sign for %s: %w", hostname, err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}

// check says whether the two are a pair that signs for zone.
func check(rootPEM []byte, key *ecdsa.PrivateKey, zone string) (*x509.Certificate, error) {
	block, _ := pem.Decode(rootPEM)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("it holds no certificate")
	}
	root, err := x509.ParseCertificate(block.Bytes)
	switch {
	case err != nil:
		return nil, fmt.Errorf("it holds no certificate that can be read (%w)", err)
	case !key.PublicKey.Equal(root.PublicKey):
		return nil, errors.New("key and certificate do not belong together")
	case len(root.PermittedDNSDomains) != 1 || root.PermittedDNSDomains[0] != zone:
		return nil, fmt.Errorf("the authority is for %s, not for %s", strings.Join(root.PermittedDNSDomains, ", "), zone)
	}
	return root, nil
}

var errNotPEM = errors.New("not PEM")

func userError(cause error, format string, args ...any) error {
	return &greenroom.UserError{Message: fmt.Sprintf(format, args...), Cause: cause}
}

// serial returns 128 random bits, of which the first is set: it is positive and always of one length.
func serial() *big.Int {
	var b [16]byte
	_, _ = rand.Read(b[:])
	b[0] |= 0x80
	return new(big.Int).SetBytes(b[:])
}

func earliest(times ...time.Time) time.Time {
	first := times[0]
	for _, t := range times[1:] {
		if t.Before(first) {
			first = t
		}
	}
	return first
}
