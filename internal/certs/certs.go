// Package certs is the contract of the authorities that sign desktops' certificate requests.
// Implementations live beside it; nothing outside package app imports one.
package certs

import (
	"context"
	"time"
)

// Issuer signs certificate requests. A private key never reaches it.
type Issuer interface {
	// Issue signs the PEM request for hostname alone and returns the PEM chain, leaf first, without the
	// root. Whatever names the request asks for are ignored; its signature is checked.
	// A request that is malformed, or whose key is too weak, is an error that wraps greenroom.ErrForbidden.
	Issue(ctx context.Context, request []byte, hostname string, until time.Time) ([]byte, error)
}
