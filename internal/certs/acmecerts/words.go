package acmecerts

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/libdns/libdns"
	"github.com/mholt/acmez/v3/acme"

	"greenroom"
)

// challenges marks errors of the DNS provider, so that they can be told from the authority's.
type challenges struct{ certmagic.DNSProvider }

type recordError struct{ err error }

func (e *recordError) Error() string { return e.err.Error() }
func (e *recordError) Unwrap() error { return e.err }

func (c challenges) AppendRecords(ctx context.Context, zone string, records []libdns.Record) ([]libdns.Record, error) {
	out, err := c.DNSProvider.AppendRecords(ctx, zone, records)
	if err != nil {
		return out, &recordError{err}
	}
	return out, nil
}

// fault is a failed order in words.
type fault struct {
	err        error
	validation bool      // the authority looked and did not find what it wanted
	hold       time.Time // it wants to be left alone until then
}

// problems says what people can do about the authority's problem documents.
var problems = map[string]struct {
	kind       error
	validation bool
	words      string
}{
	acme.ProblemTypeUnauthorized:            {nil, true, "it did not find our challenge in the zone; look whether the zone is delegated to the servers that greenroom writes to"},
	acme.ProblemTypeDNS:                     {nil, true, "it could not ask the zone's servers; look whether the zone is delegated and its servers answer from outside"},
	acme.ProblemTypeCAA:                     {greenroom.ErrPermanent, true, "a CAA record of the domain does not allow this authority; add one that does"},
	acme.ProblemTypeRejectedIdentifier:      {greenroom.ErrPermanent, false, "it does not sign this name; use a zone below a public domain, or the issuer local"},
	acme.ProblemTypeExternalAccountRequired: {greenroom.ErrPermanent, false, "it wants an external account; set certificates.eab_key_id and certificates.eab_key"},
	acme.ProblemTypeInvalidContact:          {greenroom.ErrPermanent, false, "it does not accept the address; correct certificates.email"},
	acme.ProblemTypeUnsupportedContact:      {greenroom.ErrPermanent, false, "it does not accept the address; correct certificates.email"},
	acme.ProblemTypeUserActionRequired:      {greenroom.ErrPermanent, false, "it has new terms that a person must agree to; see its answer"},
}

// explain puts err into words for people.
func explain(err error, directory, name string) fault {
	at := directory
	if u, bad := url.Parse(directory); bad == nil && u.Host != "" {
		at = u.Host
	}
	say := func(kind error, format string, args ...any) error {
		return &greenroom.UserError{Message: fmt.Sprintf("No certificate for %s from %s: ", name, at) + fmt.Sprintf(format, args...) + ".", Cause: errors.Join(kind, err)}
	}
	if record, ok := errors.AsType[*recordError](err); ok {
		return fault{err: say(nil, "the challenge could not be written into the zone; look at the DNS provider (%v)", record)}
	}
	if p, ok := errors.AsType[acme.Problem](err); ok {
		return answered(p, say)
	}
	if _, ok := errors.AsType[net.Error](err); ok && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
		return fault{err: say(greenroom.ErrUnavailable, "it cannot be reached; look at certificates.directory_url and at this machine's outbound network")}
	}
	return fault{err: fmt.Errorf("order for %s from %s: %w", name, at, err)}
}

func answered(p acme.Problem, say func(error, string, ...any) error) fault {
	if p.Type == acme.ProblemTypeRateLimited || p.Status == http.StatusTooManyRequests {
		until := retryAfter(p.Detail, time.Now())
		return fault{err: say(greenroom.ErrThrottled, "its limits are used up (%s); greenroom asks again after %s. For more desktops use access gateway, which needs one certificate for all of them", strings.TrimSuffix(p.Detail, "."), clock(until)), hold: until}
	}
	if known, ok := problems[p.Type]; ok {
		return fault{err: say(known.kind, "%s (%s)", known.words, strings.TrimSuffix(p.Detail, ".")), validation: known.validation}
	}
	return fault{err: say(nil, "it answered %q", strings.TrimSuffix(p.Detail, "."))}
}

// How long an authority is left alone that refuses for now.
const (
	holdUnsaid = 10 * time.Minute
	holdMost   = 7 * 24 * time.Hour
)

var afterTime = regexp.MustCompile(`retry after (\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)`)

// retryAfter is the time that the detail of a refusal names, as Let's Encrypt does, or else a while from now.
func retryAfter(detail string, now time.Time) time.Time {
	if m := afterTime.FindStringSubmatch(detail); m != nil {
		if t, err := time.Parse(time.DateTime, strings.Replace(m[1], "T", " ", 1)); err == nil && t.After(now) && t.Before(now.Add(holdMost)) {
			return t
		}
	}
	return now.Add(holdUnsaid)
}
