package dynamostore_test

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"greenroom"
	"greenroom/internal/store"
	"greenroom/internal/store/dynamostore"
	"greenroom/internal/store/storetest"
	"greenroom/internal/testenv/dynamolocal"
)

func create(t testing.TB, s store.Store, m greenroom.Meeting, events ...greenroom.Event) greenroom.Meeting {
	t.Helper()
	created, _, err := s.Create(t.Context(), m, events, store.Idempotency{})
	if err != nil {
		t.Fatal(err)
	}
	return created
}

func update(t testing.TB, s store.Store, m greenroom.Meeting, events ...greenroom.Event) greenroom.Meeting {
	t.Helper()
	updated, err := s.Update(t.Context(), m, events)
	if err != nil {
		t.Fatal(err)
	}
	return updated
}

// full is a meeting with as many seats as meetings may have.
func full() greenroom.Meeting {
	m := storetest.Meeting(start)
	seat := m.Seats[0]
	m.Seats = nil
	for i := range 64 {
		seat.ID = fmt.Sprint("student-", i)
		m.Seats = append(m.Seats, seat)
	}
	return m.Clone()
}

func TestMeetingIsFoundByItsInstances(t *testing.T) {
	t.Parallel()
	s := open(t, dynamolocal.Account(t))
	m := create(t, s, full())
	ids := make([]string, len(m.Seats))
	for i := range m.Seats {
		ids[i] = greenroom.InstanceIDFromToken(strconv.Itoa(i))
		m.Seats[i].Desktop.InstanceID = ids[i]
	}
	m = update(t, s, m)
	m.Seats[0].Desktop.InstanceID = greenroom.InstanceIDFromToken("another")
	update(t, s, m)
	for _, id := range append(ids, m.Seats[0].Desktop.InstanceID) {
		if got, err := s.MeetingOf(t.Context(), id); err != nil || got != m.ID {
			t.Errorf("%s is of %q, %v", id, got, err)
		}
	}
	if _, err := s.MeetingOf(t.Context(), greenroom.InstanceIDFromToken("nobody's")); !errors.Is(err, greenroom.ErrNotFound) {
		t.Error(err)
	}
}

// A save may tell more than a transaction has items.
func TestSaveWithHundredsOfEvents(t *testing.T) {
	t.Parallel()
	s := open(t, dynamolocal.Account(t))
	kinds := []greenroom.EventKind{greenroom.EventPhase, greenroom.EventReady, greenroom.EventRetry}
	var events []greenroom.Event
	for i := range 400 {
		events = append(events, greenroom.Event{At: start.Add(time.Duration(i) * time.Second), Kind: kinds[i%3], Message: strconv.Itoa(i + 1)})
	}
	m := create(t, s, full(), events[:1]...)
	update(t, s, m, events[1:]...)
	for _, limit := range []int{1, 7, 1000} {
		var got []greenroom.Event
		for after := int64(0); ; {
			page, err := s.Events(t.Context(), m.ID, after, limit)
			if err != nil || len(page) > limit {
				t.Fatalf("%d events, asked for %d, %v", len(page), limit, err)
			}
			if len(page) == 0 {
				break
			}
			got = append(got, page...)
			after = page[len(page)-1].Seq
			if limit == 1 && after == 20 {
				got = append(got, events[20:]...) // far enough
				break
			}
		}
		if len(got) != len(events) {
			t.Fatalf("pages of %d: %d events, want %d", limit, len(got), len(events))
		}
		for i, e := range got {
			if e.Message != strconv.Itoa(i+1) {
				t.Fatalf("pages of %d: event %d is %s", limit, i+1, e.Message)
			}
		}
	}
	recent, err := s.RecentEvents(t.Context(), greenroom.EventReady, 5)
	if err != nil || len(recent) != 5 || recent[0].Message != "398" || recent[4].Message != "386" {
		t.Errorf("recent are %v, %v", recent, err)
	}
}

func TestMeetingThatIsTooLargeIsRefused(t *testing.T) {
	t.Parallel()
	s := open(t, dynamolocal.Account(t))
	m := create(t, s, storetest.Meeting(start))
	large := m.Clone()
	large.Title = strings.Repeat("x", 395_000)
	_, err := s.Update(t.Context(), large, nil)
	if got := greenroom.Sentence(err, ""); !strings.Contains(got, "at most 390 KB") || !errors.Is(err, greenroom.ErrPermanent) {
		t.Errorf("%q, %v", got, err)
	}
	large.Title = strings.Repeat("x", 380_000)
	update(t, s, large)
}

func TestHistoryExpires(t *testing.T) {
	t.Parallel()
	account := dynamolocal.Account(t)
	open(t, account)
	const keep = 100 * 24 * time.Hour
	s := dynamostore.New(dynamostore.Options{AWS: account, Table: table, KeepHistory: keep})
	m := create(t, s, storetest.Meeting(start), greenroom.Event{At: start, Kind: greenroom.EventScheduled})
	m.Closed = true
	want := strconv.FormatInt(m.EndsAt.Add(keep).Unix(), 10)
	for _, closed := range []bool{false, true} {
		for sk, life := range lives(t, account, m.ID) {
			if expires := sk != "m" || closed; expires != (life == want) {
				t.Errorf("closed %v: %s expires at %q", closed, sk, life)
			}
		}
		if !closed {
			m = update(t, s, m)
		}
	}
}

// lives gives when the items of a meeting expire, by their sorting key.
func lives(t *testing.T, account aws.Config, id string) map[string]string {
	t.Helper()
	out, err := dynamodb.NewFromConfig(account).Query(t.Context(), &dynamodb.QueryInput{
		TableName: aws.String(table), KeyConditionExpression: aws.String("pk = :pk"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":pk": &types.AttributeValueMemberS{Value: "M#" + id}},
	})
	if err != nil || len(out.Items) != 2 {
		t.Fatalf("%d items, %v", len(out.Items), err)
	}
	lives := map[string]string{}
	for _, i := range out.Items {
		life, _ := i["ttl"].(*types.AttributeValueMemberN)
		if life == nil {
			life = &types.AttributeValueMemberN{}
		}
		lives[i["sk"].(*types.AttributeValueMemberS).Value] = life.Value
	}
	return lives
}

func TestCheckTellsWhatTheTableLacks(t *testing.T) {
	t.Parallel()
	account := dynamolocal.Account(t)
	s := open(t, account)
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
	bare := dynamostore.Definition("bare")
	bare.StreamSpecification, bare.GlobalSecondaryIndexes = nil, bare.GlobalSecondaryIndexes[1:]
	bare.AttributeDefinitions = slices.DeleteFunc(bare.AttributeDefinitions, func(a types.AttributeDefinition) bool {
		return slices.Contains([]string{"due", "wake"}, *a.AttributeName)
	})
	if _, err := dynamodb.NewFromConfig(account).CreateTable(t.Context(), bare); err != nil {
		t.Fatal(err)
	}
	err := dynamostore.New(dynamostore.Options{AWS: account, Table: "bare"}).Check(t.Context())
	if got := greenroom.Sentence(err, ""); got != "The table bare has no index due, no stream, no expiry by the attribute ttl: make it as deploy/aws does, or name another." {
		t.Errorf("%q, %v", got, err)
	}
}
