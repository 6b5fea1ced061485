package dynamostore

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// ofText begins the partition of a name; its items are the name's texts, each its own sort key.
const ofText = "T#"

// textLife is when a text's item expires by itself. Forget forgets it before.
const textLife = 24 * time.Hour

// PutText implements store.Store.
func (s *Store) PutText(ctx context.Context, name, value string, at time.Time) error {
	i := key(ofText+name, value)
	i["shown_at"], i[expires] = number(at.UnixMicro()), number(time.Now().Add(textLife).Unix())
	if _, err := ask(ctx, s, s.db.PutItem, &dynamodb.PutItemInput{TableName: aws.String(s.Table), Item: i}); err != nil {
		return fmt.Errorf("write a text of %s: %w", name, err)
	}
	return nil
}

// DeleteText implements store.Store.
func (s *Store) DeleteText(ctx context.Context, name, value string) error {
	if _, err := ask(ctx, s, s.db.DeleteItem, &dynamodb.DeleteItemInput{TableName: aws.String(s.Table), Key: key(ofText+name, value)}); err != nil {
		return fmt.Errorf("remove a text of %s: %w", name, err)
	}
	return nil
}

// Texts implements store.Store. They are few: who adds them bounds them.
func (s *Store) Texts(ctx context.Context, name string) ([]string, error) {
	page, err := ask(ctx, s, s.db.Query, &dynamodb.QueryInput{
		TableName: aws.String(s.Table), ConsistentRead: aws.Bool(true),
		KeyConditionExpression: aws.String("pk = :pk"), ExpressionAttributeValues: item{":pk": text(ofText + name)},
	})
	if err != nil {
		return nil, fmt.Errorf("texts of %s: %w", name, err)
	}
	if len(page.Items) == 0 {
		return nil, nil
	}
	mark, err := s.get(ctx, key(ofSetting+forgotten, onlySort))
	if err != nil {
		return nil, fmt.Errorf("texts of %s: %w", name, err)
	}
	var out []string
	for _, i := range page.Items {
		if mark == nil || numberOf(i, "shown_at") >= numberOf(mark, "before") {
			out = append(out, textOf(i, sorting))
		}
	}
	return out, nil
}
