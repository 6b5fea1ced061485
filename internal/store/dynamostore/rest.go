package dynamostore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"greenroom"
	"greenroom/internal/store"
)

// PutRecords implements store.Store.
func (s *Store) PutRecords(ctx context.Context, records []store.Record) error {
	byName := map[string]types.WriteRequest{} // a batch may name an item once
	for _, r := range records {
		i := key(ofRecords, r.Name)
		i["address"], i["owner"] = text(r.AddressText()), text(r.Owner)
		byName[r.Name] = types.WriteRequest{PutRequest: &types.PutRequest{Item: i}}
	}
	return s.writeRecords(ctx, byName)
}

// DeleteRecords implements store.Store.
func (s *Store) DeleteRecords(ctx context.Context, names []string) error {
	byName := map[string]types.WriteRequest{}
	for _, name := range names {
		byName[name] = types.WriteRequest{DeleteRequest: &types.DeleteRequest{Key: key(ofRecords, name)}}
	}
	return s.writeRecords(ctx, byName)
}

func (s *Store) writeRecords(ctx context.Context, byName map[string]types.WriteRequest) error {
	var writes []types.WriteRequest
	for _, w := range byName {
		writes = append(writes, w)
	}
	if err := s.batch(ctx, writes); err != nil {
		return fmt.Errorf("write records: %w", err)
	}
	return nil
}

// Records implements store.Store.
func (s *Store) Records(ctx context.Context) ([]store.Record, error) {
	in := &dynamodb.QueryInput{
		TableName: aws.String(s.Table), ConsistentRead: aws.Bool(true),
		KeyConditionExpression: aws.String("pk = :pk"), ExpressionAttributeValues: item{":pk": text(ofRecords)},
	}
	var out []store.Record
	for {
		page, err := ask(ctx, s, s.db.Query, in)
		if err != nil {
			return nil, fmt.Errorf("list records: %w", err)
		}
		for _, i := range page.Items {
			r, err := recordOf(i)
			if err != nil {
				return nil, err
			}
			out = append(out, r)
		}
		if len(page.LastEvaluatedKey) == 0 {
			slices.SortFunc(out, func(a, b store.Record) int { return cmp.Compare(a.Name, b.Name) })
			return out, nil
		}
		in.ExclusiveStartKey = page.LastEvaluatedKey
	}
}

// Record implements store.Store.
func (s *Store) Record(ctx context.Context, name string) (store.Record, error) {
	found, err := s.get(ctx, key(ofRecords, name))
	if err == nil && found == nil {
		err = greenroom.ErrNotFound
	}
	if err != nil {
		return store.Record{}, fmt.Errorf("record %s: %w", name, err)
	}
	return recordOf(found)
}

func recordOf(i item) (store.Record, error) {
	r := store.Record{Name: textOf(i, sorting), Owner: textOf(i, "owner")}
	if err := r.SetAddressText(textOf(i, "address")); err != nil {
		return store.Record{}, fmt.Errorf("record %s: %w", textOf(i, sorting), err)
	}
	return r, nil
}

// Forget implements store.Store. It notes the time; what was kept before that expires by itself.
func (s *Store) Forget(ctx context.Context, before time.Time) error {
	i := key(ofSetting+forgotten, onlySort)
	i["before"] = number(ceilMicro(before))
	_, err := ask(ctx, s, s.db.PutItem, &dynamodb.PutItemInput{
		TableName: aws.String(s.Table), Item: i,
		ConditionExpression:       aws.String("attribute_not_exists(#before) or #before < :before"),
		ExpressionAttributeNames:  map[string]string{"#before": "before"},
		ExpressionAttributeValues: item{":before": i["before"]},
	})
	if err != nil && !errors.Is(err, errRefused) { // refused by somebody who forgot more
		return fmt.Errorf("forget idempotency keys: %w", err)
	}
	return nil
}

// Ping implements store.Store.
func (s *Store) Ping(ctx context.Context) error {
	i := key(ofPulse, onlySort)
	i["beat"] = text(time.Now().UTC().Format(time.RFC3339Nano))
	_, err := ask(ctx, s, s.db.PutItem, &dynamodb.PutItemInput{TableName: aws.String(s.Table), Item: i})
	if err == nil {
		_, err = s.get(ctx, key(ofPulse, onlySort))
	}
	if err != nil {
		return fmt.Errorf("ping: %w", err)
	}
	return nil
}
