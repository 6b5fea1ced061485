package trust

import (
	"context"
	"crypto/x509"
	"fmt"
	"strings"

	"github.com/smallstep/truststore"
)

// system is the store that curl, Python and most other programs read, and browsers on macOS and Windows.
type system struct{}

func (system) name() string { return "system store" }

func (system) trusts(_ context.Context, root *x509.Certificate) bool {
	pool, err := x509.SystemCertPool()
	if err != nil {
		return false
	}
	_, err = root.Verify(x509.VerifyOptions{Roots: pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	return err == nil
}

func (system) add(_ context.Context, root *x509.Certificate) error { return truststore.Install(root) }

func (system) remove(_ context.Context, root *x509.Certificate) error {
	return truststore.Uninstall(root)
}

func (system) hint(root *x509.Certificate) string {
	if len(truststore.SystemTrustCommand) == 0 {
		return "Add ca.pem to the system's trusted roots by hand."
	}
	// The name that truststore gives the file, so that Untrust finds it.
	name := strings.ReplaceAll(nickname(root), " ", "_")
	return fmt.Sprintf("It takes root. Install sudo, or run as root: cp ca.pem %s && %s",
		fmt.Sprintf(truststore.SystemTrustFilename, name), strings.Join(truststore.SystemTrustCommand, " "))
}
