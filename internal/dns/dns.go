// Package dns is the contract of the zones that name desktops. Its implementations are embeddeddns (greenroom serves the zone
// itself), rfc2136dns, route53dns and cloudflaredns; all pass dnstest. Packages below internal/app choose one. Its shape follows
// libdns: set, delete, get.
package dns

import (
	"context"
	"net/netip"
)

// Zone holds the addresses of each desktop: an A record, an AAAA record, or both, which are changed together. Every record it writes carries the owner mark it was opened
// with; it never lists, changes or deletes a record that does not. All methods may be called at once.
type Zone interface {
	// SetRecords makes each record so, an address of a family that it does not have anymore included; doing it again
	// changes nothing. A foreign record of the same name, of whichever family, is left alone and is ErrConflict for that record. A bad record does not fail the others: the error joins
	// one RecordError per failed record.
	SetRecords(ctx context.Context, records []Record) error

	// DeleteRecords removes our records of these names; a name that has none is no error.
	DeleteRecords(ctx context.Context, names []string) error

	// GetRecords returns our records.
	GetRecords(ctx context.Context) ([]Record, error)
}

// Record is one desktop's name and its addresses, one at least.
type Record struct {
	Name     string     // fully qualified, without the final dot, lower case
	Address  netip.Addr // IPv4; not valid if there is none
	Address6 netip.Addr // IPv6; not valid if there is none
}

// NewRecord gives the name those of the addresses that are valid, at most one of each family.
func NewRecord(name string, addresses ...netip.Addr) Record {
	r := Record{Name: name}
	for _, a := range addresses {
		if a = a.Unmap(); a.Is4() {
			r.Address = a
		} else if a.Is6() {
			r.Address6 = a
		}
	}
	return r
}

// Addresses are the record's, IPv4 first.
func (r Record) Addresses() []netip.Addr {
	var all []netip.Addr
	for _, a := range []netip.Addr{r.Address, r.Address6} {
		if a.IsValid() {
			all = append(all, a)
		}
	}
	return all
}

// RecordError says which record an error is about.
type RecordError struct {
	Name string
	Err  error
}

func (e *RecordError) Error() string { return e.Name + ": " + e.Err.Error() }

func (e *RecordError) Unwrap() error { return e.Err }
