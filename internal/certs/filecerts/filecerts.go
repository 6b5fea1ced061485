// Package filecerts shows a certificate that the operator keeps in two files and renews there, for greenroom's
// own edge. It signs nothing: a key that is good for every name never goes onto a desktop.
package filecerts

import (
	"bytes"
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"greenroom"
	"greenroom/internal/certs"
	"greenroom/internal/logkey"
)

// Options of an Edge.
type Options struct {
	ChainFile string // PEM, leaf first
	KeyFile   string // PEM
	Hostname  string // a name or address that the certificate must be good for
	Section   string // of the configuration that names the files; certificates
	Roots     *x509.CertPool
	Logger    *slog.Logger
}

// lookEvery is how often the files are looked at, and only while somebody connects.
const lookEvery = time.Second

const maxFile = 256 << 10 // bytes of a file

// Edge shows what the files hold. A pair that cannot be used, as while only one file has been replaced, leaves
// the one before in use.
type Edge struct {
	o       Options
	current atomic.Pointer[tls.Certificate]

	mu     sync.Mutex // of whoever looks
	looked time.Time
	seen   [2][]byte // the files' text that is in use
	fault  string    // that was told last
}

var _ certs.Edge = (*Edge)(nil)

// Open reads the files. What is wrong with them is a greenroom.UserError that says what to do.
func Open(o Options) (*Edge, error) {
	o.Section = cmp.Or(o.Section, "certificates")
	e := &Edge{o: o, looked: time.Now()}
	if err := e.read(); err != nil {
		return nil, err
	}
	return e, nil
}

// Roots are those of the options; nil means the system's.
func (e *Edge) Roots() *x509.CertPool { return e.o.Roots }

// GetCertificate is for tls.Config. It looks for new files once a second at most.
func (e *Edge) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if e.mu.TryLock() { // one looks, the others go on with what there is
		if time.Since(e.looked) >= lookEvery {
			e.looked = time.Now()
			_ = e.refresh() // it is in the log
		}
		e.mu.Unlock()
	}
	return e.current.Load(), nil
}

// Reload looks for new files now. Its error says why they cannot be used; the certificate before stays then.
func (e *Edge) Reload() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.looked = time.Now()
	return e.refresh()
}

// refresh logs every fault once, and every change.
func (e *Edge) refresh() error {
	before, fault := e.current.Load(), ""
	err := e.read()
	if err != nil {
		fault = err.Error()
	}
	switch now := e.current.Load(); {
	case err != nil && fault != e.fault:
		e.o.Logger.Error("certificate files are not used; the certificate before stays", logkey.Err, err)
	case now != before:
		e.o.Logger.Info("certificate read again", logkey.File, e.o.ChainFile, logkey.Until, now.Leaf.NotAfter)
	}
	e.fault = fault
	return err
}

// read makes the files' certificate the current one, if it can be used.
func (e *Edge) read() error {
	chain, err := readFile(e.o.Section+".chain_file", e.o.ChainFile)
	if err != nil {
		return err
	}
	key, err := readFile(e.o.Section+".key_file", e.o.KeyFile)
	if err != nil {
		return err
	}
	if bytes.Equal(chain, e.seen[0]) && bytes.Equal(key, e.seen[1]) {
		return nil
	}
	cert, err := e.judge(chain, key)
	if err != nil {
		return err
	}
	e.seen = [2][]byte{chain, key}
	e.current.Store(cert)
	return nil
}

func (e *Edge) judge(chain, key []byte) (*tls.Certificate, error) {
	cert, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return nil, userError(err, "%s and %s are not a certificate chain and its key, both PEM: %v.", e.o.ChainFile, e.o.KeyFile, err)
	}
	if err := cert.Leaf.VerifyHostname(e.o.Hostname); err != nil {
		if e.o.Section == "tls" {
			return nil, userError(err, "The certificate in %s is good for %v, and public_url needs one for %s.", e.o.ChainFile, cert.Leaf.DNSNames, e.o.Hostname)
		}
		return nil, userError(err, "The certificate in %s is good for %v, and desktops are named like %s: get one for the wildcard.", e.o.ChainFile, cert.Leaf.DNSNames, e.o.Hostname)
	}
	if time.Now().Before(cert.Leaf.NotBefore) {
		return nil, userError(nil, "The certificate in %s is valid only from %s: see that the clock is right.", e.o.ChainFile, cert.Leaf.NotBefore.UTC().Format(time.RFC3339))
	}
	if !cert.Leaf.NotAfter.After(time.Now()) {
		return nil, userError(nil, "The certificate in %s expired on %s: renew it and put the new chain and key into the same files.", e.o.ChainFile, cert.Leaf.NotAfter.Format(time.DateOnly))
	}
	return &cert, nil
}

func readFile(key, path string) ([]byte, error) {
	f, err := os.Open(path)
	if err == nil {
		defer f.Close()
		var text []byte
		if text, err = io.ReadAll(io.LimitReader(f, maxFile+1)); err == nil && len(text) > maxFile {
			err = errors.New("it is larger than 256 KiB")
		}
		if err == nil {
			return text, nil
		}
	}
	why := err
	if pe, ok := errors.AsType[*os.PathError](err); ok {
		why = pe.Err
	}
	return nil, userError(err, "The file %s (%s) cannot be read: %v.", path, key, why)
}

func userError(cause error, format string, args ...any) error {
	return &greenroom.UserError{Message: fmt.Sprintf(format, args...), Cause: cause}
}
