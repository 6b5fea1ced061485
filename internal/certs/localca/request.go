package localca

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"

	"greenroom"
)

const (
	maxRequest = 16 << 10 // bytes of PEM
	minModulus = 2048     // bits of an RSA key
	maxModulus = 8192     // larger ones only cost time
)

// publicKey returns the key of a PEM request whose signature proves that the asker holds the private one.
func publicKey(request []byte) (any, error) {
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
	return r.PublicKey, nil
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
