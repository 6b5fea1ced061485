package cloudflaredns

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cloudflare/cloudflare-go/v6"
	cfdns "github.com/cloudflare/cloudflare-go/v6/dns"
	"github.com/cloudflare/cloudflare-go/v6/option"

	"greenroom"
	"greenroom/internal/dns"
)

// perPage is the most records of a page, and maxRecords of a zone: more would be a server that never ends.
const (
	perPage    = 5000
	maxRecords = 2_000_000
)

// Codes of errors that mean something here. Cloudflare documents few of them.
const (
	codeHostExists    = 81053 // another type of record, CNAME above all, has the name
	codeNoRecord      = 81044
	codeQuota         = 81045
	codeRecordExists  = 81057
	codeSameExists    = 81058
	codeBadHeaders    = 6003
	codeNoCredentials = 9106
)

// guard is around every request: it waits for the request's turn, gives it the token as it is now, and keeps the silence
// that an answer asks for.
func (z *Zone) guard(r *http.Request, next option.MiddlewareNext) (*http.Response, error) {
	if err := z.pacer.Wait(r.Context()); err != nil {
		return nil, err
	}
	token, err := z.o.Token(r.Context())
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	answer, err := next(r)
	if err == nil {
		z.note(answer.Header)
	}
	if err == nil && answer.StatusCode == http.StatusTooManyRequests {
		z.pacer.Silence(time.Now().Add(retryAfter(answer.Header)))
	}
	return answer, err
}

func retryAfter(h http.Header) time.Duration {
	v := h.Get("Retry-After")
	if seconds, err := strconv.Atoi(v); err == nil && seconds >= 0 {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(v); err == nil {
		return time.Until(at)
	}
	return blockTime
}

// classify gives an error of the API its kind.
func (z *Zone) classify(err error) error {
	e, ok := errors.AsType[*cloudflare.Error](err)
	if !ok {
		return err
	}
	said := fmt.Errorf("Cloudflare answers %d %s", e.StatusCode, words(e)) //nolint:staticcheck // a name
	switch {
	case e.StatusCode == http.StatusTooManyRequests:
		return &dns.ThrottledError{Until: z.pacer.Quiet(), Err: said}
	case e.StatusCode == http.StatusUnauthorized || e.StatusCode == http.StatusForbidden || has(e, codeBadHeaders, codeNoCredentials):
		if z.o.Refused != nil {
			z.o.Refused()
		}
		return &greenroom.UserError{
			Message: "Cloudflare does not let this token (dns.token) change the zone: it needs the rights Zone Read and DNS Edit for it; look with greenroom doctor.",
			Cause:   fmt.Errorf("%w: %w", greenroom.ErrForbidden, said),
		}
	case has(e, codeQuota):
		return &greenroom.UserError{Message: "The zone at Cloudflare holds as many records as its plan allows: remove some, or choose a larger plan.", Cause: fmt.Errorf("%w: %w", greenroom.ErrCapacity, said)}
	case has(e, codeHostExists, codeRecordExists, codeSameExists):
		return fmt.Errorf("%w: %w", greenroom.ErrConflict, said)
	case has(e, codeNoRecord):
		return fmt.Errorf("%w: %w", greenroom.ErrNotFound, said)
	case e.StatusCode >= 400 && e.StatusCode < 500 && e.StatusCode != http.StatusRequestTimeout:
		return fmt.Errorf("%w: %w", greenroom.ErrPermanent, said)
	}
	return said
}

func has(e *cloudflare.Error, codes ...int64) bool {
	for _, one := range e.Errors {
		if slices.Contains(codes, one.Code) {
			return true
		}
	}
	return false
}

func words(e *cloudflare.Error) string {
	var parts []string
	for _, one := range e.Errors {
		parts = append(parts, fmt.Sprintf("%s (%d)", one.Message, one.Code))
	}
	return strings.Join(parts, ", ")
}

// look lists the zone if what is known of it is older than age; listMu is held.
func (z *Zone) look(ctx context.Context, age time.Duration) error {
	info, err := z.Info(ctx)
	if err != nil {
		return err
	}
	if age > 0 && !z.listed.IsZero() && time.Since(z.listed) < age {
		return nil
	}
	began := time.Now()
	all := map[string][]known{}
	params := cfdns.RecordListParams{ZoneID: cloudflare.F(info.ID), PerPage: cloudflare.F(float64(perPage))}
	if z.o.Zone != info.Name {
		params.Name = cloudflare.F(cfdns.RecordListParamsName{Endswith: cloudflare.F("." + z.o.Zone)})
	}
	page, err := z.api.DNS.Records.List(ctx, params)
	for n := 0; err == nil && page != nil && n < maxRecords; page, err = page.GetNextPage() {
		if len(page.Result) == 0 {
			break
		}
		for _, r := range page.Result {
			z.learn(all, r)
		}
		n += len(page.Result)
		if len(page.Result) < perPage {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("list records: %w", z.classify(err))
	}
	z.records, z.listed = all, began
	return nil
}

func (z *Zone) learn(into map[string][]known, r cfdns.RecordResponse) {
	name := strings.ToLower(r.Name)
	into[name] = append(into[name], known{r.ID, string(r.Type), r.Content, r.Comment == dns.Mark(z.o.Owner)})
}

func (z *Zone) forget(name, id string) {
	z.records[name] = slices.DeleteFunc(z.records[name], func(r known) bool { return r.id == id })
	if len(z.records[name]) == 0 {
		delete(z.records, name)
	}
}
