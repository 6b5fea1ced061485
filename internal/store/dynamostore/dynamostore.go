// Package dynamostore keeps meetings in one DynamoDB table, which any number of processes and functions share.
//
// A meeting is one item with a revision, written on the condition that the revision is the one that was read. What
// happened in a save lies beside it, in the same partition and the same transaction. Indexes hold what is looked for by
// wake, by state and start, and by kind of event; they follow a little later than the items, so what they name is read
// again before it is handed out. The wakes are promised by the table's stream: see Changes.
package dynamostore

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"greenroom/internal/backoff"
	"greenroom/internal/store"
)

// Options say where a Store keeps its data.
type Options struct {
	AWS   aws.Config // region and credentials; its HTTPClient and BaseEndpoint are kept if set
	Table string     // made by deploy/aws, or by CreateTable

	// KeepHistory is how long timelines and closed meetings stay after their end, by the table's own expiry, which
	// may take days longer. Zero keeps them for ever.
	KeepHistory time.Duration
}

// Store is a store.Store on a DynamoDB table.
type Store struct {
	Options
	db    *dynamodb.Client
	heads heads
}

var _ store.Store = (*Store)(nil)

// How long a caller may wait, and how hard is tried meanwhile.
const (
	patience    = 15 * time.Second // of one call, all attempts together
	attemptTime = 4 * time.Second  // of one attempt, after which its answer counts as lost
	maxAttempts = 12
	connections = 64 // kept open: a list asks all of its partitions at once
)

// New returns the store in a table. It asks nothing of AWS: a function that has just been started shall answer soon.
// Check tells whether the table is as it must be.
func New(o Options) *Store {
	return &Store{Options: o, db: client(o.AWS), heads: heads{known: map[string]head{}}}
}

func client(cfg aws.Config) *dynamodb.Client {
	if cfg.HTTPClient == nil {
		cfg.HTTPClient = awshttp.NewBuildableClient().WithTimeout(attemptTime).WithTransportOptions(func(t *http.Transport) {
			t.MaxIdleConnsPerHost = connections
		})
	}
	return dynamodb.NewFromConfig(cfg, func(o *dynamodb.Options) { o.Retryer = retryer() })
}

// retryer tries again what DynamoDB refused for the moment or did not answer. That is safe: every write is either
// conditional, and recognises itself, or says the same twice.
func retryer() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = maxAttempts
		o.RateLimiter = ratelimit.None // attempts and time are bounded for each call
		o.Backoff = retry.BackoffDelayerFunc(retries.Delay)
		o.Retryables = append([]retry.IsErrorRetryable{retry.IsErrorRetryableFunc(inTheWay)}, o.Retryables...)
	})
}

// retries are the pauses between the attempts of a call, and between reads of a stream that cannot be read.
var retries = backoff.Schedule{First: 25 * time.Millisecond, Most: time.Second}

// inTheWay reports that another transaction held one of the items.
func inTheWay(err error) aws.Ternary {
	if _, ok := errors.AsType[*types.TransactionConflictException](err); ok {
		return aws.TrueTernary
	}
	cancelled, ok := errors.AsType[*types.TransactionCanceledException](err)
	if !ok {
		return aws.UnknownTernary
	}
	again := aws.FalseTernary
	for _, r := range cancelled.CancellationReasons {
		switch aws.ToString(r.Code) {
		case "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded":
			again = aws.TrueTernary
		case "None", "":
		default:
			return aws.FalseTernary
		}
	}
	return again
}

// ask makes one call, bounded in time, and explains its error.
func ask[In, Out any](ctx context.Context, s *Store, call func(context.Context, *In, ...func(*dynamodb.Options)) (*Out, error), in *In) (*Out, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	out, err := call(bounded, in)
	if err != nil {
		return nil, explain(ctx, err, s.Table, s.AWS.Region)
	}
	return out, nil
}

// head is what the next save of a meeting must know of the revision before it. It follows from meeting and revision,
// so it can be remembered without ever being wrong.
type head struct {
	rev       int64
	seq       int64  // of the last event
	saves     string // the marks of the last saves, the newest first
	instances []string
}

// maxHeads bounds what is remembered: some 200 bytes each.
const maxHeads = 20_000

type heads struct {
	mu    sync.Mutex
	known map[string]head // by meeting
}

func (h *heads) get(id string, rev int64) (head, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	known, ok := h.known[id]
	return known, ok && known.rev == rev
}

func (h *heads) put(id string, of head) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.known) >= maxHeads {
		clear(h.known)
	}
	h.known[id] = of
}

func missing(id string, kind error) error { return fmt.Errorf("meeting %s: %w", id, kind) }
