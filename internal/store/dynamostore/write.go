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
	"greenroom/internal/backoff"
	"greenroom/internal/store"
)

// errRefused says that a condition of a write was not met.
var errRefused = errors.New("a condition was not met")

// Create implements store.Store.
func (s *Store) Create(ctx context.Context, m greenroom.Meeting, events []greenroom.Event, idem store.Idempotency) (greenroom.Meeting, bool, error) {
	created, isNew, err := s.create(ctx, m, events, idem)
	if err != nil {
		return greenroom.Meeting{}, false, fmt.Errorf("create meeting %s: %w", m.ID, err)
	}
	return created, isNew, nil
}

func (s *Store) create(ctx context.Context, m greenroom.Meeting, events []greenroom.Event, idem store.Idempotency) (greenroom.Meeting, bool, error) {
	v, err := s.newSave(m, head{}, events)
	if err != nil {
		return greenroom.Meeting{}, false, err
	}
	if err := s.point(ctx, v.meeting, v.head.instances, nil); err != nil {
		return greenroom.Meeting{}, false, err
	}
	writes := []types.Put{{Item: v.put, ConditionExpression: aws.String("attribute_not_exists(" + partition + ")")}}
	if idem.Key != "" {
		writes = append(writes, keyPut(idem, m.ID))
	}
	for range 3 {
		err = s.commit(ctx, &v, writes)
		if err == nil {
			return v.meeting, true, nil
		}
		if !errors.Is(err, errRefused) {
			return greenroom.Meeting{}, false, err
		}
		switch ours, err := s.landed(ctx, &v); {
		case ours:
			return v.meeting, true, nil
		case err != nil && !errors.Is(err, greenroom.ErrNotFound):
			return greenroom.Meeting{}, false, err
		case idem.Key == "":
			return greenroom.Meeting{}, false, fmt.Errorf("the id exists: %w", greenroom.ErrConflict)
		}
		used, err := s.usedKey(ctx, idem)
		switch {
		case err != nil:
			return greenroom.Meeting{}, false, err
		case used.is(idem):
			first, err := s.Meeting(ctx, used.meeting)
			return first, false, err
		case used.kept:
			return greenroom.Meeting{}, false, errOtherRequest
		case !used.stored:
			return greenroom.Meeting{}, false, fmt.Errorf("the id exists: %w", greenroom.ErrConflict)
		}
		// The key was forgotten and has not expired yet: it is taken over, by one.
		writes[1] = keyPut(idem, m.ID)
		writes[1].ConditionExpression = aws.String("used_at = :then")
		writes[1].ExpressionAttributeValues = item{":then": number(used.at)}
	}
	return greenroom.Meeting{}, false, fmt.Errorf("the idempotency key changes all the time: %w", greenroom.ErrConflict)
}

// keyLife is when an idempotency key's item expires by itself. Forget forgets it before.
const keyLife = 7 * 24 * time.Hour

func keyPut(idem store.Idempotency, meeting string) types.Put {
	i := idempotencyKey(idem.Key)
	i["fingerprint"], i["meeting"], i["used_at"] = text(idem.Fingerprint), text(meeting), number(idem.At.UnixMicro())
	i[expires] = number(idem.At.Add(keyLife).Unix())
	return types.Put{Item: i, ConditionExpression: aws.String("attribute_not_exists(" + partition + ")")}
}

// Update implements store.Store.
func (s *Store) Update(ctx context.Context, m greenroom.Meeting, events []greenroom.Event) (greenroom.Meeting, error) {
	updated, err := s.update(ctx, m, events)
	if err != nil {
		return greenroom.Meeting{}, fmt.Errorf("save meeting %s: %w", m.ID, err)
	}
	return updated, nil
}

func (s *Store) update(ctx context.Context, m greenroom.Meeting, events []greenroom.Event) (greenroom.Meeting, error) {
	before, err := s.headOf(ctx, m.ID, m.Rev)
	if err != nil {
		return greenroom.Meeting{}, err
	}
	v, err := s.newSave(m, before, events)
	if err != nil {
		return greenroom.Meeting{}, err
	}
	if err := s.point(ctx, v.meeting, v.head.instances, before.instances); err != nil {
		return greenroom.Meeting{}, err
	}
	err = s.commit(ctx, &v, []types.Put{{
		Item: v.put, ConditionExpression: aws.String("rev = :rev"), ExpressionAttributeValues: item{":rev": number(before.rev)},
	}})
	if errors.Is(err, errRefused) {
		if ours, err := s.landed(ctx, &v); err != nil || !ours {
			return greenroom.Meeting{}, errors.Join(err, fmt.Errorf("it was changed meanwhile: %w", greenroom.ErrConflict))
		}
		err = nil
	}
	return v.meeting, err
}

// headOf returns the head of the meeting if its revision is rev, and otherwise ErrConflict.
func (s *Store) headOf(ctx context.Context, id string, rev int64) (head, error) {
	if known, ok := s.heads.get(id, rev); ok {
		return known, nil
	}
	_, now, err := s.read(ctx, id)
	if err == nil && now.rev != rev {
		err = fmt.Errorf("its revision is %d, not %d: %w", now.rev, rev, greenroom.ErrConflict)
	}
	return now, err
}

// commit writes the save, all or nothing. A save without company is a plain write, which costs half.
func (s *Store) commit(ctx context.Context, v *save, writes []types.Put) error {
	writes = slices.Clone(writes)
	for _, e := range v.events {
		writes = append(writes, types.Put{Item: e})
	}
	var err error
	if len(writes) == 1 {
		w := writes[0]
		_, err = ask(ctx, s, s.db.PutItem, &dynamodb.PutItemInput{
			TableName: aws.String(s.Table), Item: w.Item,
			ConditionExpression: w.ConditionExpression, ExpressionAttributeValues: w.ExpressionAttributeValues,
		})
	} else {
		in := &dynamodb.TransactWriteItemsInput{}
		for i := range writes {
			writes[i].TableName = aws.String(s.Table)
			in.TransactItems = append(in.TransactItems, types.TransactWriteItem{Put: &writes[i]})
		}
		_, err = ask(ctx, s, s.db.TransactWriteItems, in)
	}
	if err == nil {
		s.heads.put(v.meeting.ID, v.head)
	}
	return err
}

// landed reports whether a save that was refused had been written before: then its first answer was lost, and what
// refused it was itself.
func (s *Store) landed(ctx context.Context, v *save) (bool, error) {
	_, now, err := s.read(ctx, v.meeting.ID)
	if err != nil {
		return false, err
	}
	return now.rev >= v.head.rev && slices.Contains(strings.Fields(now.saves), v.mark), nil
}

// pointerLife is how long after a meeting's end its instances can be looked up.
const pointerLife = 30 * 24 * time.Hour

// point lets the meeting be found by those of its instances that it did not have before. It comes before the save:
// a pointer too many only leads to a look.
func (s *Store) point(ctx context.Context, m greenroom.Meeting, instances, before []string) error {
	var writes []types.WriteRequest
	for _, id := range instances {
		if slices.Contains(before, id) {
			continue
		}
		i := key(ofInstance+id, onlySort)
		i["meeting"], i[expires] = text(m.ID), number(m.EndsAt.Add(pointerLife).Unix())
		writes = append(writes, types.WriteRequest{PutRequest: &types.PutRequest{Item: i}})
	}
	return s.batch(ctx, writes)
}

// maxBatch is how much a call takes that is no transaction.
const maxBatch = 25

// batch writes what may be written in any order and more than once.
func (s *Store) batch(ctx context.Context, writes []types.WriteRequest) error {
	for chunk := range slices.Chunk(writes, maxBatch) {
		err := s.untilDone(ctx, func() (bool, error) {
			out, err := ask(ctx, s, s.db.BatchWriteItem, &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{s.Table: chunk}})
			if err != nil {
				return false, err
			}
			chunk = out.UnprocessedItems[s.Table]
			return len(chunk) == 0, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// untilDone calls f until it is done, with a growing pause between, as DynamoDB asks of those whose batches it takes in parts.
func (s *Store) untilDone(ctx context.Context, f func() (bool, error)) error {
	pause := backoff.Pause{Schedule: retries}
	for range maxAttempts {
		done, err := f()
		if err != nil || done {
			return err
		}
		if !pause.Wait(ctx) {
			return ctx.Err()
		}
	}
	return throttled(s.Table, errors.New("it took a part of a batch only"))
}
