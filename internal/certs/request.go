package certs

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"

	"greenroom"
)

const (
	maxRequest = 16 << 10 // bytes of PEM
	minModulus = 2048     // bits of an RSA key
	maxModulus = 8192     // larger ones only cost time
)

// ParseRequest returns a PEM request whose signature proves that the asker holds the private key. One that is
// malformed, or whose key is too weak, is an error that wraps greenroom.ErrForbidden.
func ParseRequest(request []byte) (*x509.CertificateRequest, error) {
	if len(request) > maxRequest {
		return nil, fmt.Errorf("certificate request of %d bytes: %w", len(request), greenroom.ErrForbidden)
	}
	block, rest := pem.Decode(request)
	if block == nil || block.Type != "CERTIFICATE REQUEST" || len(bytes.TrimSpace(rest)) > 0 {
		return nil, fmt.Errorf("certificate request is not one block of PEM: %w", greenroom.ErrForbidden)
	}
	r, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read certificate request: %w: %w", err, greenroom.ErrForbidden)
	}
	if !strong(r.PublicKey) { // before the signature, since odd keys make checking it slow
		return nil, fmt.Errorf("certificate request's key is not ECDSA P-256 or P-384, Ed25519, or RSA of %d to %d bits: %w", minModulus, maxModulus, greenroom.ErrForbidden)
	}
	if err := r.CheckSignature(); err != nil {
		return nil, fmt.Errorf("check certificate request: %w: %w", err, greenroom.ErrForbidden)
	}
	return r, nil
}

// RequestFor is ParseRequest for a host name below zone. Any other name is an error that wraps greenroom.ErrForbidden, too.
func RequestFor(request []byte, hostname, zone string) (*x509.CertificateRequest, error) {
	r, err := ParseRequest(request)
	if err == nil && !Below(hostname, zone) {
		err = fmt.Errorf("sign for %q: not a host name below %s: %w", hostname, zone, greenroom.ErrForbidden)
	}
	return r, err
}

// OnlyNames says whether a request names hostname and nothing else, as authorities want it that sign the names
// of the request. One without any name is ErrUnnamed, one with others an error that wraps greenroom.ErrForbidden.
func OnlyNames(r *x509.CertificateRequest, hostname string) error {
	others := len(r.IPAddresses) + len(r.EmailAddresses) + len(r.URIs)
	common := r.Subject.CommonName
	switch {
	case len(r.DNSNames) == 0 && others == 0 && common == "":
		return ErrUnnamed
	case len(r.DNSNames) != 1 || r.DNSNames[0] != hostname || others > 0 || common != "" && common != hostname:
		return fmt.Errorf("certificate request names other than %s: %w", hostname, greenroom.ErrForbidden)
	}
	return nil
}

// Below reports whether name is a host name in lower case below zone. A wildcard is not.
func Below(name, zone string) bool {
	return strings.HasSuffix(name, "."+zone) && greenroom.ValidHostname(name)
}

func strong(public any) bool {
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		return k.Curve == elliptic.P256() || k.Curve == elliptic.P384()
	case ed25519.PublicKey:
		return true
	case *rsa.PublicKey:
		return k.N.BitLen() >= minModulus && k.N.BitLen() <= maxModulus
	default:
		return false
	}
}
