package link

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

	"greenroom/internal/agent/agentapi"
	"greenroom/internal/backoff"
	"greenroom/internal/logkey"
)

// Identity is the desktop's own key, which never leaves the machine, and its certificate.
type Identity struct {
	Enrolment agentapi.Enrolment // what Run says; complete it before
	// Install puts a new certificate where it is served, if that is not here. An error is tried again. It may be nil.
	Install func(chain string) error

	control  *Control
	key      *ecdsa.PrivateKey
	current  atomic.Pointer[tls.Certificate]
	enrolled chan struct{} // closed once the control plane knows us
	logger   *slog.Logger
}

// NewKey makes a key for a desktop.
func NewKey() (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	return key, nil
}

// NewIdentity is that of the desktop on the machine instance, with a key of its own.
func NewIdentity(c *Control, key *ecdsa.PrivateKey, instance, version string, logger *slog.Logger) (*Identity, error) {
	i := &Identity{control: c, key: key, enrolled: make(chan struct{}), logger: logger}
	request, err := i.request() // without a name: which one is ours is what the enrolment tells
	i.Enrolment = agentapi.Enrolment{InstanceID: instance, CertificateRequest: request, Version: version}
	return i, err
}

// Enrolled is closed once the control plane knows the desktop.
func (i *Identity) Enrolled() <-chan struct{} { return i.enrolled }

// request is a certificate request of our key for names.
func (i *Identity) request(names ...string) (string, error) {
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: names}, i.key)
	if err != nil {
		return "", fmt.Errorf("make a certificate request: %w", err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})), nil
}

// Run enrols, fetches the certificate, and renews it when two thirds of its life are over.
func (i *Identity) Run(ctx context.Context) error {
	e, ok := i.enrol(ctx)
	if !ok {
		return nil
	}
	close(i.enrolled)
	chain := e.Certificate
	for {
		cert, ok := i.obtain(ctx, chain, e.Hostname)
		if !ok {
			return nil
		}
		i.current.Store(cert)
		life := cert.Leaf.NotAfter.Sub(cert.Leaf.NotBefore)
		renewAt := cert.Leaf.NotBefore.Add(life * 2 / 3)
		i.logger.Info("certificate received", logkey.Name, e.Hostname, logkey.Until, cert.Leaf.NotAfter)
		chain = ""
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(max(time.Until(renewAt), time.Second)):
		}
	}
}

// enrol tries until the control plane accepts or ctx ends. A refusal is tried again too: the provider's
// answer may not be saved yet, or the control plane may be coming back from a backup.
func (i *Identity) enrol(ctx context.Context) (agentapi.Enrolled, bool) {
	last := ""
	for pause := backoff.Every(50*time.Millisecond, 2*time.Second); ; {
		e, err := i.control.enrol(ctx, i.Enrolment)
		if err == nil {
			i.logger.Info("enrolled", logkey.Name, e.Hostname)
			return e, true
		}
		if last != err.Error() && ctx.Err() == nil {
			last = err.Error()
			i.logger.Warn("enrolment failed; trying again", logkey.Err, err)
		}
		if !pause.Wait(ctx) {
			return agentapi.Enrolled{}, false
		}
	}
}

// obtain makes a certificate of chain, and asks for one as long as there is none.
func (i *Identity) obtain(ctx context.Context, chain, hostname string) (*tls.Certificate, bool) {
	last := ""
	for pause := backoff.Every(100*time.Millisecond, 30*time.Second); ; {
		var err error
		if chain == "" {
			chain, err = i.fetch(ctx, hostname)
		}
		if err == nil && chain != "" {
			cert, bad := i.pair(chain, hostname)
			if bad == nil && i.Install != nil {
				bad = i.Install(chain)
			}
			if bad == nil {
				return cert, true
			}
			chain, err = "", bad
		}
		if err != nil && last != err.Error() && ctx.Err() == nil {
			last = err.Error()
			i.logger.Warn("no certificate; trying again", logkey.Err, err)
		}
		if !pause.Wait(ctx) {
			return nil, false
		}
	}
}

// fetch asks for a certificate. The answer is empty while it is being made.
func (i *Identity) fetch(ctx context.Context, hostname string) (string, error) {
	request, err := i.request(hostname)
	if err != nil {
		return "", err
	}
	return i.control.certificate(ctx, request)
}

// pair joins the PEM chain with our key. A chain for another key or name is an error.
func (i *Identity) pair(chain, hostname string) (*tls.Certificate, error) {
	cert := &tls.Certificate{PrivateKey: i.key}
	for block, rest := pem.Decode([]byte(chain)); block != nil; block, rest = pem.Decode(rest) {
		cert.Certificate = append(cert.Certificate, block.Bytes)
	}
	if len(cert.Certificate) == 0 {
		return nil, errors.New("read certificate: no PEM block")
	}
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	if !i.key.PublicKey.Equal(leaf.PublicKey) {
		return nil, errors.New("read certificate: it is of another key")
	}
	cert.Leaf = leaf
	return cert, leaf.VerifyHostname(hostname)
}

// Serve is tls.Config's GetCertificate.
func (i *Identity) Serve(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if cert := i.current.Load(); cert != nil {
		return cert, nil
	}
	return nil, errors.New("no certificate yet")
}
