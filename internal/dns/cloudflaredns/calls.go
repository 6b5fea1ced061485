package cloudflaredns

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"greenroom"
	"greenroom/internal/cloudflare"
	"greenroom/internal/dns"
)

// mostBytes of an answer hold a page of 5,000 records with long texts.
const mostBytes = 32 << 20

// Codes of errors that mean something here. Cloudflare documents few of them.
const (
	codeHostExists    = 81053 // another type of record, CNAME above all, has the name
	codeNoRecord      = 81044
	codeQuota         = 81045
	codeRecordExists  = 81057
	codeSameExists    = 81058
	codeNoAPI         = 1038 // Cloudflare lets nobody change zones of some top-level domains through its API
	codeBadHeaders    = 6003
	codeNoCredentials = 9106
)

// answered keeps what the header of an answer says, and the silence that it asks for.
func (z *Zone) answered(status int, h http.Header) {
	z.note(h)
	if status == http.StatusTooManyRequests {
		silence, said := cloudflare.RetryAfter(h)
		if !said {
			silence = blockTime
		}
		z.pacer.Silence(time.Now().Add(silence))
	}
}

// classify gives an error of the API its kind.
func (z *Zone) classify(err error) error {
	e, ok := errors.AsType[*cloudflare.Error](err)
	if !ok {
		return err
	}
	switch {
	case e.Status == http.StatusTooManyRequests:
		return &dns.ThrottledError{Until: z.pacer.Quiet(), Err: e}
	case e.Has(codeNoAPI):
		return &greenroom.UserError{
			Message: "Cloudflare does not permit changes in this zone through its API, whatever the token: use a zone below another top-level domain, or another DNS provider.",
			Cause:   fmt.Errorf("%w: %w", greenroom.ErrForbidden, e),
		}
	case e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden || e.Has(codeBadHeaders, codeNoCredentials):
		if z.o.Refused != nil {
			z.o.Refused()
		}
		return &greenroom.UserError{
			Message: "Cloudflare does not let this token (dns.token) change the zone: it needs the rights Zone Read and DNS Edit for it; look with greenroom doctor.",
			Cause:   fmt.Errorf("%w: %w", greenroom.ErrForbidden, e),
		}
	case e.Has(codeQuota):
		return &greenroom.UserError{Message: "The zone at Cloudflare holds as many records as its plan allows: remove some, or choose a larger plan.", Cause: fmt.Errorf("%w: %w", greenroom.ErrCapacity, e)}
	case e.Has(codeHostExists, codeRecordExists, codeSameExists):
		return fmt.Errorf("%w: %w", greenroom.ErrConflict, e)
	case e.Has(codeNoRecord):
		return fmt.Errorf("%w: %w", greenroom.ErrNotFound, e)
	case e.Status >= 400 && e.Status < 500 && e.Status != http.StatusRequestTimeout:
		return fmt.Errorf("%w: %w", greenroom.ErrPermanent, e)
	}
	return e
}

// look lists the zone if what is known of it is older than age; listMu is held.
func (z *Zone) look(ctx context.Context, age time.Duration) error {
	info, err := z.Info(ctx)
	if err != nil {
		return err
	}
	if age > 0 && z.within == info.ID && !z.listed.IsZero() && time.Since(z.listed) < age {
		return nil
	}
	began := time.Now()
	all := map[string][]known{}
	var filter cloudflare.Filter
	if z.o.Zone != info.Name {
		filter.NameEnd = "." + z.o.Zone
	}
	if err := z.api.Records(ctx, info.ID, filter, func(r cloudflare.Record) { z.learn(all, r) }); err != nil {
		return fmt.Errorf("list records: %w", z.classify(err))
	}
	z.records, z.listed, z.within = all, began, info.ID
	return nil
}

func (z *Zone) learn(into map[string][]known, r cloudflare.Record) {
	name := strings.ToLower(r.Name)
	into[name] = append(into[name], known{r.ID, r.Type, r.Content, r.Comment == dns.Mark(z.o.Owner)})
}

func (z *Zone) forget(name, id string) {
	z.records[name] = slices.DeleteFunc(z.records[name], func(r known) bool { return r.id == id })
	if len(z.records[name]) == 0 {
		delete(z.records, name)
	}
}
