package dns

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"greenroom"
)

// Provider is a zone that somebody else serves and that is changed through calls, of which only so many are allowed.
type Provider interface {
	Zone

	// BatchSize is the most names that one call changes.
	BatchSize() int

	// NextCall is when the next call may be made; not after now means at once.
	NextCall() time.Time

	// Settle asks whether every server of the zone knows the changes that were accepted before, as far as the provider tells. A
	// *PendingError if not.
	Settle(ctx context.Context) error
}

// ThrottledError is greenroom.ErrThrottled with the time before which another call is no use.
type ThrottledError struct {
	Until time.Time
	Err   error // what the provider said; may be nil
}

func (e *ThrottledError) Error() string {
	s := "no calls until " + e.Until.UTC().Format(time.RFC3339)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *ThrottledError) Is(target error) bool { return target == greenroom.ErrThrottled }

func (e *ThrottledError) Unwrap() error { return e.Err }

// Mark is the text that marks an owner's record where the provider has a place for text. Its form is that of
// other programs that share zones, so that people and programs recognise it.
func Mark(owner string) string { return "heritage=greenroom,greenroom/owner=" + owner }

// Wildcard is the name of the record that answers for every name below the zone that has none of its own.
func Wildcard(zone string) string { return "*." + zone }

// Fits says why a zone cannot hold the record, or nil. Zone and name are without the final dot. The zone's own wildcard
// fits, and no other.
func Fits(zone string, r Record) error {
	switch {
	case r.Name != Wildcard(zone) && (!greenroom.ValidHostname(r.Name) || !strings.HasSuffix(r.Name, "."+zone)):
		return fmt.Errorf("not a name in lower case below %s: %w", zone, greenroom.ErrPermanent)
	case !r.Address.Is4():
		return fmt.Errorf("%v is not an IPv4 address: %w", r.Address, greenroom.ErrPermanent)
	}
	return nil
}

// Wanted is what a list of records asks for, by name: the last of a name counts. Those that the zone cannot hold
// are left out, with one RecordError each.
func Wanted(zone string, records []Record) (map[string]netip.Addr, []error) {
	wanted := make(map[string]netip.Addr, len(records))
	var errs []error
	for _, r := range records {
		if err := Fits(zone, r); err != nil {
			errs = append(errs, &RecordError{Name: r.Name, Err: err})
			continue
		}
		wanted[r.Name] = r.Address
	}
	return wanted, errs
}

// Apart does what do does for all the names at once, or, if one of them prevents that, for as many together as
// can be: it halves the list until the names in the way stand alone. An error that is Shared is every name's. The
// result is one RecordError per name that was not done.
func Apart(names []string, do func([]string) error) []error {
	if len(names) == 0 {
		return nil
	}
	err := do(names)
	if err == nil {
		return nil
	}
	if len(names) == 1 || Shared(err) {
		return All(names, err)
	}
	half := len(names) / 2
	return append(Apart(names[:half], do), Apart(names[half:], do)...)
}

// All says the same of every name.
func All(names []string, err error) []error {
	errs := make([]error, len(names))
	for i, name := range names {
		errs[i] = &RecordError{Name: name, Err: err}
	}
	return errs
}

// Shared reports whether an error is about more than one record: who is throttled, not let in, or out of time is
// so for all of them. Only ErrConflict and ErrPermanent speak of a record.
func Shared(err error) bool {
	return !errors.Is(err, greenroom.ErrConflict) && !errors.Is(err, greenroom.ErrPermanent)
}
