package components

import (
	"crypto/x509"
	"os"
	"sync"
	"time"

	"greenroom"
	"greenroom/internal/awsidentity"
	"greenroom/internal/config"
	"greenroom/internal/meetings"
)

// Identifier checks the identity documents of machines on EC2, with the certificates that the configuration names. It is nil if
// there are none, which is a fault as soon as there is a blueprint whose machines must show one.
func Identifier(cfg config.Config) (func(document, signature string) (meetings.MachineIdentity, error), error) {
	if cfg.IdentityCerts == "" && !Identified(cfg) {
		return nil, nil //nolint:nilnil // no machine has to show anything
	}
	f := &identityFile{path: cfg.IdentityCerts}
	if _, err := f.read(); err != nil {
		return nil, err
	}
	return func(document, signature string) (meetings.MachineIdentity, error) {
		v, err := f.read()
		if err != nil {
			return meetings.MachineIdentity{}, err
		}
		d, err := v.Verify(document, signature)
		return meetings.MachineIdentity{InstanceID: d.InstanceID, Account: d.AccountID, Region: d.Region, Since: d.PendingTime}, err
	}, nil
}

// Identified reports whether there is a blueprint whose machines show who they are.
func Identified(cfg config.Config) bool {
	for _, b := range cfg.Blueprints {
		if b.Provider == greenroom.ProviderEC2 && b.Reports() {
			return true
		}
	}
	return false
}

// IdentityCertificates reads them for the doctor, who knows where they are to be had.
func IdentityCertificates(cfg config.Config) ([]*x509.Certificate, error) {
	if cfg.IdentityCerts == "" {
		return nil, &greenroom.UserError{Message: "identity_certificates names no file, and desktops on EC2 show who they are by a document that AWS signs"}
	}
	v, err := (&identityFile{path: cfg.IdentityCerts}).read()
	if err != nil {
		return nil, err
	}
	return v.Certificates(), nil
}

// identityFile is the file with AWS's certificates. It is read again when it changes, so that a region can be added while the
// server runs.
type identityFile struct {
	path string

	mu       sync.Mutex
	changed  time.Time
	verifier *awsidentity.Verifier
}

// read returns what the file holds. One that can no longer be read leaves what it held.
func (f *identityFile) read() (*awsidentity.Verifier, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.path == "" {
		return nil, &greenroom.UserError{Message: "Desktops on EC2 show who they are by a document that AWS signs: put AWS's RSA-2048 certificates of your regions " +
			"(" + awsidentity.Published + ") into a file and name it in identity_certificates."}
	}
	info, err := os.Stat(f.path)
	if err == nil && f.verifier != nil && info.ModTime().Equal(f.changed) {
		return f.verifier, nil
	}
	text, err := os.ReadFile(f.path)
	if err != nil {
		return f.last(&greenroom.UserError{Message: "The file of identity_certificates cannot be read: " + f.path + ".", Cause: err})
	}
	verifier, err := awsidentity.New(text)
	if err != nil {
		return f.last(&greenroom.UserError{Message: "The file of identity_certificates, " + f.path + ", does not hold AWS's certificates whole: " + err.Error() +
			". Copy the RSA-2048 ones of your regions from " + awsidentity.Published + ".", Cause: err})
	}
	f.verifier = verifier
	if info != nil {
		f.changed = info.ModTime()
	}
	return verifier, nil
}

func (f *identityFile) last(err error) (*awsidentity.Verifier, error) {
	if f.verifier != nil {
		return f.verifier, nil
	}
	return nil, err
}
