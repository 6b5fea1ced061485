package gateway

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"greenroom/internal/logkey"
)

// Keeper has the gateway's key, which never leaves the process, and keeps a certificate for it. A renewed one is used from the next
// handshake on; connections that are open know nothing of it.
type Keeper struct {
	// Issue signs the PEM request for the whole zone and returns the PEM chain, leaf first.
	Issue  func(ctx context.Context, request []byte, until time.Time) ([]byte, error)
	Life   time.Duration // wanted; the issuer may give less
	Logger *slog.Logger

	request []byte
	key     *ecdsa.PrivateKey
	taken   time.Time // when the current certificate came
	current atomic.Pointer[tls.Certificate]
}

// Open makes the key and the first certificate.
func (k *Keeper) Open(ctx context.Context) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make the gateway's key: %w", err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return fmt.Errorf("make the gateway's certificate request: %w", err)
	}
	k.key, k.request = key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
	return k.renew(ctx)
}

// Run renews when two thirds of the time that a certificate had left are over, and again after a while if that fails,
// until ctx ends.
func (k *Keeper) Run(ctx context.Context) error {
	const again, look = time.Minute, time.Hour // a timer does not advance while a machine sleeps
	wait := k.untilRenewal()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(min(wait, look)):
		}
		if wait = k.untilRenewal(); wait > 0 {
			continue
		}
		if err := k.renew(ctx); err != nil && ctx.Err() == nil {
			leaf := k.current.Load().Leaf
			k.Logger.ErrorContext(ctx, "the gateway's certificate could not be renewed", logkey.Until, leaf.NotAfter, logkey.Err, err)
			wait = again
			continue
		}
		wait = max(k.untilRenewal(), time.Second)
	}
}

func (k *Keeper) untilRenewal() time.Duration {
	return time.Until(k.taken.Add(k.current.Load().Leaf.NotAfter.Sub(k.taken) * 2 / 3))
}

// Certificate is tls.Config's GetCertificate.
func (k *Keeper) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return k.current.Load(), nil
}

func (k *Keeper) renew(ctx context.Context) error {
	chain, err := k.Issue(ctx, k.request, time.Now().Add(k.Life))
	if err != nil {
		return fmt.Errorf("issue the gateway's certificate: %w", err)
	}
	cert := &tls.Certificate{PrivateKey: k.key}
	for block, rest := pem.Decode(chain); block != nil; block, rest = pem.Decode(rest) {
		cert.Certificate = append(cert.Certificate, block.Bytes)
	}
	if len(cert.Certificate) == 0 {
		return errors.New("read the gateway's certificate: no PEM block")
	}
	if cert.Leaf, err = x509.ParseCertificate(cert.Certificate[0]); err != nil {
		return fmt.Errorf("read the gateway's certificate: %w", err)
	}
	if !k.key.PublicKey.Equal(cert.Leaf.PublicKey) {
		return errors.New("read the gateway's certificate: it is of another key")
	}
	k.current.Store(cert)
	k.taken = time.Now().Round(0) // by the clock of the wall, which goes on in sleep
	return nil
}
