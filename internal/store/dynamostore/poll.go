package dynamostore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
	"golang.org/x/sync/errgroup"

	"greenroom"
	"greenroom/internal/logkey"
)

// How often a shard of the stream is read, and how often is looked for new shards: a reader may ask five times a second,
// and a shard lives for hours.
const (
	pollEvery   = 250 * time.Millisecond
	shardsEvery = 10 * time.Second
)

// Poller reads the table's stream where no Lambda does it: in tests, and in a server. It keeps no place: whenever it
// begins, it begins with the oldest change that the stream still has, of 24 hours ago at most.
type Poller struct {
	Store  *Store
	Follow func(ctx context.Context, meeting string) error
	Logger *slog.Logger
}

// Run follows changes, those of a shard in order, until ctx ends. What fails is tried again until it succeeds.
func (p *Poller) Run(ctx context.Context) error {
	table, err := ask(ctx, p.Store, p.Store.db.DescribeTable, &dynamodb.DescribeTableInput{TableName: aws.String(p.Store.Table)})
	if err != nil {
		return fmt.Errorf("find the stream: %w", err)
	}
	if table.Table.LatestStreamArn == nil {
		return &greenroom.UserError{
			Message: fmt.Sprintf("The table %s has no stream: make it as deploy/aws does.", p.Store.Table), Cause: greenroom.ErrPermanent,
		}
	}
	r := &reading{
		Poller: p, stream: table.Table.LatestStreamArn, done: map[string]chan struct{}{},
		streams: dynamodbstreams.NewFromConfig(p.Store.AWS, func(o *dynamodbstreams.Options) { o.Retryer = retryer() }),
	}
	shards, ctx := errgroup.WithContext(ctx)
	for ctx.Err() == nil {
		if err := r.begin(ctx, shards); err != nil && ctx.Err() == nil {
			p.Logger.Warn("cannot list the shards of the stream", logkey.Err, err)
		}
		wait(ctx, shardsEvery)
	}
	return shards.Wait()
}

// reading is one run of a Poller.
type reading struct {
	*Poller
	streams *dynamodbstreams.Client
	stream  *string
	done    map[string]chan struct{} // by shard; closed when it was read to its end
}

// begin reads the shards that are new, each after the one that it continues.
func (r *reading) begin(ctx context.Context, readers *errgroup.Group) error {
	in := &dynamodbstreams.DescribeStreamInput{StreamArn: r.stream}
	for {
		out, err := r.streams.DescribeStream(ctx, in)
		if err != nil {
			return err
		}
		for _, s := range out.StreamDescription.Shards {
			id, parent := aws.ToString(s.ShardId), r.done[aws.ToString(s.ParentShardId)]
			if r.done[id] != nil {
				continue
			}
			over := make(chan struct{})
			r.done[id] = over
			readers.Go(func() error {
				defer close(over)
				if parent != nil {
					select {
					case <-ctx.Done():
					case <-parent:
					}
				}
				r.read(ctx, id)
				return nil
			})
		}
		if in.ExclusiveStartShardId = out.StreamDescription.LastEvaluatedShardId; in.ExclusiveStartShardId == nil {
			return nil
		}
	}
}

// read follows a shard to its end.
func (r *reading) read(ctx context.Context, shard string) {
	last := "" // the sequence number of what was done last
	var at *string
	for failures := 0; ctx.Err() == nil; {
		var err error
		if at == nil {
			at, err = r.place(ctx, shard, last)
		}
		var out *dynamodbstreams.GetRecordsOutput
		if err == nil {
			out, err = r.streams.GetRecords(ctx, &dynamodbstreams.GetRecordsInput{ShardIterator: at})
		}
		if err != nil {
			at = nil // it may have expired
			if ctx.Err() == nil {
				r.Logger.Warn("cannot read the stream", logkey.Shard, shard, logkey.Err, err)
			}
			failures++
			wait(ctx, retries.Spread(failures))
			continue
		}
		failures = 0
		r.follow(ctx, out.Records)
		if n := len(out.Records); n > 0 {
			last = aws.ToString(out.Records[n-1].Dynamodb.SequenceNumber)
		}
		if at = out.NextShardIterator; at == nil {
			return
		}
		if len(out.Records) == 0 {
			wait(ctx, pollEvery)
		}
	}
}

func (r *reading) place(ctx context.Context, shard, last string) (*string, error) {
	in := &dynamodbstreams.GetShardIteratorInput{StreamArn: r.stream, ShardId: aws.String(shard), ShardIteratorType: types.ShardIteratorTypeTrimHorizon}
	if last != "" {
		in.ShardIteratorType, in.SequenceNumber = types.ShardIteratorTypeAfterSequenceNumber, aws.String(last)
	}
	out, err := r.streams.GetShardIterator(ctx, in)
	if _, trimmed := errors.AsType[*types.TrimmedDataAccessException](err); trimmed && last != "" {
		return r.place(ctx, shard, "")
	}
	if err != nil {
		return nil, err
	}
	return out.ShardIterator, nil
}

// follow goes on until all of a batch is done.
func (r *reading) follow(ctx context.Context, records []types.Record) {
	var changes []Change
	for _, rec := range records {
		pk, _ := rec.Dynamodb.Keys[partition].(*types.AttributeValueMemberS)
		sk, _ := rec.Dynamodb.Keys[sorting].(*types.AttributeValueMemberS)
		if pk != nil && sk != nil {
			changes = appendChange(changes, pk.Value, sk.Value, aws.ToString(rec.Dynamodb.SequenceNumber))
		}
	}
	for attempt := 0; len(changes) > 0 && ctx.Err() == nil; attempt++ {
		again, err := Follow(ctx, changes, r.Follow)
		if changes = again.from(changes); len(changes) > 0 && ctx.Err() == nil {
			r.Logger.Warn("changes could not be processed", logkey.Changes, len(changes), logkey.Err, err)
			wait(ctx, retries.Spread(attempt))
		}
	}
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
