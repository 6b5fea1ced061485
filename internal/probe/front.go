package probe

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Front is the one address below which desktops are, as /d/<instance id>/.
type Front struct {
	URL  string // of the pages as people reach them, without a final slash
	Addr net.Addr
	// TLS is what a browser's connection to Addr begins with; nil where a proxy in front ends TLS, or nobody does.
	TLS *FrontTLS
}

// FrontTLS says which certificate is right.
type FrontTLS struct {
	Roots func() *x509.CertPool // who may have signed it, asked each time; nil, or a nil pool: the system's
	Own   bool                  // it is the operator's: whoever signed it, it must be for the name and in its time
}

// frontSteps look through the front door. That it is shut is no fault of the desktop.
func (a *attempt) frontSteps() []step {
	if a.o.Front.TLS == nil {
		return []step{{"page", a.frontPage}}
	}
	return []step{{"tls", a.frontTLS}, {"page", a.frontPage}}
}

// FrontAddr is where a connection from this machine to a listener on addr goes.
func FrontAddr(addr net.Addr) string {
	a, err := netip.ParseAddrPort(addr.String())
	switch {
	case err != nil || !a.Addr().IsUnspecified():
		return addr.String()
	case a.Addr().Is4():
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), a.Port()).String()
	}
	return netip.AddrPortFrom(netip.IPv6Loopback(), a.Port()).String()
}

func (a *attempt) frontTLS(ctx context.Context) (string, bool) {
	f := a.o.Front
	a.lost = true
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", FrontAddr(f.Addr))
	if err != nil {
		return fmt.Sprintf("no connection to %s: %s", f.Addr, a.plain(err)), false
	}
	u, err := url.Parse(f.URL)
	if err != nil {
		return err.Error(), false
	}
	a.hostname = u.Hostname()
	var roots *x509.CertPool
	if f.TLS.Roots != nil {
		roots = f.TLS.Roots()
	}
	conn := tls.Client(raw, &tls.Config{ServerName: a.hostname, RootCAs: roots, MinVersion: tls.VersionTLS12, InsecureSkipVerify: f.TLS.Own})
	a.front = conn
	if err := conn.HandshakeContext(ctx); err != nil {
		return a.handshakeDetail(err), false
	}
	leaf := conn.ConnectionState().PeerCertificates[0]
	if err := leaf.VerifyHostname(a.hostname); err != nil {
		return a.handshakeDetail(err), false
	}
	if now := time.Now(); now.Before(leaf.NotBefore) || now.Add(minLeft).After(leaf.NotAfter) {
		return fmt.Sprintf("the certificate is valid from %s until %s only", leaf.NotBefore.UTC().Format(time.RFC3339), leaf.NotAfter.UTC().Format(time.RFC3339)), false
	}
	a.lost = false
	return fmt.Sprintf("valid for %s until %s, signed by %s", a.hostname, leaf.NotAfter.UTC().Format(time.RFC3339), leaf.Issuer.CommonName), true
}

// frontPage asks for the page that says whether greenroom's page is there and the desktop's screen answers.
func (a *attempt) frontPage(ctx context.Context) (string, bool) {
	f := a.o.Front
	page := f.URL + "/d/" + a.instance + "/version"
	if a.front == nil {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", FrontAddr(f.Addr))
		if err != nil {
			a.lost = true
			return fmt.Sprintf("no connection to %s: %s", f.Addr, a.plain(err)), false
		}
		a.front = conn
	}
	defer context.AfterFunc(ctx, func() { a.front.Close() })()
	status, said, err := ask(ctx, a.front, page)
	switch {
	case err != nil || ctx.Err() != nil:
		a.lost = true // greenroom itself did not answer
		return fmt.Sprintf("%s did not answer in time", page), false
	case status == http.StatusOK:
		return fmt.Sprintf("%s answers %d", page, status), true
	case status != http.StatusBadGateway && status != http.StatusNotFound:
		a.lost = true // the fault is not the desktop's
	}
	return strings.TrimSpace(fmt.Sprintf("%s answers %d: %s", page, status, said)), false
}

// ask makes one request on conn and returns the status and the first line of the answer.
func ask(ctx context.Context, conn net.Conn, page string) (status int, line string, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, page, nil)
	if err != nil {
		return 0, "", err
	}
	r.Close = true
	r.Header.Set("User-Agent", "greenroom-probe")
	if err := r.Write(conn); err != nil {
		return 0, "", err
	}
	answer, err := http.ReadResponse(bufio.NewReader(io.LimitReader(conn, maxPage)), r)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	const longest = 200
	body, err := io.ReadAll(io.LimitReader(answer.Body, longest))
	if err == nil { // the answer must come whole
		_, err = io.Copy(io.Discard, answer.Body)
	}
	line, _, _ = strings.Cut(string(body), "\n")
	return answer.StatusCode, line, err
}
