package localca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const maxFile = 64 << 10 // bytes of a file that is read

// openKey reads the key, or makes one if neither it nor a certificate is there.
func openKey(file, certificate string) (*ecdsa.PrivateKey, error) {
	// Asked in this order: another process makes the key first, so a certificate that was there before means a lost key.
	_, noCertificate := os.Lstat(certificate)
	text, err := readPrivate(file)
	if errors.Is(err, fs.ErrNotExist) {
		if noCertificate == nil {
			return nil, userError(nil, "The local authority's certificate %s is there, but its key %s is not. Put the key back, or remove the certificate; a new authority then has to be trusted again.", certificate, file)
		}
		text, err = newKey()
		if err == nil {
			err = publish(file, text, 0o600)
		}
		if err != nil {
			return nil, fmt.Errorf("make the authority's key: %w", err)
		}
		text, err = readPrivate(file)
	}
	if err != nil {
		return nil, fmt.Errorf("read the authority's key: %w", err)
	}
	key, err := parseKey(text)
	if err != nil {
		return nil, userError(err, "%s holds no key of ours (%v). Put the key back, or remove it and %s; a new authority then has to be trusted again.", file, err, certificate)
	}
	return key, nil
}

// parseKey reads the first block of a PEM text.
func parseKey(text []byte) (*ecdsa.PrivateKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errNotPEM
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	ec, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("the key is a %T", key)
	}
	return ec, nil
}

func newKey() ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// openRoot reads the certificate, or makes it for key: after a kill the key may be there alone.
func openRoot(file string, key *ecdsa.PrivateKey, zone string) ([]byte, error) {
	text, err := read(file)
	if errors.Is(err, fs.ErrNotExist) {
		text, err = newRoot(key, zone)
		if err == nil {
			err = publish(file, text, 0o644)
		}
		if err != nil {
			return nil, fmt.Errorf("make the authority's certificate: %w", err)
		}
		text, err = read(file)
	}
	if err != nil {
		return nil, fmt.Errorf("read the authority's certificate: %w", err)
	}
	return text, nil
}

func newRoot(key *ecdsa.PrivateKey, zone string) ([]byte, error) {
	now := time.Now()
	everywhere4 := &net.IPNet{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)}
	everywhere6 := &net.IPNet{IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)}
	root := &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               pkix.Name{CommonName: commonName(now), Organization: []string{"greenroom"}},
		NotBefore:             now.Add(-skew),
		NotAfter:              now.Add(rootLife),
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true, // it signs desktops, not other authorities
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},

		// A permitted name leaves every other kind of name free: those are closed one by one.
		PermittedDNSDomainsCritical: true,
		PermittedDNSDomains:         []string{zone},
		PermittedEmailAddresses:     []string{zone},
		PermittedURIDomains:         []string{zone},
		ExcludedIPRanges:            []*net.IPNet{everywhere4, everywhere6},
	}
	der, err := x509.CreateCertificate(rand.Reader, root, root, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}

// commonName tells whoever finds the authority in a list of hundreds what it is and which one: 64 characters
// are the most that a common name may have.
func commonName(now time.Time) string {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	host = strings.Map(func(r rune) rune {
		if r == '-' || r == '.' || '0' <= r && r <= '9' || 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z' {
			return r
		}
		return -1
	}, host)
	var id [3]byte
	_, _ = rand.Read(id[:])
	return fmt.Sprintf("greenroom local authority %.18s %s %s", host, now.UTC().Format(time.DateOnly), hex.EncodeToString(id[:]))
}

// readPrivate is read for a file that only its owner may be able to read.
func readPrivate(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, userError(nil, "The local authority's key can be read by others (mode %04o). If nobody did, run: chmod 600 %s", mode, file)
	}
	return read(file)
}

func read(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile))
}

// publish makes file with all of text or not at all, and leaves one alone that is there already. A rename
// would be as whole, but of two processes the second would take the first one's file away.
func publish(file string, text []byte, mode fs.FileMode) error {
	dir := filepath.Dir(file)
	f, err := os.CreateTemp(dir, filepath.Base(file)+".*.new")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text)
	if err := errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), file); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
