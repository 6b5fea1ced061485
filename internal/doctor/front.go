package doctor

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/coder/websocket"
)

// Front is the one address under which people reach pages, API and desktops. It is looked at as a browser would, from this machine.
type Front struct {
	URL   string                         // without a final slash; empty: nothing is looked at
	Roots func() (*x509.CertPool, error) // whom browsers trust for it; nil: the system's authorities
}

const (
	frontTime = 10 * time.Second       // for each look at the front
	apart     = 500 * time.Millisecond // that two events at least are apart which were sent a second apart
)

// check looks at the front door: name, certificate, pages, WebSockets and streams, as whatever is in front lets them through.
func (f Front) check(ctx context.Context) []Finding {
	if f.URL == "" {
		return nil
	}
	u, err := url.Parse(f.URL)
	if err != nil {
		return []Finding{{Check: "public address", Detail: err.Error(), Fix: "set public_url"}}
	}
	out := []Finding{f.name(ctx, u.Hostname())}
	client, err := f.client()
	if err != nil {
		return append(out, Finding{Check: "public address", Note: true, Detail: sentence(err), Fix: "start the server once"})
	}
	defer client.CloseIdleConnections()
	page := f.answers(ctx, client)
	out = append(out, page)
	if !page.OK {
		return out
	}
	return append(out, f.socket(ctx, client), f.events(ctx, client))
}

func (f Front) client() (*http.Client, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if f.Roots != nil {
		roots, err := f.Roots()
		if err != nil {
			return nil, err
		}
		conf.RootCAs = roots
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: conf}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, nil
}

func (f Front) name(ctx context.Context, host string) Finding {
	out := Finding{Check: "public name", OK: true, Detail: host + " is an address"}
	if _, err := netip.ParseAddr(host); err == nil {
		return out
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return Finding{Check: out.Check, Detail: host + " has no address: " + err.Error(), Fix: "make an A or AAAA record of " + host + " with this server's address"}
	}
	out.Detail = fmt.Sprintf("%s leads to %s", host, strings.Trim(fmt.Sprint(found), "[]"))
	return out
}

// answers asks for a page that says what this is.
func (f Front) answers(ctx context.Context, client *http.Client) Finding {
	out := Finding{Check: "public address"}
	ctx, cancel := context.WithTimeout(ctx, frontTime)
	defer cancel()
	resp, err := get(ctx, client, f.URL+"/healthz")
	if err != nil {
		out.Detail, out.Fix = f.URL+" does not answer: "+plain(err), "start the server, open its port to others, and let public_url be its address"
		if _, bad := errors.AsType[*tls.CertificateVerificationError](err); bad {
			out.Detail, out.Fix = "browsers do not trust "+f.URL+": "+plain(err), "fix the certificate: see tls in docs/certificates.md, or the proxy in front"
		}
		return out
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64))
	if err != nil || resp.StatusCode != http.StatusOK || strings.TrimSpace(string(body)) != "ok" {
		out.Detail, out.Fix = fmt.Sprintf("%s answers %d, and not as greenroom does", f.URL, resp.StatusCode), "let public_url, or the proxy in front, lead to this server (docs/proxies.md)"
		return out
	}
	out.OK, out.Detail = true, f.URL+" answers"
	if resp.TLS != nil {
		out.Detail += ", with a certificate until " + resp.TLS.PeerCertificates[0].NotAfter.UTC().Format(time.RFC3339)
	}
	return out
}

// socket looks whether WebSockets pass: screens are painted through one.
func (f Front) socket(ctx context.Context, client *http.Client) Finding {
	out := Finding{Check: "WebSockets", Fix: "let the proxy in front pass on Upgrade and Connection: docs/proxies.md has examples"}
	ctx, cancel := context.WithTimeout(ctx, frontTime)
	defer cancel()
	conn, resp, err := websocket.Dial(ctx, f.URL+"/check/socket", &websocket.DialOptions{HTTPClient: client, HTTPHeader: http.Header{"Origin": {f.URL}}}) //nolint:bodyclose // the library closes it
	if err != nil {
		out.Detail = "do not pass: " + plain(err)
		if resp != nil {
			out.Detail = fmt.Sprintf("do not pass: %s/check/socket answers %d", f.URL, resp.StatusCode)
		}
		return out
	}
	defer func() { _ = conn.CloseNow() }()
	if err = conn.Write(ctx, websocket.MessageBinary, []byte("doctor")); err == nil {
		_, _, err = conn.Read(ctx)
	}
	if err != nil {
		out.Detail = "open, and nothing comes back: " + plain(err)
		return out
	}
	return Finding{Check: out.Check, OK: true, Detail: "pass"}
}

// events looks whether what is in front passes each event on at once.
func (f Front) events(ctx context.Context, client *http.Client) Finding {
	out := Finding{Check: "streams of events", Fix: "let the proxy in front collect no answers of the type text/event-stream (nginx obeys X-Accel-Buffering)"}
	ctx, cancel := context.WithTimeout(ctx, frontTime)
	defer cancel()
	resp, err := get(ctx, client, f.URL+"/check/events")
	if err != nil {
		out.Detail = "do not pass: " + plain(err)
		return out
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		out.Detail = fmt.Sprintf("do not pass: %s/check/events answers %d", f.URL, resp.StatusCode)
		return out
	}
	var came []time.Time
	for lines := bufio.NewScanner(io.LimitReader(resp.Body, 4<<10)); len(came) < 2 && lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "data:") {
			came = append(came, time.Now())
		}
	}
	switch {
	case len(came) < 2:
		out.Detail = "are cut off"
	case came[1].Sub(came[0]) < apart:
		out.Note, out.Detail = true, "are held back: pages learn late of what changes"
	default:
		return Finding{Check: out.Check, OK: true, Detail: "pass at once"}
	}
	return out
}

func get(ctx context.Context, client *http.Client, address string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	return client.Do(req)
}

// plain is the innermost that a person can use.
func plain(err error) string {
	if failed, ok := errors.AsType[*url.Error](err); ok {
		err = failed.Err
	}
	return err.Error()
}
