// Package cloudflareorigin gets each desktop a certificate of its own from Cloudflare's origin authority, which
// Cloudflare's edge alone trusts: browsers see the edge's certificate, so it is of use for proxied records only.
package cloudflareorigin

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/publicsuffix"

	"greenroom"
	"greenroom/internal/certs"
	"greenroom/internal/cloudflare"
	"greenroom/internal/logkey"
)

// Options of an Authority.
type Options struct {
	Zone     string                                // certificates are for names below it
	Proxied  bool                                  // Cloudflare is a proxy in front of the desktops' records
	Apex     string                                // the zone at Cloudflare; the registered domain of Zone
	ZoneID   string                                // its id; empty: CheckToken looks for it by name
	Advanced bool                                  // the edge has a certificate for *.Zone although that lies deeper than one level
	Token    func(context.Context) (string, error) // of the API, with the right "Zone, SSL and Certificates, Edit"
	Refused  func()                                // is told when the token is not accepted; may be nil
	Journal  string                                // directory that remembers certificates until they are revoked; empty: they are left to expire
	Roots    *x509.CertPool                        // Cloudflare's origin authorities
	BaseURL  string                                // of the API; empty: Cloudflare's own
	Logger   *slog.Logger
}

const (
	callTimeout = 9 * time.Second // agents wait 10 s
	endMargin   = time.Hour       // after a desktop's end its agent may still ask
	holdUnsaid  = time.Minute
)

// Authority asks Cloudflare.
type Authority struct {
	o   Options
	api *cloudflare.Client

	mu   sync.Mutex
	hold time.Time // nothing is asked before
}

var _ certs.Issuer = (*Authority)(nil)

// Open makes an Authority. Records that are not proxied, or names that the edge has no certificate for, are a
// greenroom.UserError: no browser would ever accept the desktops.
func Open(o Options) (*Authority, error) {
	if !o.Proxied {
		return nil, userError(greenroom.ErrPermanent, "certificates.issuer cloudflare-origin needs proxied records, since only Cloudflare's edge trusts its certificates: set dns.provider to cloudflare and dns.proxied to true, or choose the issuer acme.")
	}
	if o.Apex == "" {
		apex, err := publicsuffix.EffectiveTLDPlusOne(o.Zone)
		if err != nil {
			return nil, userError(err, "certificates.issuer cloudflare-origin needs a zone below a public domain, and zone is %s.", o.Zone)
		}
		o.Apex = apex
	}
	if o.Zone != o.Apex && !o.Advanced {
		return nil, userError(greenroom.ErrPermanent, "Cloudflare's edge has a certificate for %s and one level below it, and desktops are named one level below %s: set zone to %[1]s, or get an advanced certificate for *.%[2]s and set certificates.edge to advanced.", o.Apex, o.Zone)
	}
	return &Authority{o: o, api: cloudflare.New(cloudflare.Options{BaseURL: o.BaseURL, Token: o.Token})}, nil
}

// Roots are those of the options.
func (a *Authority) Roots() *x509.CertPool { return a.o.Roots }

// Issue has a certificate of seven days signed for the names of the request, which must be hostname alone; see
// certs.Issuer.
func (a *Authority) Issue(ctx context.Context, request []byte, hostname string, until time.Time) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	csr, err := certs.RequestFor(request, hostname, a.o.Zone)
	if err != nil {
		return nil, err
	}
	if strings.Count(hostname, ".") != strings.Count(a.o.Zone, ".")+1 {
		return nil, userError(greenroom.ErrForbidden, "Cloudflare's edge has no certificate for %s, which lies deeper than *.%s.", hostname, a.o.Zone)
	}
	if time.Now().After(until.Add(endMargin)) {
		return nil, fmt.Errorf("sign for %s: its time is over: %w", hostname, greenroom.ErrEnded)
	}
	if err := certs.OnlyNames(csr, hostname); err != nil {
		return nil, err
	}
	ask := cloudflare.CertificateRequest{CSR: string(request), Hostnames: []string{hostname}, Type: "origin-ecc", Days: int(life / (24 * time.Hour))}
	if _, ok := csr.PublicKey.(*rsa.PublicKey); ok {
		ask.Type = "origin-rsa"
	}
	var signed cloudflare.Certificate
	err = a.call(ctx, "sign for "+hostname, func(ctx context.Context) error {
		signed, err = a.api.Sign(ctx, ask)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := a.remember(hostname, signed.ID); err != nil {
		a.o.Logger.Warn("certificate will not be revoked, but expire", logkey.Name, hostname, logkey.Err, err)
	}
	return []byte(strings.TrimSpace(signed.Certificate) + "\n"), nil
}

// call makes a call, and says what failed in words.
func (a *Authority) call(ctx context.Context, what string, f func(context.Context) error) error {
	if until := a.held(); until.After(time.Now()) {
		return userError(greenroom.ErrThrottled, "Cloudflare asked to be left alone until %s.", until.UTC().Format(time.TimeOnly))
	}
	if _, err := a.o.Token(ctx); err != nil { // as it is, not as a call that failed
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err := f(ctx)
	refused, ok := errors.AsType[*cloudflare.Error](err)
	switch {
	case err == nil:
		return nil
	case !ok:
		return userError(errors.Join(greenroom.ErrUnavailable, fmt.Errorf("%s: %w", what, err)), "Cloudflare's API cannot be reached; look at this machine's outbound network.")
	case refused.Status == http.StatusUnauthorized || refused.Status == http.StatusForbidden:
		if a.o.Refused != nil {
			a.o.Refused()
		}
		return userError(errors.Join(greenroom.ErrPermanent, fmt.Errorf("%s: %s", what, said(refused))), "Cloudflare does not accept the token of certificates.token: give it the right \"Zone, SSL and Certificates, Edit\" for %s (%s).", a.o.Apex, said(refused))
	case refused.Status == http.StatusTooManyRequests:
		until := a.leaveAlone(refused)
		return userError(greenroom.ErrThrottled, "Cloudflare's API answers no more calls for now; greenroom asks again after %s.", until.UTC().Format(time.TimeOnly))
	case refused.Status == http.StatusNotFound:
		return fmt.Errorf("%s: %w", what, greenroom.ErrNotFound)
	case refused.Status/100 == 4:
		return userError(greenroom.ErrPermanent, "Cloudflare refused to %s: %s.", what, said(refused))
	}
	return userError(greenroom.ErrUnavailable, "Cloudflare could not %s: %s; greenroom asks again.", what, said(refused))
}

// said is Cloudflare's own explanation.
func said(e *cloudflare.Error) string {
	for _, one := range e.Faults {
		return fmt.Sprintf("%s, code %d", strings.TrimSuffix(one.Message, "."), one.Code)
	}
	return fmt.Sprintf("status %d", e.Status)
}

func (a *Authority) held() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.hold
}

// leaveAlone keeps every call back as long as the answer asks for.
func (a *Authority) leaveAlone(e *cloudflare.Error) time.Time {
	pause := holdUnsaid
	if e.Said && e.RetryAfter > 0 {
		pause = e.RetryAfter
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.hold = time.Now().Add(pause)
	return a.hold
}

func userError(cause error, format string, args ...any) error {
	return &greenroom.UserError{Message: fmt.Sprintf(format, args...), Cause: cause}
}
