package localca

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Pages shows a web server's certificate for some host names and IP addresses, signed by an authority that is constrained to them: who
// trusts it trusts it for this server alone. Other names have another authority.
type Pages struct {
	names  []string
	file   string // of the authority's certificate
	signer *ecdsa.PrivateKey
	key    *ecdsa.PrivateKey // of the server's own; it never leaves the process

	mu      sync.Mutex
	rootPEM []byte
	root    *x509.Certificate
	current *tls.Certificate
	renew   time.Time
}

// PagesRoot is the file with the certificate of the authority that OpenPages makes in dir for the names.
func PagesRoot(dir string, names []string) string {
	return filepath.Join(PagesDir(dir, names), rootFile)
}

// PagesDir is the directory below dir that has the authority for the names.
func PagesDir(dir string, names []string) string {
	sorted := slices.Sorted(slices.Values(names))
	sum := sha256.Sum256([]byte(strings.Join(slices.Compact(sorted), "\n")))
	return filepath.Join(dir, hex.EncodeToString(sum[:8]))
}

// OpenPages returns the authority for the names that dir holds, or makes one there.
func OpenPages(dir string, names []string) (*Pages, error) {
	dir = PagesDir(dir, names)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of the pages' authority: %w", err)
	}
	p := &Pages{names: names, file: filepath.Join(dir, rootFile)}
	var err error
	if p.signer, err = openKey(filepath.Join(dir, keyFile), filepath.Join(dir, rootFile)); err != nil {
		return nil, err
	}
	if p.rootPEM, err = openPagesRoot(filepath.Join(dir, rootFile), p.signer, names); err != nil {
		return nil, err
	}
	if p.root, err = ofKey(p.rootPEM, p.signer); err == nil {
		if _, failed := p.Keep(); failed != nil { // what cannot be renewed is good until it ends
			err = valid(p.root)
		}
	}
	if err != nil {
		return nil, userError(err, "The authority of the pages in %s cannot be used: %v. Remove %[1]s; a new one is made at the next start, and has to be trusted again.", dir, err)
	}
	if p.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, err
	}
	_, err = p.GetCertificate(nil)
	return p, err
}

// ofKey reads the certificate of the authority that has the key.
func ofKey(rootPEM []byte, key *ecdsa.PrivateKey) (*x509.Certificate, error) {
	block, _ := pem.Decode(rootPEM)
	if block == nil {
		return nil, errNotPEM
	}
	root, err := x509.ParseCertificate(block.Bytes)
	if err == nil && !key.PublicKey.Equal(root.PublicKey) {
		err = errors.New("key and certificate do not belong together")
	}
	return root, err
}

// Keep is Authority.Keep for the pages' authority. The server's certificate follows it.
func (p *Pages) Keep() (changed bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	text, err := read(p.file)
	if err != nil {
		return false, fmt.Errorf("read the pages' authority: %w", err)
	}
	root, err := ofKey(text, p.signer)
	if err != nil {
		return false, fmt.Errorf("read the pages' authority %s: %w", p.file, err)
	}
	fresh, failed := renewed(p.file, text, root, p.signer)
	if root, err = ofKey(fresh, p.signer); err != nil {
		return false, err
	}
	if changed = !bytes.Equal(fresh, p.rootPEM); changed {
		p.root, p.rootPEM, p.current = root, fresh, nil
	}
	if failed != nil {
		return changed, fmt.Errorf("renew the pages' authority: %w", failed)
	}
	return changed, nil
}

// Root is the authority's certificate as it is now.
func (p *Pages) Root() *x509.Certificate {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.root
}

func openPagesRoot(file string, key *ecdsa.PrivateKey, names []string) ([]byte, error) {
	text, err := read(file)
	if errors.Is(err, fs.ErrNotExist) {
		if text, err = pagesRoot(key, names); err == nil {
			err = publish(file, text, 0o644)
		}
		if err == nil {
			text, err = read(file)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("the pages' authority: %w", err)
	}
	return text, nil
}

// pagesRoot makes a root that may sign for these names and addresses, and for nothing else.
func pagesRoot(key *ecdsa.PrivateKey, names []string) ([]byte, error) {
	now := time.Now()
	root := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: commonName(now), Organization: []string{"greenroom"}},
		NotBefore: now.Add(-skew), NotAfter: now.Add(rootLife), IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		PermittedDNSDomainsCritical: true, PermittedEmailAddresses: []string{"invalid"}, PermittedURIDomains: []string{"invalid"},
	}
	for _, name := range names {
		if a, err := netip.ParseAddr(name); err == nil {
			root.PermittedIPRanges = append(root.PermittedIPRanges, &net.IPNet{IP: a.Unmap().AsSlice(), Mask: net.CIDRMask(a.Unmap().BitLen(), a.Unmap().BitLen())})
			continue
		}
		root.PermittedDNSDomains = append(root.PermittedDNSDomains, name)
	}
	// A permitted name leaves every other kind of name free.
	if len(root.PermittedDNSDomains) == 0 {
		root.PermittedDNSDomains = []string{"invalid"}
	}
	if len(root.PermittedIPRanges) == 0 {
		root.ExcludedIPRanges = []*net.IPNet{{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)}, {IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)}}
	}
	der, err := x509.CreateCertificate(rand.Reader, root, root, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}

// RootPEM is the certificate that browsers are asked to trust.
func (p *Pages) RootPEM() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rootPEM
}

// GetCertificate is for tls.Config. It signs a new certificate when two thirds of the last one's time are over.
func (p *Pages) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now().Round(0)
	if p.current != nil && now.Before(p.renew) && !now.Before(p.current.Leaf.NotBefore) {
		return p.current, nil
	}
	leaf := &x509.Certificate{
		SerialNumber: serial(), NotBefore: now.Add(-skew), NotAfter: earliest(now.Add(leafLife), p.root.NotAfter),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}
	for _, name := range p.names {
		if ip := net.ParseIP(name); ip != nil {
			leaf.IPAddresses = append(leaf.IPAddresses, ip)
			continue
		}
		leaf.DNSNames = append(leaf.DNSNames, name)
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, p.root, p.key.Public(), p.signer)
	if err != nil {
		return nil, fmt.Errorf("sign the pages' certificate: %w", err)
	}
	if leaf, err = x509.ParseCertificate(der); err != nil {
		return nil, err
	}
	p.current = &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: p.key, Leaf: leaf}
	p.renew = now.Add(leaf.NotAfter.Sub(now) * 2 / 3).Round(0) // by the clock of the wall, which goes on in sleep
	return p.current, nil
}
