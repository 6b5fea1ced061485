// Package awsidentity checks EC2's signed instance identity documents: that AWS, and nobody else, says which machine one is.
// The certificates to check with are AWS's own, which it publishes for every region (Published, "RSA-2048").
package awsidentity

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/smallstep/pkcs7"
)

// Document is what AWS says of a machine.
type Document struct {
	InstanceID  string    `json:"instanceId"`
	AccountID   string    `json:"accountId"`
	Region      string    `json:"region"`
	PendingTime time.Time `json:"pendingTime"` // when it was launched, or started again
}

// maxBytes bounds document and signature.
const maxBytes = 16 << 10

// Published is where AWS publishes its certificates, by region.
const Published = "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/regions-certs.html"

// Verifier knows AWS's certificates.
type Verifier struct{ signers []*x509.Certificate }

// New takes the certificates of any number of regions from PEM text, as it is copied from AWS's page: words between them,
// blanks before lines and repetitions do no harm. A certificate that is not whole is an error, and not left out.
func New(text []byte) (*Verifier, error) {
	var lines [][]byte
	for line := range bytes.Lines(text) {
		lines = append(lines, bytes.TrimSpace(line))
	}
	text = bytes.Join(lines, []byte("\n"))
	v := &Verifier{}
	blocks := 0
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		blocks++
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("certificates of identity documents: a PEM block %q among them", block.Type)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificates of identity documents: certificate %d: %w", blocks, err)
		}
		if !slices.ContainsFunc(v.signers, cert.Equal) {
			v.signers = append(v.signers, cert)
		}
	}
	switch began := bytes.Count(text, []byte("-----BEGIN ")); {
	case blocks == 0:
		return nil, errors.New("certificates of identity documents: no PEM block CERTIFICATE")
	case began != blocks:
		return nil, fmt.Errorf("certificates of identity documents: %d of %d PEM blocks are whole", blocks, began)
	}
	return v, nil
}

// Certificates are those that are checked with.
func (v *Verifier) Certificates() []*x509.Certificate { return v.signers }

// Verify reads a document whose signature is one of the certificates' own. signature is base64 of PKCS #7, as the metadata
// gives it at /latest/dynamic/instance-identity/rsa2048. What it signs must be the document, byte for byte.
func (v *Verifier) Verify(document, signature string) (Document, error) {
	if len(document) > maxBytes || len(signature) > maxBytes {
		return Document{}, fmt.Errorf("identity document: longer than %d bytes", maxBytes)
	}
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(signature), ""))
	if err != nil {
		return Document{}, fmt.Errorf("identity document: its signature is not base64: %w", err)
	}
	signed, err := pkcs7.Parse(der)
	if err != nil {
		return Document{}, fmt.Errorf("identity document: its signature is not PKCS #7: %w", err)
	}
	if len(signed.Signers) != 1 {
		return Document{}, fmt.Errorf("identity document: %d signatures where one belongs", len(signed.Signers))
	}
	if len(signed.Content) > 0 && string(signed.Content) != document {
		return Document{}, errors.New("identity document: another one is signed")
	}
	signed.Content = []byte(document)
	signed.Certificates = v.signers // whatever the message brings along is trusted by nobody
	if err := signed.Verify(); err != nil {
		return Document{}, fmt.Errorf("identity document: %w", err)
	}
	var d Document
	if err := json.Unmarshal([]byte(document), &d); err != nil {
		return Document{}, fmt.Errorf("identity document: %w", err)
	}
	if d.InstanceID == "" {
		return Document{}, errors.New("identity document: it names no instance")
	}
	return d, nil
}
