package cloudflaredns

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"greenroom"
	"greenroom/internal/cloudflare"
	"greenroom/internal/dns"
)

// ops are the operations of one batch: all are done or none.
type ops struct {
	deletes map[string]string // names by id
	patches []cloudflare.Record
	posts   []cloudflare.Record
	moved   map[string]string // names by id
}

func (o ops) none() bool { return o.size() == 0 }

func (o ops) size() int { return len(o.deletes) + len(o.patches) + len(o.posts) }

// toSet is what makes the names so; an error is ErrConflict.
func (z *Zone) toSet(names []string, wanted map[string]dns.Record) (ops, error) {
	o := ops{deletes: map[string]string{}, moved: map[string]string{}}
	for _, name := range names {
		if err := z.foreign(name); err != nil {
			return o, err
		}
		missing := z.addresses(wanted[name])
		for _, r := range z.records[name] {
			record, still := missing[r.kind]
			switch {
			case !still: // of a family that the name has no more, or a second one, which can only be what is left of a failure
				o.deletes[r.id] = name
			case !sameAddress(r.content, record.Content):
				record.ID = r.id
				o.patches = append(o.patches, record)
				o.moved[r.id] = name
			}
			delete(missing, r.kind)
		}
		for _, kind := range slices.Sorted(maps.Keys(missing)) {
			o.posts = append(o.posts, missing[kind])
		}
	}
	return o, nil
}

// sameAddress compares addresses and not how they are written: IPv6 has several ways.
func sameAddress(a, b string) bool {
	x, errX := netip.ParseAddr(a)
	y, errY := netip.ParseAddr(b)
	return errX == nil && errY == nil && x == y
}

// addresses are the records of the name, by type.
func (z *Zone) addresses(r dns.Record) map[string]cloudflare.Record {
	all := map[string]cloudflare.Record{}
	for _, a := range r.Addresses() {
		kind := "A"
		if a.Is6() {
			kind = "AAAA"
		}
		all[kind] = z.address(r.Name, kind, a)
	}
	return all
}

func (z *Zone) address(name, kind string, address netip.Addr) cloudflare.Record {
	r := cloudflare.Record{Name: name, Type: kind, Content: address.String(), TTL: ttl(z.o.TTL), Proxied: z.o.Proxied, Comment: dns.Mark(z.o.Owner)}
	if z.BatchSize() == largeBatch { // a paid plan
		r.Tags = []string{"greenroom:" + z.o.Owner}
	}
	if z.o.Proxied {
		r.TTL = 1 // automatic
	}
	return r
}

// ttl is at least what every plan allows, in seconds.
func ttl(d time.Duration) int { return int(min(max(d, time.Minute), 24*time.Hour).Seconds()) }

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

// do makes the changes in batches and returns the errors, by name.
func (c *changes) do(ctx context.Context, names []string) []error {
	var errs []error
	for size := c.BatchSize(); len(names) > 0; {
		n := c.first(names, size)
		errs = append(errs, dns.Apart(names[:n], func(some []string) error { return c.some(ctx, some) })...)
		names = names[n:]
	}
	return errs
}

// first is how many of the names, one at least, one batch takes: a name with addresses of both families takes two operations.
func (c *changes) first(names []string, size int) int {
	for n, name := range names {
		o, _ := c.plan([]string{name}) // what is in its way is seen when it is made
		if size -= max(o.size(), 1); size < 0 && n > 0 {
			return n
		}
	}
	return len(names)
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
	if errors.Is(err, greenroom.ErrConflict) {
		return c.unseen(err, names)
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

// unseen makes of a conflict in a zone that was just listed what it is: the plan has found no record of somebody else's, so it
// must not be called one. The record of many that is in the way has yet to be found.
func (c *changes) unseen(conflict error, names []string) error {
	said, _ := errors.AsType[*cloudflare.Error](conflict)
	if len(names) > 1 {
		return fmt.Errorf("%w: %w", greenroom.ErrPermanent, said)
	}
	c.listed = time.Time{} // or it was made since
	return &greenroom.UserError{Message: fmt.Sprintf("Cloudflare refuses the record %s, although the zone lists none that is in its way: %s.", names[0], said.Words()), Cause: said}
}

// send makes one batch call and takes note of what it did.
func (c *changes) send(ctx context.Context, o ops) error {
	info, err := c.Info(ctx)
	if err != nil {
		return err
	}
	batch := cloudflare.Batch{Patches: o.patches, Posts: o.posts}
	for id := range o.deletes {
		batch.Deletes = append(batch.Deletes, cloudflare.Reference{ID: id})
	}
	done, err := c.api.Batch(ctx, info.ID, batch)
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
	for _, r := range done {
		c.learn(c.records, r)
	}
	return nil
}

// AddText adds a TXT record; see dns.Texts.
func (z *Zone) AddText(ctx context.Context, name, text string, lifetime time.Duration) error {
	if !dns.Below(z.o.Zone, name) {
		return fmt.Errorf("not a name below %s: %w", z.o.Zone, greenroom.ErrPermanent)
	}
	info, err := z.Info(ctx)
	if err != nil {
		return err
	}
	err = z.api.AddRecord(ctx, info.ID, cloudflare.Record{Name: name, Type: "TXT", Content: quoted(text), TTL: ttl(lifetime), Comment: dns.Mark(z.o.Owner)})
	if e, ok := errors.AsType[*cloudflare.Error](err); ok && e.Has(codeRecordExists, codeSameExists) {
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
	var ours []string
	err = z.api.Records(ctx, info.ID, cloudflare.Filter{Name: name, Type: "TXT"}, func(r cloudflare.Record) {
		if r.Comment == dns.Mark(z.o.Owner) && strings.Trim(r.Content, `"`) == text {
			ours = append(ours, r.ID)
		}
	})
	if err != nil {
		return z.classify(err)
	}
	for _, id := range ours {
		if err := z.classify(z.api.DeleteRecord(ctx, info.ID, id)); err != nil && !errors.Is(err, greenroom.ErrNotFound) {
			return err
		}
	}
	return nil
}

// quoted is text as Cloudflare wants it; what ACME proves with holds neither quotes nor more than 255 bytes.
func quoted(text string) string { return `"` + text + `"` }
