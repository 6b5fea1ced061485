package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	minLeft = time.Minute // of a certificate's time: less would be over before the participant is in
	maxPage = 64 << 10    // bytes of the answer, head and body
)

// attempt is one probe, and the connection that its steps share.
type attempt struct {
	*Prober
	hostname  string
	addresses []netip.Addr // the one that has to answer first
	proxy     netip.Addr   // where the name leads if that is not the desktop
	lost      bool         // an answer did not come in time
	untried   bool         // this machine has no way to the desktop's only address
	conn      *tls.Conn
	instance  string   // id of the desktop
	front     net.Conn // to the Front
}

func (a *attempt) close() {
	if a.conn != nil {
		a.conn.NetConn().Close() // at once: a TLS farewell might wait
	}
	if a.front != nil {
		a.front.Close()
	}
}

// tls connects as a browser would and checks the certificate as a browser would.
func (a *attempt) tls(ctx context.Context) (string, bool) {
	if a.direct() && !a.o.HasRoute(a.addresses[0]) {
		a.untried = true
		return noRoute(a.addresses[0]), true
	}
	var d net.Dialer
	raw, err := d.DialContext(ctx, "tcp", a.target())
	if err != nil {
		a.lost = a.o.DesktopAddr != "" // what cannot be reached is greenroom's own listener
		return fmt.Sprintf("no connection to %s: %s", a.target(), a.plain(err)), false
	}
	a.conn = tls.Client(raw, &tls.Config{ServerName: a.hostname, RootCAs: a.roots()})
	if err := a.conn.HandshakeContext(ctx); err != nil {
		return a.handshakeDetail(err), false
	}
	leaf := a.conn.ConnectionState().PeerCertificates[0]
	if time.Until(leaf.NotAfter) < minLeft {
		return fmt.Sprintf("the certificate is about to expire, at %s", leaf.NotAfter.UTC().Format(time.RFC3339)), false
	}
	return fmt.Sprintf("valid for %s until %s, signed by %s", a.hostname, leaf.NotAfter.UTC().Format(time.RFC3339), leaf.Issuer.CommonName), true
}

// handshakeDetail says what a browser would have complained of.
func (a *attempt) handshakeDetail(err error) string {
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return fmt.Sprintf("the certificate is not for %s", a.hostname)
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "the certificate is signed by an authority that is not trusted"
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		return outOfTime(invalid.Cert)
	}
	if remote, ok := errors.AsType[*net.OpError](err); ok && remote.Op == "remote error" && strings.Contains(err.Error(), "unrecognized name") {
		return fmt.Sprintf("%s knows no desktop called %s", a.target(), a.hostname)
	}
	return fmt.Sprintf("no TLS with %s: %s", a.target(), a.plain(err))
}

// outOfTime says which certificate of a chain is not valid now: the desktop can do nothing about its authority's.
func outOfTime(cert *x509.Certificate) string {
	what := "the certificate"
	if cert.IsCA {
		what = "the certificate of the authority " + strings.ToValidUTF8(cert.Subject.CommonName, "?")
	}
	return fmt.Sprintf("%s is valid from %s until %s only; this machine's clock shows %s", what,
		cert.NotBefore.UTC().Format(time.RFC3339), cert.NotAfter.UTC().Format(time.RFC3339), time.Now().UTC().Format(time.RFC3339))
}

// page asks the desktop for its version on the connection that was checked.
func (a *attempt) page(ctx context.Context) (string, bool) {
	if a.untried {
		return noRoute(a.addresses[0]), true
	}
	defer context.AfterFunc(ctx, func() { a.conn.NetConn().Close() })()
	url := "https://" + net.JoinHostPort(a.hostname, strconv.Itoa(a.o.Port)) + "/version"
	status, _, err := ask(ctx, a.conn, url)
	switch {
	case ctx.Err() != nil:
		a.lost = true
		return fmt.Sprintf("%s did not answer in time", url), false
	case err != nil:
		return fmt.Sprintf("%s did not answer: %s", url, a.plain(err)), false
	case status != http.StatusOK:
		return strings.TrimSpace(fmt.Sprintf("%s answers %d %s", url, status, http.StatusText(status))), false
	}
	return fmt.Sprintf("%s answers %d", url, status), true
}

// plain says for people what the commonest failures mean, and notes whether an answer did not come in time.
func (a *attempt) plain(err error) string {
	if t, ok := errors.AsType[net.Error](err); ok && t.Timeout() || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
		a.lost = true
		return "it took too long"
	}
	switch {
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		a.lost = true
		return "the network does not reach it"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection was closed"
	}
	return err.Error()
}
