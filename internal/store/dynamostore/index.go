package dynamostore

import (
	"cmp"
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"golang.org/x/sync/errgroup"
)

// span is a part of an index by its sorting keys, both ends included.
type span struct {
	low, high string
	newest    bool // from the high end
}

// Before and after everything that is sorted by time: hex digits, then letters and digits.
const lowest, highest = "0", "~"

// after is the rest of s behind a place. Places end with letters and digits, so there is a text just before and one just
// behind each.
func (s span) after(at string) span {
	if s.newest {
		s.high = at[:len(at)-1] + string(at[len(at)-1]-1) + highest
	} else {
		s.low = at + "!"
	}
	return s
}

// look returns the first n entries of the partitions of an index, merged in order, and whether there are more.
func (s *Store) look(ctx context.Context, x index, partitions []string, where span, n int) ([]item, bool, error) {
	if where.low > where.high {
		return nil, false, nil
	}
	found := make([][]item, len(partitions))
	all, ctx := errgroup.WithContext(ctx)
	for i, p := range partitions {
		all.Go(func() (err error) {
			found[i], err = s.lookIn(ctx, x, p, where, n+1)
			return err
		})
	}
	if err := all.Wait(); err != nil {
		return nil, false, err
	}
	entries := slices.Concat(found...)
	slices.SortStableFunc(entries, func(a, b item) int {
		if where.newest {
			a, b = b, a
		}
		return cmp.Compare(textOf(a, x.sort), textOf(b, x.sort))
	})
	return entries[:min(n, len(entries))], len(entries) > n, nil
}

func (s *Store) lookIn(ctx context.Context, x index, p string, where span, n int) ([]item, error) {
	var out []item
	in := &dynamodb.QueryInput{
		TableName: aws.String(s.Table), IndexName: aws.String(x.name),
		KeyConditionExpression:    aws.String("#hash = :hash and #sort between :low and :high"),
		ExpressionAttributeNames:  map[string]string{"#hash": x.hash, "#sort": x.sort},
		ExpressionAttributeValues: item{":hash": text(p), ":low": text(where.low), ":high": text(where.high)},
		ScanIndexForward:          aws.Bool(!where.newest),
	}
	for {
		in.Limit = aws.Int32(int32(n - len(out)))
		page, err := ask(ctx, s, s.db.Query, in)
		if err != nil {
			return nil, err
		}
		out = append(out, page.Items...)
		if len(out) >= n || len(page.LastEvaluatedKey) == 0 {
			return out, nil
		}
		in.ExclusiveStartKey = page.LastEvaluatedKey
	}
}

// confirm reads again, consistently, what an index names, and returns what is still at the same place, in order and
// once. While an entry moves, an index may name it twice or not at all.
func (s *Store) confirm(ctx context.Context, x index, entries []item, attributes string) ([]item, error) {
	keys := make([]item, len(entries))
	for i, e := range entries {
		keys[i] = item{partition: e[partition], sorting: e[sorting]}
	}
	now, err := s.getAll(ctx, keys, attributes)
	if err != nil {
		return nil, err
	}
	var out []item
	for _, e := range entries {
		pk := textOf(e, partition)
		if i, ok := now[pk]; ok && textOf(i, x.sort) == textOf(e, x.sort) {
			out = append(out, i)
			delete(now, pk)
		}
	}
	return out, nil
}

// How much getAll asks for at once: what a call takes, and how many calls.
const (
	maxGet       = 100
	getsTogether = 8
)

// getAll reads items consistently and returns those that exist by their partitions, of which no two may be alike. With
// attributes it returns only those, which must name pk.
func (s *Store) getAll(ctx context.Context, keys []item, attributes string) (map[string]item, error) {
	slices.SortFunc(keys, func(a, b item) int { return cmp.Compare(textOf(a, partition), textOf(b, partition)) })
	keys = slices.CompactFunc(keys, func(a, b item) bool { return textOf(a, partition) == textOf(b, partition) })
	chunks := slices.Collect(slices.Chunk(keys, maxGet))
	found := make([][]item, len(chunks))
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(getsTogether)
	for i, chunk := range chunks {
		all.Go(func() (err error) {
			found[i], err = s.getChunk(ctx, chunk, attributes)
			return err
		})
	}
	if err := all.Wait(); err != nil {
		return nil, err
	}
	out := map[string]item{}
	for _, i := range slices.Concat(found...) {
		out[textOf(i, partition)] = i
	}
	return out, nil
}

func (s *Store) getChunk(ctx context.Context, keys []item, attributes string) (out []item, err error) {
	want := types.KeysAndAttributes{Keys: keys, ConsistentRead: aws.Bool(true)}
	if attributes != "" {
		want.ProjectionExpression = aws.String(attributes)
	}
	err = s.untilDone(ctx, func() (bool, error) {
		page, err := ask(ctx, s, s.db.BatchGetItem, &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{s.Table: want}})
		if err != nil {
			return false, err
		}
		out = append(out, page.Responses[s.Table]...)
		want = page.UnprocessedKeys[s.Table]
		return len(want.Keys) == 0, nil
	})
	return out, err
}
