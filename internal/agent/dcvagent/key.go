package dcvagent

import (
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"greenroom/internal/agent/link"
	"greenroom/internal/backoff"
	"greenroom/internal/logkey"
)

// loadKey is the machine's key, made once for an enrolment secret and kept over restarts: the same key may enrol again,
// and no other. An image made of a machine that ran brings a key of another secret, which is left alone.
func loadKey(dir, secret string) (*ecdsa.PrivateKey, []byte, error) {
	sum := sha256.Sum256([]byte(secret))
	path := filepath.Join(dir, "key-"+hex.EncodeToString(sum[:8])+".pem")
	text, err := os.ReadFile(path)
	if err == nil {
		if key, err := parseKey(text); err == nil {
			return key, text, nil
		} // a file that was cut short has enrolled nobody
	} else if !errors.Is(err, os.ErrNotExist) {
		return nil, nil, fmt.Errorf("read the key: %w", err)
	}
	key, err := link.NewKey()
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("write the key: %w", err)
	}
	text = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if err := replace(path, text, 0o600); err != nil {
		return nil, nil, fmt.Errorf("write the key: %w", err)
	}
	return key, text, nil
}

func parseKey(text []byte) (*ecdsa.PrivateKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("no PEM block")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	ec, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, errors.New("not an ECDSA key")
	}
	return ec, nil
}

// replace writes a file so that readers see the old or the new one whole, whatever happens.
func replace(path string, text []byte, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // it has its name by then, or is of no use
	_, err = f.Write(text)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := give(f.Name()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// install puts key and certificate where DCV reads them: the key first, since a certificate without its key serves nobody. DCV
// takes up a new pair while it runs, and connections go on with the old one.
func (a *agent) install(chain string) error {
	dir := a.Paths.Config
	if err := replace(filepath.Join(dir, "dcv.key"), a.pem, 0o600); err != nil {
		return fmt.Errorf("install dcv.key: %w", err)
	}
	if err := replace(filepath.Join(dir, "dcv.pem"), []byte(chain), 0o600); err != nil {
		return fmt.Errorf("install dcv.pem: %w", err)
	}
	a.chain.Update(func(c *string) { *c = chain })
	return nil
}

// reloadTime is how long DCV may take to serve a new certificate before it is restarted: servers older than 2022.0 read
// it at their start alone.
const reloadTime = 10 * time.Second

// awaitCertificate waits until DCV serves our certificate.
func (a *agent) awaitCertificate(ctx context.Context) error {
	began, restarted := time.Now(), false
	for pause := backoff.Every(50*time.Millisecond, time.Second); ; {
		chain, changed := a.chain.Get()
		if chain == "" {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-changed:
				began = time.Now()
			case <-time.After(missing): // a moment is nothing to speak of: some authorities need it
				a.trouble("The desktop waits for its certificate.")
			}
			continue
		}
		err := a.serves(ctx, chain)
		if err == nil {
			return nil
		}
		if !restarted && time.Since(began) > reloadTime {
			a.Logger.Warn("DCV does not serve the new certificate and is restarted", logkey.Err, err)
			restarted = true
			if err := a.restartUnused(ctx); err != nil {
				return err
			}
		}
		if restarted {
			a.trouble("DCV does not serve the certificate it was given: " + err.Error() + ".")
		}
		if !pause.Wait(ctx) {
			return ctx.Err()
		}
	}
}

// serves looks whether DCV serves chain.
func (a *agent) serves(ctx context.Context, chain string) error {
	ctx, cancel := context.WithTimeout(ctx, link.CallTime)
	defer cancel()
	// What is served is compared with what was installed, byte for byte.
	dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}} //nolint:gosec // see above
	conn, err := dialer.DialContext(ctx, "tcp", a.Paths.Address)
	if err != nil {
		return err
	}
	defer conn.Close()
	block, _ := pem.Decode([]byte(chain))
	if served := conn.(*tls.Conn).ConnectionState().PeerCertificates; block == nil || string(served[0].Raw) != string(block.Bytes) {
		return errors.New("another certificate is served")
	}
	return nil
}
