// Package certs is the contract of the authorities that sign desktops' certificate requests, and of the
// certificates that greenroom's own gateway shows. Its implementations are localca, filecerts, acmecerts and cloudflareorigin; all
// pass certstest. Packages below internal/app choose one.
package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"time"
)

// Issuer signs certificate requests. A private key never reaches it. All methods may be called at once.
type Issuer interface {
	// Issue signs the PEM request for hostname alone and returns the PEM chain, leaf first, without the
	// root. A request that asks for other names is refused, or those names are ignored; its signature is checked.
	// A request that is malformed, or whose key is too weak, is an error that wraps greenroom.ErrForbidden.
	// After until, when the desktop ends, it is greenroom.ErrEnded.
	//
	// An authority that takes longer than the asker should wait returns ErrPending: the same request asked
	// again gets the result, and costs nothing more. One that needs the name in the request returns ErrUnnamed
	// for a request without. One that must not be asked now returns greenroom.ErrThrottled.
	Issue(ctx context.Context, request []byte, hostname string, until time.Time) ([]byte, error)

	// Roots are the authorities to trust for what Issue returns; nil means the system's.
	Roots() *x509.CertPool
}

// Edge is a certificate, with its key, that greenroom's own edge shows to browsers. It renews itself, or is
// renewed by others, while connections stay open.
type Edge interface {
	// GetCertificate is for tls.Config.
	GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error)

	// Roots are the authorities to trust for the certificate; nil means the system's.
	Roots() *x509.CertPool
}

// What an Issuer answers instead of a chain; see Issuer.
var (
	ErrPending = errors.New("the certificate is still being made")
	ErrUnnamed = errors.New("the certificate request names nothing")
)
