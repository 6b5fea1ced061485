package observe

import (
	"context"
	"errors"
	"time"

	"greenroom"
	"greenroom/internal/certs"
	"greenroom/internal/compute"
	"greenroom/internal/dns"
)

// Call is one call to a provider of machines, names or certificates.
type Call struct {
	System string // Compute, DNS or Certificates
	Name   string // which of them, as the configuration names it
	Do     string // "launch", "list" and so on
}

// The systems that greenroom calls.
const (
	Compute      = "compute"
	DNS          = "dns"
	Certificates = "certificates"
)

// Calls is told of each call before it is made, and returns the context to make it with and what is to be told of its end. It is
// called from many goroutines.
type Calls func(ctx context.Context, c Call) (context.Context, func(err error))

// CallsTogether tells all of fs, in order; each sees the context of the one before.
func CallsTogether(fs ...Calls) Calls {
	return func(ctx context.Context, c Call) (context.Context, func(error)) {
		ends := make([]func(error), len(fs))
		for i, f := range fs {
			ctx, ends[i] = f(ctx, c)
		}
		return ctx, func(err error) {
			for _, end := range ends {
				end(err)
			}
		}
	}
}

// Outcome is what came of a call, in one word.
type Outcome string

// The outcomes there are.
const (
	OK        Outcome = "ok"
	Pending   Outcome = "pending"   // the answer is to be asked for again
	Throttled Outcome = "throttled" // too many calls, or not yet its turn
	Capacity  Outcome = "capacity"  // the provider has no machine to give
	Blocked   Outcome = "blocked"   // refused for now: a full quota, rights that are missing
	Refused   Outcome = "refused"   // the same call will never work: a wrong value, a name that somebody else has
	Cancelled Outcome = "cancelled" // greenroom stopped waiting because it stops
	Failed    Outcome = "error"     // anything else, time-outs too
)

// Outcomes lists every outcome.
func Outcomes() []Outcome {
	return []Outcome{OK, Pending, Throttled, Capacity, Blocked, Refused, Cancelled, Failed}
}

// OutcomeOf puts what came of a call into one word.
func OutcomeOf(err error) Outcome {
	switch {
	case err == nil:
		return OK
	case errors.Is(err, certs.ErrPending), errors.Is(err, certs.ErrUnnamed), isPending(err):
		return Pending
	case errors.Is(err, greenroom.ErrThrottled):
		return Throttled
	case errors.Is(err, greenroom.ErrCapacity):
		return Capacity
	case errors.Is(err, greenroom.ErrBlocked):
		return Blocked
	case errors.Is(err, greenroom.ErrPermanent), errors.Is(err, greenroom.ErrForbidden), errors.Is(err, greenroom.ErrConflict), errors.Is(err, greenroom.ErrEnded):
		return Refused
	case errors.Is(err, context.Canceled):
		return Cancelled
	default:
		return Failed
	}
}

func isPending(err error) bool {
	_, ok := errors.AsType[*dns.PendingError](err)
	return ok
}

// Provider is a provider of machines whose calls are seen.
type Provider struct {
	compute.Provider
	Name  string
	Calls Calls
}

// Launch implements compute.Provider. What came of it is what came of its requests together.
func (p Provider) Launch(ctx context.Context, requests []compute.Request) []compute.Outcome {
	ctx, end := p.Calls(ctx, Call{Compute, p.Name, "launch"})
	outcomes := p.Provider.Launch(ctx, requests)
	errs := make([]error, len(outcomes))
	for i, o := range outcomes {
		errs[i] = o.Err
	}
	end(errors.Join(errs...))
	return outcomes
}

// List implements compute.Provider.
func (p Provider) List(ctx context.Context, meeting string) ([]compute.Instance, error) {
	ctx, end := p.Calls(ctx, Call{Compute, p.Name, "list"})
	list, err := p.Provider.List(ctx, meeting)
	end(err)
	return list, err
}

// Terminate implements compute.Provider.
func (p Provider) Terminate(ctx context.Context, ids ...string) error {
	ctx, end := p.Calls(ctx, Call{Compute, p.Name, "terminate"})
	err := p.Provider.Terminate(ctx, ids...)
	end(err)
	return err
}

// Zone is a zone whose calls are seen.
type Zone struct {
	dns.Zone
	Name  string
	Calls Calls
}

// SetRecords implements dns.Zone.
func (z Zone) SetRecords(ctx context.Context, records []dns.Record) error {
	ctx, end := z.Calls(ctx, Call{DNS, z.Name, "set"})
	err := z.Zone.SetRecords(ctx, records)
	end(err)
	return err
}

// DeleteRecords implements dns.Zone.
func (z Zone) DeleteRecords(ctx context.Context, names []string) error {
	ctx, end := z.Calls(ctx, Call{DNS, z.Name, "delete"})
	err := z.Zone.DeleteRecords(ctx, names)
	end(err)
	return err
}

// GetRecords implements dns.Zone.
func (z Zone) GetRecords(ctx context.Context) ([]dns.Record, error) {
	ctx, end := z.Calls(ctx, Call{DNS, z.Name, "get"})
	records, err := z.Zone.GetRecords(ctx)
	end(err)
	return records, err
}

// DNSProvider is a zone that somebody else serves whose calls are seen.
type DNSProvider struct {
	dns.Provider // for what is no call
	zone         Zone
}

// NewDNSProvider returns p with its calls seen.
func NewDNSProvider(p dns.Provider, name string, calls Calls) DNSProvider {
	return DNSProvider{Provider: p, zone: Zone{p, name, calls}}
}

// SetRecords implements dns.Zone.
func (p DNSProvider) SetRecords(ctx context.Context, records []dns.Record) error {
	return p.zone.SetRecords(ctx, records)
}

// DeleteRecords implements dns.Zone.
func (p DNSProvider) DeleteRecords(ctx context.Context, names []string) error {
	return p.zone.DeleteRecords(ctx, names)
}

// GetRecords implements dns.Zone.
func (p DNSProvider) GetRecords(ctx context.Context) ([]dns.Record, error) {
	return p.zone.GetRecords(ctx)
}

// Issuer is an issuer of certificates whose calls are seen.
type Issuer struct {
	certs.Issuer
	Name  string
	Calls Calls
}

// Issue implements certs.Issuer.
func (i Issuer) Issue(ctx context.Context, request []byte, hostname string, until time.Time) ([]byte, error) {
	ctx, end := i.Calls(ctx, Call{Certificates, i.Name, "issue"})
	chain, err := i.Issuer.Issue(ctx, request, hostname, until)
	end(err)
	return chain, err
}
