package dynamostore_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/store"
	"greenroom/internal/store/dynamostore"
	"greenroom/internal/store/storetest"
	"greenroom/internal/testenv/dynamolocal"
)

// batch is what Lambda hands on of a stream of keys: two saves of a meeting with an event between, another meeting, a
// removal by expiry.
const batch = `{"Records":[
 {"eventID":"1","eventName":"INSERT","eventVersion":"1.1","eventSource":"aws:dynamodb","awsRegion":"eu-west-1","dynamodb":{"ApproximateCreationDateTime":1764601200,
  "Keys":{"pk":{"S":"M#aaaaaaaaaaaaaaaa"},"sk":{"S":"m"}},"SequenceNumber":"100","SizeBytes":20,"StreamViewType":"KEYS_ONLY"},"eventSourceARN":"arn:aws:dynamodb:eu-west-1:1:table/greenroom/stream/x"},
 {"eventSource":"aws:dynamodb","dynamodb":{"Keys":{"pk":{"S":"M#aaaaaaaaaaaaaaaa"},"sk":{"S":"e#8000000000000001#phase"}},"SequenceNumber":"101"}},
 {"eventSource":"aws:dynamodb","dynamodb":{"Keys":{"pk":{"S":"M#bbbbbbbbbbbbbbbb"},"sk":{"S":"m"}},"SequenceNumber":"102"}},
 {"eventSource":"aws:dynamodb","dynamodb":{"Keys":{"pk":{"S":"S#owner"},"sk":{"S":"-"}},"SequenceNumber":"103"}},
 {"eventSource":"aws:dynamodb","dynamodb":{"Keys":{"pk":{"S":"M#aaaaaaaaaaaaaaaa"},"sk":{"S":"m"}},"SequenceNumber":"104"}},
 {"eventSource":"aws:dynamodb","eventName":"REMOVE","userIdentity":{"type":"Service","principalId":"dynamodb.amazonaws.com"},"dynamodb":{"Keys":{"pk":{"S":"M#cccccccccccccccc"},"sk":{"S":"m"}},"SequenceNumber":"105"}}]}`

func TestChangesAreReadAndFailuresNamed(t *testing.T) {
	t.Parallel()
	changes, err := dynamostore.Changes([]byte(batch))
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var seen []string
	again, err := dynamostore.Follow(t.Context(), changes, func(_ context.Context, id string) error {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, id[:1])
		if id[:1] == "b" {
			return errors.New("not now")
		}
		return nil
	})
	slices.Sort(seen)
	if got := strings.Join(seen, ""); got != "abc" {
		t.Errorf("followed %q, want each meeting once", got)
	}
	if len(again.Failures) != 1 || again.Failures[0].Item != "102" || err == nil || !strings.Contains(err.Error(), "bbbb") {
		t.Errorf("failures are %v, %v", again, err)
	}
}

func TestForeignEventsAreRefused(t *testing.T) {
	t.Parallel()
	for _, event := range []string{
		``, `null`, `[]`, `{}`, `{"Records":[]}`, `{"Records":[{}]}`, `{"Records":"x"}`, `{"meeting":"aaaaaaaaaaaaaaaa"}`,
		`{"Records":[{"eventSource":"aws:sqs","messageId":"1","body":"{}"}]}`,
		`{"Records":[{"eventSource":"aws:dynamodb","dynamodb":{"Keys":{"id":{"N":"1"}},"SequenceNumber":"1"}}]}`,
	} {
		if changes, err := dynamostore.Changes([]byte(event)); greenroom.Sentence(err, "") == "" || !errors.Is(err, greenroom.ErrPermanent) {
			t.Errorf("%s gave %v, %v", event, changes, err)
		}
	}
}

// Every save is told of by the real stream, also when following goes wrong at first and the poller begins anew.
func TestStreamTellsOfEverySave(t *testing.T) {
	t.Parallel()
	s := open(t, dynamolocal.Account(t))
	var want []greenroom.Meeting
	for range 20 {
		m, _, err := s.Create(t.Context(), storetest.Meeting(start), []greenroom.Event{{At: start, Kind: greenroom.EventScheduled}}, store.Idempotency{})
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, m)
	}
	var mu sync.Mutex
	latest, failures := map[string]int64{}, map[string]int{}
	poll := func(ctx context.Context) {
		p := dynamostore.Poller{Store: s, Logger: slog.New(slog.DiscardHandler), Follow: func(ctx context.Context, id string) error {
			m, err := s.Meeting(ctx, id)
			mu.Lock()
			defer mu.Unlock()
			if failures[id]++; failures[id]%3 != 0 {
				return errors.New("not at first")
			}
			latest[id] = max(latest[id], m.Rev)
			return err
		}}
		if err := p.Run(ctx); err != nil {
			t.Error(err)
		}
	}
	caughtUp := func() bool {
		mu.Lock()
		defer mu.Unlock()
		for _, m := range want {
			if latest[m.ID] != m.Rev {
				return false
			}
		}
		return true
	}
	for range 2 {
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { poll(ctx) })
		for i := range want {
			var err error
			if want[i], err = s.Update(t.Context(), want[i], nil); err != nil {
				t.Fatal(err)
			}
		}
		for deadline := time.Now().Add(30 * time.Second); !caughtUp(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("the stream told of %v", latest)
			}
		}
		cancel()
		running.Wait()
	}
}
