package dns

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/libdns/libdns"

	"greenroom"
)

// Texts is a zone in which proofs of control are shown: TXT records of a name, each with one text.
type Texts interface {
	// AddText adds the record; if it is there already, nothing changes. Names are without the final dot.
	AddText(ctx context.Context, name, text string, ttl time.Duration) error

	// RemoveText removes the record if it is there and ours. Other texts of the name stay.
	RemoveText(ctx context.Context, name, text string) error
}

// Challenges lets ACME clients use Texts through the interfaces of libdns.
type Challenges struct{ Texts }

var (
	_ libdns.RecordAppender = Challenges{}
	_ libdns.RecordDeleter  = Challenges{}
)

// AppendRecords adds TXT records below zone; other types are ErrPermanent. It returns what was added.
func (c Challenges) AppendRecords(ctx context.Context, zone string, records []libdns.Record) ([]libdns.Record, error) {
	return each(records, zone, func(name string, r libdns.RR) error { return c.AddText(ctx, name, r.Data, r.TTL) })
}

// DeleteRecords removes TXT records below zone; other types are ErrPermanent. It returns what is there no more.
func (c Challenges) DeleteRecords(ctx context.Context, zone string, records []libdns.Record) ([]libdns.Record, error) {
	return each(records, zone, func(name string, r libdns.RR) error { return c.RemoveText(ctx, name, r.Data) })
}

func each(records []libdns.Record, zone string, do func(name string, r libdns.RR) error) ([]libdns.Record, error) {
	var done []libdns.Record
	for _, record := range records {
		r := record.RR()
		name := strings.ToLower(strings.TrimSuffix(libdns.AbsoluteName(r.Name, zone), "."))
		if r.Type != "TXT" || r.Data == "" {
			return done, fmt.Errorf("%s record of %s: only TXT records with a text can be written: %w", r.Type, name, greenroom.ErrPermanent)
		}
		if err := do(name, r); err != nil {
			return done, &RecordError{Name: name, Err: err}
		}
		done = append(done, libdns.TXT{Name: r.Name, TTL: r.TTL, Text: r.Data})
	}
	return done, nil
}

// Below reports whether name is the zone's own or below it.
func Below(zone, name string) bool { return name == zone || strings.HasSuffix(name, "."+zone) }
