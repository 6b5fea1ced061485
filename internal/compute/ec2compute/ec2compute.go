// Package ec2compute gives seats machines on Amazon EC2: one call to RunInstances for the desktops of a meeting that start
// together, one paged look for all who look at once. It paces itself to the account's token buckets, lets who starts first go
// first, and touches nothing that does not carry its owner's tag.
package ec2compute

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"greenroom"
	"greenroom/internal/compute"
)

// Options of a Provider.
type Options struct {
	Owner    string     // the mark of our machines; any other is left alone
	AWS      aws.Config // Region and credentials
	Endpoint string     // of the API; empty: Amazon's own
	Rates    Rates      // zero fields are the documented defaults
	Logger   *slog.Logger
}

// Times and bounds of calls.
const (
	callTimeout  = 15 * time.Second       // of one call
	callReserve  = 5 * time.Second        // what a launch needs of its deadline when its turn comes
	window       = 100 * time.Millisecond // calls that come this close to each other share one
	avoidFor     = 3 * time.Minute        // a place that had no capacity
	blockedFor   = 90 * time.Second       // a type whose quota is full: longer than the plan's pause, so that the other types get a turn
	unofferedFor = time.Hour              // a place that does not know the type
	youngFor     = time.Minute            // a new machine may be missing from a look
	pageSize     = 1000                   // of a look
	maxPages     = 200
	filterValues = 200 // of one filter
	terminateMax = 200 // ids of one call; 1,000 are allowed, fewer are advised
	maxUserData  = 16 << 10
)

// Provider is compute.Provider on EC2. It makes no call before it is used.
type Provider struct {
	o         Options
	api       *ec2.Client
	launches  *queue
	describes *pacer
	removals  *pacer
	looks     *batcher[string, []compute.Instance]
	images    *batcher[string, map[string]image]
	ends      *batcher[[]string, map[string]error]

	mu      sync.Mutex
	account string               // that machines belong to; empty before the first is seen
	avoided map[string]time.Time // places, and until when
	full    map[string]time.Time // types whose quota is full, and until when they are not asked for
	devices map[string]string    // images' root devices
	young   map[string]compute.Instance
	mourned map[string]time.Time // machines whose places were avoided because they ended, and when that was noticed
	ours    map[string]time.Time // ids that were seen with our tag, and when
}

var _ compute.Provider = (*Provider)(nil)

// New returns a provider.
func New(o Options) *Provider {
	o.Rates = o.Rates.orDocumented()
	p := &Provider{
		o: o, avoided: map[string]time.Time{}, full: map[string]time.Time{}, devices: map[string]string{}, young: map[string]compute.Instance{}, ours: map[string]time.Time{}, mourned: map[string]time.Time{},
		launches:  newQueue(o.Rates.RunRequests, o.Rates.RunInstances),
		describes: newPacer(o.Rates.Describe),
		removals:  newPacer(o.Rates.TerminateRequests, o.Rates.TerminateInstances),
	}
	p.looks, p.images, p.ends = newBatcher(p.look), newBatcher(p.lookUp), newBatcher(p.end)
	cfg := o.AWS.Copy()
	cfg.Retryer = func() aws.Retryer { return aws.NopRetryer{} } // how often to ask is decided here
	p.api = ec2.NewFromConfig(cfg, func(options *ec2.Options) {
		if o.Endpoint != "" {
			options.BaseEndpoint = aws.String(o.Endpoint)
		}
		options.HTTPClient = punctual{options.HTTPClient}
	})
	return p
}

// Account is the id of the AWS account that our machines belong to, as EC2 said with the last of them; empty before this process
// has seen one. It makes no call.
func (p *Provider) Account() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.account
}

// Places implements compute.Provider: a place is an instance type in a subnet.
func (p *Provider) Places(b greenroom.Blueprint) []string {
	all := places(b.EC2)
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for _, place := range all {
		kind, _, _ := strings.Cut(place, "/")
		if now := time.Now(); !p.avoided[place].After(now) && !p.full[kind].After(now) {
			out = append(out, place)
		}
	}
	if len(out) == 0 {
		return all
	}
	return out
}

// refused notes where a launch was refused. Capacity is a zone's; a quota is the type's wherever it is asked for.
func (p *Provider) refused(c *call, err error) {
	r, _ := ruleOn(err)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch until := time.Now().Add(r.avoid); {
	case r.avoid == 0:
	case errors.Is(r.kind, greenroom.ErrBlocked):
		kind, _, _ := strings.Cut(c.place, "/")
		p.full[kind] = until
	default:
		p.avoided[c.place] = until
	}
}

// punctual sends nothing once its deadline has passed: a process that was stopped goes on before its timers notice.
type punctual struct{ next ec2.HTTPClient }

type deadlineKey struct{}

func (c punctual) Do(r *http.Request) (*http.Response, error) {
	if ctx, ok := r.Context().Value(deadlineKey{}).(context.Context); ok {
		if at, bounded := ctx.Deadline(); bounded && !time.Now().Before(at) {
			return nil, context.DeadlineExceeded
		}
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
	}
	return c.next.Do(r)
}

// bounded gives a call its own time. It takes no hold after the end of ctx; whether it did before that is told by its answer,
// which is waited for unless ctx is cancelled.
func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	call, cancel := context.WithTimeout(context.WithValue(context.WithoutCancel(ctx), deadlineKey{}, ctx), callTimeout)
	stop := context.AfterFunc(ctx, cancel)
	return call, func() { stop(); cancel() }
}
