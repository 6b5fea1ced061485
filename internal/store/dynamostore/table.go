package dynamostore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"greenroom"
)

// The table's attributes. Keys and indexes are named here, in deploy/aws and in docs/dynamodb.md.
const (
	partition = "pk"
	sorting   = "sk"
	expires   = "ttl" // seconds since 1970
)

// index is one of the table's indexes. Its entries are spread over shards, and sorted by a key within each.
type index struct {
	name       string
	hash, sort string
	whole      bool // it holds the items whole, not only their keys
}

var (
	byWake   = index{name: "due", hash: "due", sort: "wake"}
	byStart  = index{name: "starts", hash: "state", sort: "starts"}
	byLive   = index{name: "live", hash: "live", sort: partition}
	byKind   = index{name: "recent", hash: "kind", sort: "at", whole: true}
	indexes  = []index{byWake, byStart, byLive, byKind}
	ofString = types.ScalarAttributeTypeS
)

// Definition is the table as CreateTable wants it: on demand, with its indexes and a stream of keys.
func Definition(table string) *dynamodb.CreateTableInput {
	attribute := func(name string) types.AttributeDefinition {
		return types.AttributeDefinition{AttributeName: aws.String(name), AttributeType: ofString}
	}
	in := &dynamodb.CreateTableInput{
		TableName: aws.String(table), BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{attribute(partition), attribute(sorting)},
		KeySchema:            keySchema(partition, sorting),
		StreamSpecification:  &types.StreamSpecification{StreamEnabled: aws.Bool(true), StreamViewType: types.StreamViewTypeKeysOnly},
	}
	for _, x := range indexes {
		holds := types.ProjectionTypeKeysOnly
		if x.whole {
			holds = types.ProjectionTypeAll
		}
		in.AttributeDefinitions = append(in.AttributeDefinitions, attribute(x.hash))
		if x.sort != partition {
			in.AttributeDefinitions = append(in.AttributeDefinitions, attribute(x.sort))
		}
		in.GlobalSecondaryIndexes = append(in.GlobalSecondaryIndexes, types.GlobalSecondaryIndex{
			IndexName: aws.String(x.name), KeySchema: keySchema(x.hash, x.sort), Projection: &types.Projection{ProjectionType: holds},
		})
	}
	return in
}

func keySchema(hash, sort string) []types.KeySchemaElement {
	return []types.KeySchemaElement{
		{AttributeName: aws.String(hash), KeyType: types.KeyTypeHash},
		{AttributeName: aws.String(sort), KeyType: types.KeyTypeRange},
	}
}

// CreateTable makes the table of o and waits until it can be used. A table that is there already, as after a call whose answer was
// lost, must be as CreateTable makes it.
func CreateTable(ctx context.Context, o Options) error {
	s := New(o)
	_, err := ask(ctx, s, s.db.CreateTable, Definition(o.Table))
	existed := errors.Is(err, greenroom.ErrConflict)
	if err != nil && !existed {
		return fmt.Errorf("create the table: %w", err)
	}
	ready := dynamodb.NewTableExistsWaiter(s.db, func(w *dynamodb.TableExistsWaiterOptions) { w.MinDelay = time.Second })
	if err := ready.Wait(ctx, &dynamodb.DescribeTableInput{TableName: aws.String(o.Table)}, 5*time.Minute); err != nil {
		return fmt.Errorf("wait for the table: %w", err)
	}
	_, err = ask(ctx, s, s.db.UpdateTimeToLive, &dynamodb.UpdateTimeToLiveInput{
		TableName:               aws.String(o.Table),
		TimeToLiveSpecification: &types.TimeToLiveSpecification{AttributeName: aws.String(expires), Enabled: aws.Bool(true)},
	})
	if err != nil {
		return fmt.Errorf("let the table's items expire: %w", err)
	}
	if existed {
		return s.Check(ctx)
	}
	return nil
}

// Check tells in one sentence what is wrong with the table: that it is not there, or is another one's, or lacks an
// index, its stream or its expiry.
func (s *Store) Check(ctx context.Context) error {
	out, err := ask(ctx, s, s.db.DescribeTable, &dynamodb.DescribeTableInput{TableName: aws.String(s.Table)})
	if err != nil {
		return fmt.Errorf("look at the table: %w", err)
	}
	wrong := faults(Definition(s.Table), out.Table)
	life, err := ask(ctx, s, s.db.DescribeTimeToLive, &dynamodb.DescribeTimeToLiveInput{TableName: aws.String(s.Table)})
	switch {
	case err != nil:
		return fmt.Errorf("look at the table: %w", err)
	case life.TimeToLiveDescription == nil || aws.ToString(life.TimeToLiveDescription.AttributeName) != expires:
		wrong = append(wrong, "no expiry by the attribute "+expires)
	}
	if len(wrong) == 0 {
		return nil
	}
	return &greenroom.UserError{
		Message: fmt.Sprintf("The table %s has %s: make it as deploy/aws does, or name another.", s.Table, strings.Join(wrong, ", ")),
		Cause:   greenroom.ErrPermanent,
	}
}

func faults(want *dynamodb.CreateTableInput, got *types.TableDescription) (wrong []string) {
	if !sameKeys(want.KeySchema, got.KeySchema) {
		wrong = append(wrong, "other keys than "+partition+" and "+sorting)
	}
	for _, x := range want.GlobalSecondaryIndexes {
		found := slices.ContainsFunc(got.GlobalSecondaryIndexes, func(g types.GlobalSecondaryIndexDescription) bool {
			return *x.IndexName == aws.ToString(g.IndexName) && sameKeys(x.KeySchema, g.KeySchema)
		})
		if !found {
			wrong = append(wrong, "no index "+*x.IndexName)
		}
	}
	if got.StreamSpecification == nil || !aws.ToBool(got.StreamSpecification.StreamEnabled) {
		wrong = append(wrong, "no stream")
	}
	return wrong
}

func sameKeys(a, b []types.KeySchemaElement) bool {
	return slices.EqualFunc(a, b, func(x, y types.KeySchemaElement) bool {
		return aws.ToString(x.AttributeName) == aws.ToString(y.AttributeName) && x.KeyType == y.KeyType
	})
}
