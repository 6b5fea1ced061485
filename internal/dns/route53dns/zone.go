// Package route53dns keeps desktops' names in a hosted zone of Amazon Route 53. The owner mark is a TXT record of the same
// name. Only CREATE and DELETE are used: a CREATE fails where anything is, a DELETE where not exactly that is, and a batch is
// done as a whole or not, so that nothing is overwritten that was not ours at that moment.
package route53dns

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"

	"greenroom"
	"greenroom/internal/backoff"
	"greenroom/internal/dns"
)

// Options of a Zone.
type Options struct {
	Zone     string     // desktops are named below it: a hosted zone, or a name within one
	ZoneID   string     // of the hosted zone; empty: it is looked for by name
	Owner    string     // the mark of our records; any other is left alone
	AWS      aws.Config // credentials, and the region, which says whose endpoints to ask: those of China are others
	Endpoint string     // of the API; empty: Amazon's own
	TTL      time.Duration

	Rate      float64       // requests a second, at most; 4
	FirstPoll time.Duration // from a change until Route 53 is asked again how far it is; 2 s
}

// Route 53 allows 5 requests a second for everything that one account does, and no burst.
const (
	requestsPerSecond = 4
	requestsAtOnce    = 1
)

// Bounds of one batch, somewhat below the documented 1,000 changes and 32,000 characters.
const (
	maxChanges = 1000
	maxChars   = 31_000
	longestA   = 15
	perPage    = 300
	maxPages   = 4000
)

// silence is how long Route 53 is not asked after it said that it was asked too often; it does not say how long.
var silence = backoff.Schedule{First: time.Second, Most: 30 * time.Second}

// Zone is a hosted zone. It makes no call before it is used.
type Zone struct {
	o     Options
	api   *route53.Client
	pacer *dns.Pacer
	mark  string

	changing sync.Mutex // one change follows the other, as Route 53 wants it
	names    map[string]name

	polling chan struct{} // holds a token while somebody asks how far a change is

	mu        sync.Mutex
	id        string
	newest    string    // the change accepted last
	insync    string    // the newest that every server knew
	lookAt    time.Time // how far the newest is, is not asked before
	unsettled time.Time // since when some server does not know everything
	refused   int       // calls in a row that were too many
}

// name is what a name was when last seen: ours, with its records, or somebody else's.
type name struct {
	ours    bool
	address netip.Addr
	ttl     int64
	markTTL int64
}

var (
	_ dns.Provider = (*Zone)(nil)
	_ dns.Texts    = (*Zone)(nil)
)

// New returns the zone.
func New(o Options) *Zone {
	o.TTL, o.Rate, o.FirstPoll = cmp.Or(o.TTL, time.Minute), cmp.Or(o.Rate, float64(requestsPerSecond)), cmp.Or(o.FirstPoll, firstPoll)
	cfg := o.AWS.Copy()
	cfg.Region = cmp.Or(cfg.Region, "us-east-1")
	cfg.Retryer = func() aws.Retryer { return aws.NopRetryer{} } // how often to ask is decided here
	z := &Zone{o: o, mark: dns.Mark(o.Owner), pacer: dns.NewPacer(o.Rate, requestsAtOnce), names: map[string]name{}, polling: make(chan struct{}, 1), id: o.ZoneID}
	z.api = route53.NewFromConfig(cfg, func(options *route53.Options) {
		if o.Endpoint != "" {
			options.BaseEndpoint = aws.String(o.Endpoint)
		}
	})
	return z
}

// BatchSize is how many new names, each with its mark, one call takes.
func (z *Zone) BatchSize() int {
	return min(maxChanges/2, maxChars/(longestA+len(z.mark)+2))
}

// NextCall is when Route 53 may be called next.
func (z *Zone) NextCall() time.Time { return z.pacer.Next() }

// SetRecords makes the records so; see dns.Zone. They are accepted then; Settle waits for the servers.
func (z *Zone) SetRecords(ctx context.Context, records []dns.Record) error {
	wanted, errs := dns.Wanted(z.o.Zone, records)
	c := change{Zone: z, plan: func(n string) ([]types.Change, error) { return z.toSet(n, wanted[n]) }, then: func(n string) {
		z.names[n] = name{ours: true, address: wanted[n], ttl: z.ttl(), markTTL: z.ttl()}
	}}
	return errors.Join(append(errs, c.do(ctx, slices.Sorted(maps.Keys(wanted)))...)...)
}

// DeleteRecords removes our records of these names; see dns.Zone.
func (z *Zone) DeleteRecords(ctx context.Context, names []string) error {
	c := change{Zone: z, deletes: true, plan: z.toDelete, then: func(n string) { delete(z.names, n) }}
	return errors.Join(c.do(ctx, slices.Compact(slices.Sorted(slices.Values(names))))...)
}

// GetRecords lists our records; see dns.Zone.
func (z *Zone) GetRecords(ctx context.Context) ([]dns.Record, error) {
	z.changing.Lock()
	defer z.changing.Unlock()
	if err := z.list(ctx); err != nil {
		return nil, err
	}
	var all []dns.Record
	for n, r := range z.names {
		if r.ours {
			all = append(all, dns.Record{Name: n, Address: r.address})
		}
	}
	return all, nil
}

func (z *Zone) ttl() int64 { return int64(z.o.TTL.Seconds()) }

// toSet is what makes the name so, or ErrConflict; z.changing is held.
func (z *Zone) toSet(n string, address netip.Addr) ([]types.Change, error) {
	there, known := z.names[n]
	mark := set(n, types.RRTypeTxt, z.ttl(), quoted(z.mark))
	switch {
	case !known:
		return []types.Change{create(set(n, types.RRTypeA, z.ttl(), address.String())), create(mark)}, nil
	case !there.ours:
		return nil, errNotOurs
	case there.address == address:
		return nil, nil
	}
	return append(z.removal(n, there), create(set(n, types.RRTypeA, z.ttl(), address.String())), create(mark)), nil
}

func (z *Zone) toDelete(n string) ([]types.Change, error) {
	if there, known := z.names[n]; known && there.ours {
		return z.removal(n, there), nil
	}
	return nil, nil
}

func (z *Zone) removal(n string, there name) []types.Change {
	return []types.Change{
		remove(set(n, types.RRTypeA, there.ttl, there.address.String())),
		remove(set(n, types.RRTypeTxt, there.markTTL, quoted(z.mark))),
	}
}

func set(n string, kind types.RRType, ttl int64, values ...string) types.ResourceRecordSet {
	s := types.ResourceRecordSet{Name: aws.String(n + "."), Type: kind, TTL: aws.Int64(ttl)}
	for _, v := range values {
		s.ResourceRecords = append(s.ResourceRecords, types.ResourceRecord{Value: aws.String(v)})
	}
	return s
}

func create(s types.ResourceRecordSet) types.Change {
	return types.Change{Action: types.ChangeActionCreate, ResourceRecordSet: &s}
}

func remove(s types.ResourceRecordSet) types.Change {
	return types.Change{Action: types.ChangeActionDelete, ResourceRecordSet: &s}
}

func quoted(text string) string { return `"` + text + `"` }

func unquoted(text string) string { return strings.Trim(text, `"`) }

// chars is what a change counts against the limit of a batch.
func chars(changes []types.Change) int {
	n := 0
	for _, c := range changes {
		for _, r := range c.ResourceRecordSet.ResourceRecords {
			n += len(*r.Value)
		}
	}
	return n
}

// change is one call of SetRecords or DeleteRecords on its way.
type change struct {
	*Zone
	deletes  bool
	plan     func(n string) ([]types.Change, error)
	then     func(n string) // takes note that it is done
	relisted bool
}

// do makes the changes in as few calls as their limits allow and returns the errors, by name.
func (c *change) do(ctx context.Context, names []string) []error {
	if len(names) == 0 {
		return nil
	}
	c.changing.Lock()
	defer c.changing.Unlock()
	// Somebody else may have made the names that are to be deleted.
	if c.deletes && slices.ContainsFunc(names, func(n string) bool { return !c.names[n].ours }) {
		if err := c.list(ctx); err != nil {
			return dns.All(names, err)
		}
		c.relisted = true
	}
	var errs []error
	for _, part := range c.parts(names) {
		err := c.once(ctx, part)
		if isBatch(err) && !c.relisted { // something is not as it was when last seen
			c.relisted = true
			if err = c.list(ctx); err == nil {
				err = c.once(ctx, part)
			}
		}
		switch {
		case err == nil:
		case dns.Shared(err):
			errs = append(errs, dns.All(part, err)...)
		default:
			errs = append(errs, dns.Apart(part, func(some []string) error { return c.once(ctx, some) })...)
		}
	}
	return errs
}

// parts are names that fit into one call together.
func (c *change) parts(names []string) [][]string {
	var all [][]string
	var part []string
	changes, length := 0, 0
	for _, n := range names {
		planned, _ := c.plan(n)
		if len(part) > 0 && (changes+len(planned) > maxChanges || length+chars(planned) > maxChars) {
			all, part, changes, length = append(all, part), nil, 0, 0
		}
		part, changes, length = append(part, n), changes+len(planned), length+chars(planned)
	}
	return append(all, part)
}

// once makes one call, and none if nothing is to be done. All of it is done or nothing.
func (c *change) once(ctx context.Context, names []string) error {
	var changes []types.Change
	for _, n := range names {
		planned, err := c.plan(n)
		if err != nil {
			return err
		}
		changes = append(changes, planned...)
	}
	if len(changes) == 0 {
		return nil
	}
	if len(changes) > maxChanges || chars(changes) > maxChars { // what was listed meanwhile made it more
		return greenroom.ErrPermanent
	}
	if err := c.send(ctx, changes); err != nil {
		return err
	}
	for _, n := range names {
		c.then(n)
	}
	return nil
}
