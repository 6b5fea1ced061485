// Package embeddeddns is the zone that greenroom answers for itself: an authoritative name server over
// UDP and TCP whose records are kept by the store, with no API between writing a name and its being there.
package embeddeddns

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"greenroom"
	"greenroom/internal/dns"
)

// Record is one name of the zone, as it is kept.
type Record struct {
	Name     string     // without the final dot
	Address  netip.Addr // IPv4; not valid if there is none
	Address6 netip.Addr // IPv6; not valid if there is none
	Owner    string     // the owner mark
}

func (r Record) plain() dns.Record {
	return dns.Record{Name: r.Name, Address: r.Address, Address6: r.Address6}
}

// records is what keeps the zone, one record per name.
type records interface {
	PutRecords(ctx context.Context, records []Record) error
	DeleteRecords(ctx context.Context, names []string) error
	Records(ctx context.Context) ([]Record, error)
	Record(ctx context.Context, name string) (Record, error) // greenroom.ErrNotFound if there is none
}

// texts is what keeps proofs of control where several processes answer for the zone.
type texts interface {
	PutText(ctx context.Context, name, text string, at time.Time) error
	DeleteText(ctx context.Context, name, text string) error
	Texts(ctx context.Context, name string) ([]string, error)
}

// NameServer is one of the zone's servers.
type NameServer struct {
	Name     string     // without the final dot; below the zone or not
	Address  netip.Addr // IPv4; not valid if it has none
	Address6 netip.Addr // IPv6; not valid if it has none
}

func (s NameServer) record() dns.Record {
	return dns.Record{Name: s.Name, Address: s.Address, Address6: s.Address6}
}

// Options of a Zone.
type Options struct {
	Zone        string       // what the server answers for, without the final dot
	Owner       string       // the mark of our records; those with another are served and never changed
	Records     records      // where they are kept
	Shared      bool         // others write to Records, too: what is not known here is looked up there
	Texts       texts        // where proofs of control are kept; nil: in memory, for this process alone
	NameServers []NameServer // that the zone is delegated to, the first the primary; ns.<zone> at 127.0.0.1 if not given
	Wildcard    []netip.Addr // addresses that every name below the zone is answered with, whatever is kept: one of each family at most; none if not given
}

// Zone is a zone and the server that answers for it.
type Zone struct {
	apex      string // lower case, without the final dot
	owner     string
	servers   []NameServer
	wildcard  dns.Record // without a name; it has no address if there is none
	kept      records
	keptTexts texts  // nil: z.texts is all there is
	looks     *looks // nil if nobody else writes to kept

	writing sync.Mutex // held from keeping a change to serving it, so that both see the same order

	mu     sync.RWMutex
	change uint64 // odd while a change is on its way from kept to names or back
	names  map[string]Record
	above  map[string]int      // names that exist because of others below them, and how many those are
	texts  map[string][]string // proofs of control, by name
	serial uint32
}

var (
	_ dns.Zone  = (*Zone)(nil)
	_ dns.Texts = (*Zone)(nil)
)

// Open loads the zone's records. A kept record that the zone cannot hold is an error, since
// leaving it out would hide it from whoever has to remove it.
func Open(ctx context.Context, o Options) (*Zone, error) {
	if !greenroom.ValidHostname(o.Zone) {
		return nil, fmt.Errorf("zone %q is not a domain name in lower case: %w", o.Zone, greenroom.ErrPermanent)
	}
	z := &Zone{
		apex: o.Zone, owner: o.Owner, servers: o.NameServers, wildcard: dns.NewRecord("", o.Wildcard...), kept: o.Records, keptTexts: o.Texts,
		names: map[string]Record{}, above: map[string]int{}, texts: map[string][]string{},
		// Nobody may transfer the zone, so the serial need not be kept: the time is above all earlier ones.
		serial: uint32(time.Now().Unix()),
	}
	if o.Shared {
		z.looks = newLooks()
	}
	if len(z.servers) == 0 {
		z.servers = []NameServer{{Name: "ns." + z.apex, Address: netip.AddrFrom4([4]byte{127, 0, 0, 1})}}
	}
	for _, s := range z.servers {
		if strings.HasSuffix(s.Name, "."+z.apex) {
			for name := range z.between(s.Name) {
				z.above[name]++
			}
		}
	}
	if err := z.Reload(ctx); err != nil {
		return nil, err
	}
	return z, nil
}

// SetRecords keeps the records and then serves them; see dns.Zone.
func (z *Zone) SetRecords(ctx context.Context, records []dns.Record) error {
	defer z.begin()()

	names := make([]string, len(records))
	for i, r := range records {
		names[i] = r.Name
	}
	unread := z.refresh(ctx, names)
	var errs []error
	wanted := map[string]Record{}
	for _, r := range records {
		if err := cmp.Or(unread[r.Name], z.mayWrite(r)); err != nil {
			errs = append(errs, &dns.RecordError{Name: r.Name, Err: err})
			continue
		}
		wanted[r.Name] = Record{Name: r.Name, Address: r.Address, Address6: r.Address6, Owner: z.owner}
	}
	changed := z.changes(wanted)
	if len(changed) == 0 {
		return errors.Join(errs...)
	}
	if err := z.kept.PutRecords(ctx, changed); err != nil {
		for _, r := range changed {
			errs = append(errs, &dns.RecordError{Name: r.Name, Err: err})
		}
		return errors.Join(errs...)
	}

	z.mu.Lock()
	defer z.mu.Unlock()
	for _, r := range changed {
		z.put(r)
	}
	z.touch()
	return errors.Join(errs...)
}

// DeleteRecords forgets our records of these names where they are kept, and then stops serving them; see dns.Zone.
func (z *Zone) DeleteRecords(ctx context.Context, names []string) error {
	defer z.begin()()

	for name, err := range z.refresh(ctx, names) {
		return fmt.Errorf("delete records: %w", &dns.RecordError{Name: name, Err: err})
	}
	ours := z.ours(names)
	if len(ours) == 0 {
		return nil
	}
	if err := z.kept.DeleteRecords(ctx, ours); err != nil {
		return fmt.Errorf("delete records: %w", err)
	}

	z.mu.Lock()
	defer z.mu.Unlock()
	for _, name := range ours {
		z.remove(name)
	}
	z.touch()
	return nil
}

// GetRecords returns our records; see dns.Zone.
func (z *Zone) GetRecords(ctx context.Context) ([]dns.Record, error) {
	if z.looks != nil {
		if err := z.Reload(ctx); err != nil {
			return nil, err
		}
	}
	z.mu.RLock()
	defer z.mu.RUnlock()
	var all []dns.Record
	for _, r := range z.names {
		if r.Owner == z.owner {
			all = append(all, r.plain())
		}
	}
	return all, nil
}

// mayWrite says why r cannot be made so, or nil.
func (z *Zone) mayWrite(r dns.Record) error {
	if err := z.fits(r); err != nil {
		return err
	}
	if _, ok := z.server(r.Name); ok {
		return fmt.Errorf("the zone's own server has this name: %w", greenroom.ErrConflict)
	}
	z.mu.RLock()
	defer z.mu.RUnlock()
	if there, ok := z.names[r.Name]; ok && there.Owner != z.owner {
		return fmt.Errorf("a record that is not ours has this name: %w", greenroom.ErrConflict)
	}
	return nil
}

func (z *Zone) fits(r dns.Record) error {
	if r.Name == dns.Wildcard(z.apex) { // that is Options.Wildcard
		return fmt.Errorf("the embedded zone keeps no wildcard: %w", greenroom.ErrPermanent)
	}
	return dns.Fits(z.apex, r)
}

// changes returns the wanted records that are not served so already.
func (z *Zone) changes(wanted map[string]Record) []Record {
	z.mu.RLock()
	defer z.mu.RUnlock()
	var changed []Record
	for name, r := range wanted {
		if z.names[name] != r {
			changed = append(changed, r)
		}
	}
	return changed
}

// ours returns those of names that have a record of ours.
func (z *Zone) ours(names []string) []string {
	z.mu.RLock()
	defer z.mu.RUnlock()
	var ours []string
	for _, name := range names {
		if r, ok := z.names[name]; ok && r.Owner == z.owner {
			ours = append(ours, name)
		}
	}
	return ours
}

// put serves r; z.mu is held.
func (z *Zone) put(r Record) {
	if _, known := z.names[r.Name]; !known {
		for name := range z.between(r.Name) {
			z.above[name]++
		}
	}
	z.names[r.Name] = r
}

// remove serves name no more; z.mu is held.
func (z *Zone) remove(name string) {
	if _, known := z.names[name]; !known {
		return
	}
	delete(z.names, name)
	for above := range z.between(name) {
		if z.above[above]--; z.above[above] == 0 {
			delete(z.above, above)
		}
	}
}

// between yields the names above name and below the apex.
func (z *Zone) between(name string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for {
			_, name, _ = strings.Cut(name, ".")
			if len(name) <= len(z.apex) || !yield(name) {
				return
			}
		}
	}
}

// touch makes the serial rise: to the time, or by one when it is there already; z.mu is held.
func (z *Zone) touch() {
	z.serial = max(z.serial+1, uint32(time.Now().Unix()))
}

// server returns the zone's server of that name, if it has such a one.
func (z *Zone) server(name string) (dns.Record, bool) {
	for _, s := range z.servers {
		if s.Name == name {
			return s.record(), true
		}
	}
	return dns.Record{}, false
}

// canonical is the form in which names are compared.
func canonical(name string) string { return strings.TrimSuffix(strings.ToLower(name), ".") }
