package dynamostore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"greenroom"
)

// ofFiles begins the partition of a file tree, ofLock that of a lock.
const (
	ofFiles = "F#"
	ofLock  = "L#"
)

const (
	lockLife   = 5 * time.Minute // of a lock whose holder does not come back
	lockPause  = 250 * time.Millisecond
	maxContent = 300 << 10 // bytes of a file: an item holds 400 KB
)

// Files keeps what programs usually keep in a directory: the small files of a certificate authority's client, say. Names are
// paths with slashes. Errors for a name that is not there are fs.ErrNotExist.
type Files struct {
	s    *Store
	tree string
	life time.Duration
}

// Files returns the tree of that name. A file is forgotten so long after it was stored, or a day later; zero is never.
// It asks nothing of AWS.
func (s *Store) Files(tree string, life time.Duration) Files { return Files{s, tree, life} }

func (f Files) key(name string) item { return key(ofFiles+f.tree, path.Clean("/"+name)) }

// String is for error messages.
func (f Files) String() string { return fmt.Sprintf("the files %s of the table %s", f.tree, f.s.Table) }

// Store puts content into the file, whether or not it is there.
func (f Files) Store(ctx context.Context, name string, content []byte) error {
	if len(content) > maxContent {
		return fmt.Errorf("store %s: %d bytes are more than an item holds: %w", name, len(content), greenroom.ErrPermanent)
	}
	i := f.key(name)
	i["content"], i["modified"] = &types.AttributeValueMemberB{Value: content}, number(time.Now().UnixMicro())
	if f.life > 0 {
		i[expires] = number(time.Now().Add(f.life).Unix())
	}
	if _, err := ask(ctx, f.s, f.s.db.PutItem, &dynamodb.PutItemInput{TableName: aws.String(f.s.Table), Item: i}); err != nil {
		return fmt.Errorf("store %s: %w", name, err)
	}
	return nil
}

// Load reads a file as the last Store left it, and says when that was.
func (f Files) Load(ctx context.Context, name string) (content []byte, modified time.Time, err error) {
	found, err := f.s.get(ctx, f.key(name))
	if err == nil && found == nil {
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("load %s: %w", name, err)
	}
	value, _ := found["content"].(*types.AttributeValueMemberB)
	return value.Value, time.UnixMicro(numberOf(found, "modified")), nil
}

// Delete removes the file of that name, or all those of the directory of that name. One that is not there is no error.
func (f Files) Delete(ctx context.Context, name string) error {
	below, err := f.List(ctx, name)
	if err != nil {
		return err
	}
	writes := []types.WriteRequest{{DeleteRequest: &types.DeleteRequest{Key: f.key(name)}}}
	for _, one := range below {
		writes = append(writes, types.WriteRequest{DeleteRequest: &types.DeleteRequest{Key: f.key(one)}})
	}
	if err := f.s.batch(ctx, writes); err != nil {
		return fmt.Errorf("delete %s: %w", name, err)
	}
	return nil
}

// List returns the names of the files below a directory, at any depth.
func (f Files) List(ctx context.Context, directory string) ([]string, error) {
	in := &dynamodb.QueryInput{
		TableName: aws.String(f.s.Table), ConsistentRead: aws.Bool(true),
		ProjectionExpression:      aws.String(sorting),
		KeyConditionExpression:    aws.String("pk = :pk and begins_with(sk, :below)"),
		ExpressionAttributeValues: item{":pk": text(ofFiles + f.tree), ":below": text(strings.TrimSuffix(path.Clean("/"+directory), "/") + "/")},
	}
	var out []string
	for {
		page, err := ask(ctx, f.s, f.s.db.Query, in)
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", directory, err)
		}
		for _, i := range page.Items {
			out = append(out, strings.TrimPrefix(textOf(i, sorting), "/"))
		}
		if in.ExclusiveStartKey = page.LastEvaluatedKey; len(in.ExclusiveStartKey) == 0 {
			return out, nil
		}
	}
}

// Lock waits until nobody holds the lock of that name, and takes it. It is forgotten when its holder has not unlocked it in
// five minutes: then whoever waits gets it.
func (f Files) Lock(ctx context.Context, name string) error {
	me := text(rand.Text()) // a lock whose answer was lost is known again
	for {
		now := time.Now()
		i := key(ofLock+f.tree+"/"+name, onlySort)
		i["holder"], i["until"], i[expires] = me, number(now.Add(lockLife).UnixMicro()), number(now.Add(24*time.Hour).Unix())
		_, err := ask(ctx, f.s, f.s.db.PutItem, &dynamodb.PutItemInput{
			TableName: aws.String(f.s.Table), Item: i, ConditionExpression: aws.String("attribute_not_exists(#until) or #until < :now or holder = :me"),
			ExpressionAttributeNames: map[string]string{"#until": "until"}, ExpressionAttributeValues: item{":now": number(now.UnixMicro()), ":me": me},
		})
		if !errors.Is(err, errRefused) {
			if err != nil {
				return fmt.Errorf("lock %s: %w", name, err)
			}
			return nil
		}
		if wait(ctx, lockPause); ctx.Err() != nil {
			return fmt.Errorf("lock %s, which somebody holds: %w", name, context.Cause(ctx))
		}
	}
}

// Unlock gives the lock back.
func (f Files) Unlock(ctx context.Context, name string) error {
	_, err := ask(ctx, f.s, f.s.db.DeleteItem, &dynamodb.DeleteItemInput{TableName: aws.String(f.s.Table), Key: key(ofLock+f.tree+"/"+name, onlySort)})
	if err != nil {
		return fmt.Errorf("unlock %s: %w", name, err)
	}
	return nil
}
