package probe

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"strings"
	"testing"
	"time"
)

// TestTheCertificateWhoseTimeItIsIsNamed: Go reports an authority that is over as an expired certificate, too.
func TestTheCertificateWhoseTimeItIsIsNamed(t *testing.T) {
	t.Parallel()
	from := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	root := &x509.Certificate{IsCA: true, Subject: pkix.Name{CommonName: "greenroom local authority x"}, NotBefore: from, NotAfter: from.Add(time.Hour)}
	leaf := &x509.Certificate{NotBefore: from, NotAfter: from.Add(time.Hour)}
	var a attempt
	for cert, want := range map[*x509.Certificate]string{
		root: "the certificate of the authority greenroom local authority x is valid from 2026-01-02T03:04:05Z until 2026-01-02T04:04:05Z only; this machine's clock shows ",
		leaf: "the certificate is valid from 2026-01-02T03:04:05Z until",
	} {
		if got := a.handshakeDetail(x509.CertificateInvalidError{Cert: cert, Reason: x509.Expired}); !strings.HasPrefix(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
