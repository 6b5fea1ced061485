// Package cloudflaredns keeps desktops' names in a zone at Cloudflare, through its API v4. The owner mark is a record's
// comment, and a tag as well where the plan has tags.
package cloudflaredns

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"greenroom"
	"greenroom/internal/cloudflare"
	"greenroom/internal/dns"
)

// Options of a Zone.
type Options struct {
	Zone    string // desktops are named below it: a zone at Cloudflare, or a name within one
	ZoneID  string // of the zone at Cloudflare; empty: it is looked for by name
	Owner   string // the mark of our records; any other is left alone
	Token   func(ctx context.Context) (string, error)
	Refused func()        // is told when Cloudflare did not accept the token; may be nil
	Proxied bool          // browsers go through Cloudflare's edge
	TTL     time.Duration // of records that are not proxied; 1 min
	BaseURL string        // of the API; empty: Cloudflare's own
	HTTP    *http.Client  // nil: http.DefaultClient
}

// Cloudflare allows 1,200 requests in 5 minutes for everything that one user does, and refuses all for 5 minutes
// when there are more. 180 at once and 3 each second stay a tenth below that in any 5 minutes.
const (
	requestsAtOnce    = 180
	requestsPerSecond = 3
	blockTime         = 5 * time.Minute // when the answer does not say
)

// What is known of the zone's records serves this long before it is read again. Cloudflare cannot make a change
// depend on what is there, so this is how late somebody else's record may be noticed.
const (
	knownFor   = time.Minute
	unknownFor = 5 * time.Second // the same for "there is none"
)

// Batch sizes by plan; the small one is the Free plan's, and used when the plan cannot be read.
const (
	smallBatch = 200
	largeBatch = 3500
)

// Zone is a zone at Cloudflare. It makes no call before it is used.
type Zone struct {
	o      Options
	api    *cloudflare.Client
	pacer  *dns.Pacer
	listMu sync.Mutex // held from a look to what follows from it, so that one change follows the other

	mu    sync.Mutex
	info  *Info
	found time.Time // when info was so
	said  dns.Facts // what answers say beside their results

	records map[string][]known // by name; listMu is held
	listed  time.Time
	within  string // id of the zone that they were listed in
}

// known is a record as it was when last looked at.
type known struct {
	id, kind, content string
	ours              bool
}

var (
	_ dns.Provider = (*Zone)(nil)
	_ dns.Texts    = (*Zone)(nil)
)

// New returns the zone.
func New(o Options) *Zone {
	o.TTL = cmp.Or(o.TTL, time.Minute)
	z := &Zone{o: o, pacer: dns.NewPacer(requestsPerSecond, requestsAtOnce)}
	z.api = cloudflare.New(cloudflare.Options{BaseURL: o.BaseURL, HTTP: o.HTTP, Token: o.Token, Turn: z.pacer.Wait, Answered: z.answered, MostBytes: mostBytes})
	return z
}

// BatchSize is that of the zone's plan.
func (z *Zone) BatchSize() int {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.info == nil || z.info.Plan == "" || z.info.Plan == "free" {
		return smallBatch
	}
	return largeBatch
}

// NextCall is when Cloudflare may be called next.
func (z *Zone) NextCall() time.Time { return z.pacer.Next() }

// Settle does not wait: Cloudflare does not tell. The proof of a desktop asks its servers.
func (z *Zone) Settle(context.Context) error { return nil }

// SetRecords makes the records so; see dns.Zone.
func (z *Zone) SetRecords(ctx context.Context, records []dns.Record) error {
	wanted, errs := dns.Wanted(z.o.Zone, records)
	if len(wanted) == 0 {
		return errors.Join(errs...)
	}
	z.listMu.Lock()
	defer z.listMu.Unlock()
	names := slices.Sorted(func(yield func(string) bool) {
		for name := range wanted {
			if !yield(name) {
				return
			}
		}
	})
	err := z.look(ctx, knownFor)
	if err == nil && slices.ContainsFunc(names, func(name string) bool { return z.foreign(name) != nil }) {
		err = z.look(ctx, unknownFor) // it may be gone
	}
	if err != nil {
		return errors.Join(append(errs, dns.All(names, err)...)...)
	}
	mine := names[:0:0]
	for _, name := range names {
		if err := z.foreign(name); err != nil {
			errs = append(errs, &dns.RecordError{Name: name, Err: err})
			continue
		}
		mine = append(mine, name)
	}
	c := changes{Zone: z, plan: func(names []string) (ops, error) { return z.toSet(names, wanted) }}
	return errors.Join(append(errs, c.do(ctx, mine)...)...)
}

// DeleteRecords removes our records of these names; see dns.Zone.
func (z *Zone) DeleteRecords(ctx context.Context, names []string) error {
	if len(names) == 0 {
		return nil
	}
	z.listMu.Lock()
	defer z.listMu.Unlock()
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	age := knownFor
	if slices.ContainsFunc(names, func(name string) bool { return len(z.records[name]) == 0 }) {
		age = unknownFor
	}
	if err := z.look(ctx, age); err != nil {
		return errors.Join(dns.All(names, err)...)
	}
	c := changes{Zone: z, plan: z.toDelete}
	return errors.Join(c.do(ctx, names)...)
}

// GetRecords lists our records; see dns.Zone.
func (z *Zone) GetRecords(ctx context.Context) ([]dns.Record, error) {
	z.listMu.Lock()
	defer z.listMu.Unlock()
	if err := z.look(ctx, 0); err != nil {
		return nil, err
	}
	var all []dns.Record
	for name, records := range z.records {
		var addresses []netip.Addr
		for _, r := range records {
			if address, err := netip.ParseAddr(r.content); err == nil && r.ours && (r.kind == "A" || r.kind == "AAAA") {
				addresses = append(addresses, address)
			}
		}
		if len(addresses) > 0 {
			all = append(all, dns.NewRecord(name, addresses...))
		}
	}
	return all, nil
}

// foreign says that somebody else's record has the name, or nil; listMu is held.
func (z *Zone) foreign(name string) error {
	for _, r := range z.records[name] {
		if !r.ours {
			return fmt.Errorf("a record of type %s that is not ours has this name: %w", r.kind, greenroom.ErrConflict)
		}
	}
	return nil
}
