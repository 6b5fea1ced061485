// Package dns is the contract of the zones that name desktops. Its implementations are embeddeddns (greenroom serves the zone
// itself), rfc2136dns, route53dns and cloudflaredns; all pass dnstest. Packages below internal/app choose one. Its shape follows
// libdns: set, delete, get.
package dns

import (
	"context"
	"net/netip"
)

// Zone holds one address record per desktop. Every record it writes carries the owner mark it was opened
// with; it never lists, changes or deletes a record that does not. All methods may be called at once.
type Zone interface {
	// SetRecords makes each record so; doing it again changes nothing. A foreign record of the same name is
	// left alone and is ErrConflict for that record. A bad record does not fail the others: the error joins
	// one RecordError per failed record.
	SetRecords(ctx context.Context, records []Record) error

	// DeleteRecords removes our records of these names; a name that has none is no error.
	DeleteRecords(ctx context.Context, names []string) error

	// GetRecords returns our records.
	GetRecords(ctx context.Context) ([]Record, error)
}

// Record is one desktop's name.
type Record struct {
	Name    string // fully qualified, without the final dot, lower case
	Address netip.Addr
}

// RecordError says which record an error is about.
type RecordError struct {
	Name string
	Err  error
}

func (e *RecordError) Error() string { return e.Name + ": " + e.Err.Error() }

func (e *RecordError) Unwrap() error { return e.Err }
