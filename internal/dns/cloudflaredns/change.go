package cloudflaredns

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/cloudflare/cloudflare-go/v6"
	cfdns "github.com/cloudflare/cloudflare-go/v6/dns"

	"greenroom"
	"greenroom/internal/dns"
)

// ops are the operations of one batch: all are done or none.
type ops struct {
	deletes map[string]string // names by id
	patches []cfdns.BatchPatchUnionParam
	posts   []cfdns.RecordBatchParamsPostUnion
	moved   map[string]string // names by id
}

func (o ops) none() bool { return len(o.deletes)+len(o.patches)+len(o.posts) == 0 }

// toSet is what makes the names so; an error is ErrConflict.
func (z *Zone) toSet(names []string, wanted map[string]netip.Addr) (ops, error) {
	o := ops{deletes: map[string]string{}, moved: map[string]string{}}
	for _, name := range names {
		if err := z.foreign(name); err != nil {
			return o, err
		}
		param, there := z.address(name, wanted[name]), false
		for _, r := range z.records[name] {
			switch {
			case there || r.kind != "A": // a second one can only be what is left of a failure
				o.deletes[r.id] = name
			case r.content != wanted[name].String():
				o.patches = append(o.patches, cfdns.BatchPatchARecordParam{ID: cloudflare.F(r.id), ARecordParam: param})
				o.moved[r.id] = name
				there = true
			default:
				there = true
			}
		}
		if !there {
			o.posts = append(o.posts, param)
		}
	}
	return o, nil
}

func (z *Zone) address(name string, address netip.Addr) cfdns.ARecordParam {
	p := cfdns.ARecordParam{
		Name: cloudflare.F(name), Type: cloudflare.F(cfdns.ARecordTypeA), Content: cloudflare.F(address.String()), TTL: cloudflare.F(z.ttl(z.o.TTL)),
		Proxied: cloudflare.F(z.o.Proxied), Comment: cloudflare.F(dns.Mark(z.o.Owner)),
	}
	if z.BatchSize() == largeBatch { // a paid plan
		p.Tags = cloudflare.F([]cfdns.RecordTagsParam{"greenroom:" + z.o.Owner})
	}
	if z.o.Proxied {
		p.TTL = cloudflare.F(cfdns.TTL1)
	}
	return p
}

// ttl is at least what every plan allows.
func (z *Zone) ttl(d time.Duration) cfdns.TTL {
	return cfdns.TTL(min(max(d, time.Minute), 24*time.Hour).Seconds())
}

// toDelete is what removes our records of the names.
func (z *Zone) toDelete(names []string) (ops, error) {
	o := ops{deletes: map[string]string{}}
	for _, name := range names {
		for _, r := range z.records[name] {
			if r.ours {
				o.deletes[r.id] = name
			}
		}
	}
	return o, nil
}

// changes is one call of SetRecords or DeleteRecords on its way.
type changes struct {
	*Zone
	plan     func(names []string) (ops, error)
	relisted bool
	full     error // the zone has no room left
}

// do makes the changes in batches and returns what went wrong, by name.
func (c *changes) do(ctx context.Context, names []string) []error {
	var errs []error
	for size := c.BatchSize(); len(names) > 0; {
		n := min(size, len(names))
		errs = append(errs, dns.Apart(names[:n], func(some []string) error { return c.some(ctx, some) })...)
		names = names[n:]
	}
	return errs
}

func (c *changes) some(ctx context.Context, names []string) error {
	o, err := c.plan(names)
	if err != nil || o.none() {
		return err
	}
	if c.full != nil && len(o.posts) > 0 {
		return c.full
	}
	err = c.send(ctx, o)
	if stale := errors.Is(err, greenroom.ErrNotFound) || errors.Is(err, greenroom.ErrConflict); stale && !c.relisted {
		// Somebody else was at work since the zone was listed.
		c.relisted = true
		if err := c.look(ctx, 0); err != nil {
			return err
		}
		if o, err = c.plan(names); err != nil || o.none() {
			return err
		}
		err = c.send(ctx, o)
	}
	if errors.Is(err, greenroom.ErrCapacity) {
		// Some of a batch may yet fit; when not even one does, no other call is needed to know.
		if len(names) == 1 {
			c.full = err
			return err
		}
		return fmt.Errorf("%w: %w", greenroom.ErrPermanent, err)
	}
	return err
}

// send makes one batch call and takes note of what it did.
func (c *changes) send(ctx context.Context, o ops) error {
	info, err := c.Info(ctx)
	if err != nil {
		return err
	}
	params := cfdns.RecordBatchParams{ZoneID: cloudflare.F(info.ID)}
	var deletes []cfdns.RecordBatchParamsDelete
	for id := range o.deletes {
		deletes = append(deletes, cfdns.RecordBatchParamsDelete{ID: cloudflare.F(id)})
	}
	if len(deletes) > 0 {
		params.Deletes = cloudflare.F(deletes)
	}
	if len(o.patches) > 0 {
		params.Patches = cloudflare.F(o.patches)
	}
	if len(o.posts) > 0 {
		params.Posts = cloudflare.F(o.posts)
	}
	done, err := c.api.DNS.Records.Batch(ctx, params)
	if err != nil {
		if err = c.classify(err); dns.Shared(err) && !errors.Is(err, greenroom.ErrThrottled) {
			c.listed = time.Time{} // it may have been done all the same
		}
		return fmt.Errorf("change records: %w", err)
	}
	for id, name := range o.deletes {
		c.forget(name, id)
	}
	for id, name := range o.moved {
		c.forget(name, id)
	}
	for _, r := range append(done.Patches, done.Posts...) {
		c.learn(c.records, r)
	}
	return nil
}

// AddText adds a TXT record; see dns.Texts.
func (z *Zone) AddText(ctx context.Context, name, text string, ttl time.Duration) error {
	if !dns.Below(z.o.Zone, name) {
		return fmt.Errorf("not a name below %s: %w", z.o.Zone, greenroom.ErrPermanent)
	}
	info, err := z.Info(ctx)
	if err != nil {
		return err
	}
	_, err = z.api.DNS.Records.New(ctx, cfdns.RecordNewParams{ZoneID: cloudflare.F(info.ID), Body: cfdns.TXTRecordParam{
		Name: cloudflare.F(name), Type: cloudflare.F(cfdns.TXTRecordTypeTXT), Content: cloudflare.F(quoted(text)), TTL: cloudflare.F(z.ttl(ttl)), Comment: cloudflare.F(dns.Mark(z.o.Owner)),
	}})
	if e, ok := errors.AsType[*cloudflare.Error](err); ok && has(e, codeRecordExists, codeSameExists) {
		return nil
	}
	return z.classify(err)
}

// RemoveText removes a TXT record of ours; see dns.Texts.
func (z *Zone) RemoveText(ctx context.Context, name, text string) error {
	info, err := z.Info(ctx)
	if err != nil {
		return err
	}
	page, err := z.api.DNS.Records.List(ctx, cfdns.RecordListParams{
		ZoneID: cloudflare.F(info.ID), Type: cloudflare.F(cfdns.RecordListParamsTypeTXT), Name: cloudflare.F(cfdns.RecordListParamsName{Exact: cloudflare.F(name)}),
	})
	if err != nil {
		return z.classify(err)
	}
	for _, r := range page.Result {
		if r.Comment != dns.Mark(z.o.Owner) || strings.Trim(r.Content, `"`) != text {
			continue
		}
		_, err := z.api.DNS.Records.Delete(ctx, r.ID, cfdns.RecordDeleteParams{ZoneID: cloudflare.F(info.ID)})
		if err = z.classify(err); err != nil && !errors.Is(err, greenroom.ErrNotFound) {
			return err
		}
	}
	return nil
}

// quoted is text as Cloudflare wants it; what ACME proves with holds neither quotes nor more than 255 bytes.
func quoted(text string) string { return `"` + text + `"` }
