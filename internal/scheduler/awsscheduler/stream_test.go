package awsscheduler_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"greenroom"
	"greenroom/internal/scheduler/awsscheduler"
	"greenroom/internal/store/dynamostore"
	"greenroom/internal/testenv/dynamolocal"
)

// mortal is the network of a consumer that dies with one of its calls: before it is sent, or when it was answered.
// Reading the stream does not count: that is done all the time.
type mortal struct {
	calls    atomic.Int64
	last     int64
	answered bool
	die      context.CancelFunc
}

func (m *mortal) Do(r *http.Request) (*http.Response, error) {
	target := r.Header.Get("X-Amz-Target")
	if strings.HasPrefix(target, "DynamoDBStreams") || strings.HasSuffix(target, "DescribeTable") {
		return http.DefaultClient.Do(r)
	}
	n := m.calls.Add(1)
	if n < m.last {
		return http.DefaultClient.Do(r)
	}
	if n == m.last && m.answered {
		if answer, err := http.DefaultClient.Do(r.WithContext(context.Background())); err == nil {
			answer.Body.Close()
		}
	}
	m.die()
	return nil, errors.New("dead")
}

// consume lets the schedules follow the table's stream until ctx ends. Over network nil it lives on.
func consume(ctx context.Context, t *testing.T, account aws.Config, c *cloud, network *mortal) (ended chan struct{}) {
	o := c.options
	if network != nil {
		account.HTTPClient, o.AWS.HTTPClient = network, network
	}
	kept := dynamostore.New(dynamostore.Options{AWS: account, Table: "greenroom"})
	o.Meetings = kept
	p := dynamostore.Poller{Store: kept, Follow: awsscheduler.New(o).Follow, Logger: slog.New(slog.DiscardHandler)}
	ended = make(chan struct{})
	go func() {
		defer close(ended)
		if err := p.Run(ctx); err != nil && ctx.Err() == nil {
			t.Error(err)
		}
	}()
	return ended
}

// A meeting is scheduled, moved, and wants to be woken at once. Its wake follows through the real stream, wherever
// the consumer dies on the way.
func TestWakeSurvivesTheDeathOfItsConsumer(t *testing.T) {
	t.Parallel()
	for _, answered := range []bool{false, true} {
		t.Run(fmt.Sprintf("answered %v", answered), func(t *testing.T) {
			t.Parallel()
			for call, died := int64(1), true; died; call++ {
				if call > 30 {
					t.Fatal("the consumer does not come to an end of its calls")
				}
				died = lifeWithDeathAt(t, call, answered)
				if !died && call < 6 {
					t.Errorf("call %d was never made", call)
				}
			}
		})
	}
}

func lifeWithDeathAt(t *testing.T, call int64, answered bool) (died bool) {
	account := dynamolocal.Account(t)
	o := dynamostore.Options{AWS: account, Table: "greenroom"}
	if err := dynamostore.CreateTable(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	kept := dynamostore.New(o)
	c := newCloud(t, kept)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	first, die := context.WithCancel(ctx)
	ended := consume(first, t, account, c, &mortal{last: call, answered: answered, die: die})
	defer func() { cancel(); <-ended }()

	far := time.Now().Add(time.Hour).Truncate(time.Second)
	var m greenroom.Meeting
	for _, step := range []struct {
		what string
		do   func()
		is   func() bool
	}{
		{"scheduled", func() { m = create(t, kept, far) }, func() bool { return slices.Contains(c.schedules(t, m.ID), at(far)) }},
		{"moved", func() { m = save(t, kept, m, far.Add(time.Hour)) }, func() bool { return slices.Contains(c.schedules(t, m.ID), at(far.Add(time.Hour))) }},
		{"now", func() { m = save(t, kept, m, time.Now()) }, func() bool { got, _ := c.messages(t); return slices.Contains(got, m.ID) }},
	} {
		step.do()
		for deadline := time.Now().Add(30 * time.Second); !step.is(); time.Sleep(20 * time.Millisecond) {
			if !died && first.Err() != nil {
				died = true
				<-ended
				ended = consume(ctx, t, account, c, nil)
			}
			if time.Now().After(deadline) {
				t.Fatalf("death at call %d: %s, and its wake does not follow", call, step.what)
			}
		}
	}
	return died || first.Err() != nil
}
