package awsscheduler_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	"github.com/aws/aws-sdk-go-v2/service/scheduler/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go/middleware"

	"greenroom"
	"greenroom/internal/scheduler/awsscheduler"
	"greenroom/internal/store"
	"greenroom/internal/store/memstore"
	"greenroom/internal/store/storetest"
	"greenroom/internal/testenv/moto"
)

var groups atomic.Int64

// cloud is a group of schedules and a queue of a test's own.
type cloud struct {
	options   awsscheduler.Options
	scheduler *scheduler.Client
	queue     *sqs.Client
}

func newCloud(t *testing.T, meetings interface {
	Meeting(ctx context.Context, id string) (greenroom.Meeting, error)
}) *cloud {
	t.Helper()
	cfg := aws.Config{
		Region: "eu-west-1", BaseEndpoint: aws.String(moto.Start(t)),
		Credentials: credentials.NewStaticCredentialsProvider("TEST", "secret", ""),
	}
	name := fmt.Sprintf("greenroom-%d", groups.Add(1))
	c := &cloud{scheduler: scheduler.NewFromConfig(cfg), queue: sqs.NewFromConfig(cfg)}
	if _, err := c.scheduler.CreateScheduleGroup(t.Context(), &scheduler.CreateScheduleGroupInput{Name: aws.String(name)}); err != nil {
		t.Fatal(err)
	}
	queue, err := c.queue.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String(name)})
	if err != nil {
		t.Fatal(err)
	}
	c.options = awsscheduler.Options{
		AWS: cfg, Meetings: meetings, Group: name, Queue: *queue.QueueUrl,
		Target: "arn:aws:lambda:eu-west-1:123456789012:function:greenroom-wake", Role: "arn:aws:iam::123456789012:role/greenroom-wake",
		DeadLetters: "arn:aws:sqs:eu-west-1:123456789012:dead",
	}
	return c
}

// names are those of the meeting's schedules.
func (c *cloud) names(t *testing.T, meeting string) (names []string) {
	t.Helper()
	list, err := c.scheduler.ListSchedules(t.Context(), &scheduler.ListSchedulesInput{GroupName: aws.String(c.options.Group), NamePrefix: aws.String(meeting)})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range list.Schedules {
		names = append(names, *s.Name)
	}
	return names
}

func (c *cloud) remove(t *testing.T, names []string) {
	t.Helper()
	for _, name := range names {
		if _, err := c.scheduler.DeleteSchedule(t.Context(), &scheduler.DeleteScheduleInput{GroupName: aws.String(c.options.Group), Name: aws.String(name)}); err != nil {
			t.Fatal(err)
		}
	}
}

// schedules returns the expressions of the meeting's schedules, and checks the rest of them.
func (c *cloud) schedules(t *testing.T, meeting string) []string {
	t.Helper()
	var out []string
	for _, name := range c.names(t, meeting) {
		got, err := c.scheduler.GetSchedule(t.Context(), &scheduler.GetScheduleInput{Name: aws.String(name), GroupName: aws.String(c.options.Group)})
		if err != nil {
			t.Fatal(err)
		}
		if got.ActionAfterCompletion != types.ActionAfterCompletionDelete || got.FlexibleTimeWindow.Mode != types.FlexibleTimeWindowModeOff ||
			*got.Target.Arn != c.options.Target || *got.Target.RoleArn != c.options.Role || *got.Target.DeadLetterConfig.Arn != c.options.DeadLetters ||
			*got.Target.Input != `{"meeting":"`+meeting+`"}` || *got.Target.RetryPolicy.MaximumRetryAttempts == 0 {
			t.Errorf("the schedule is %+v with target %+v", got, got.Target)
		}
		out = append(out, *got.ScheduleExpression)
	}
	slices.Sort(out)
	return out
}

// at is how a schedule says a time, a minute early.
func at(wake time.Time) string {
	return "at(" + wake.Add(-time.Minute).UTC().Format("2006-01-02T15:04:05") + ")"
}

// messages are the ids of the meetings in the queue, and for how many seconds at most they are delayed.
func (c *cloud) messages(t *testing.T) (visible []string, delayed string) {
	t.Helper()
	out, err := c.queue.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: aws.String(c.options.Queue), MaxNumberOfMessages: 10})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range out.Messages {
		var w awsscheduler.Wake
		if err := json.Unmarshal([]byte(*m.Body), &w); err != nil {
			t.Fatal(err)
		}
		visible = append(visible, w.Meeting)
	}
	about, err := c.queue.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: aws.String(c.options.Queue), AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameApproximateNumberOfMessagesDelayed}})
	if err != nil {
		t.Fatal(err)
	}
	return visible, about.Attributes["ApproximateNumberOfMessagesDelayed"]
}

func save(t *testing.T, s store.Store, m greenroom.Meeting, wake time.Time) greenroom.Meeting {
	t.Helper()
	m.WakeAt = wake
	saved, err := s.Update(t.Context(), m, nil)
	if err != nil {
		t.Fatal(err)
	}
	return saved
}

func create(t *testing.T, s store.Store, wake time.Time) greenroom.Meeting {
	t.Helper()
	m := storetest.Meeting(wake.Add(10 * time.Minute))
	m.WakeAt = wake
	created, _, err := s.Create(t.Context(), m, nil, store.Idempotency{})
	if err != nil {
		t.Fatal(err)
	}
	return created
}

func TestScheduleFollowsTheMeeting(t *testing.T) {
	t.Parallel()
	kept := memstore.New()
	c := newCloud(t, kept)
	follow := func(id string) {
		t.Helper()
		for range 2 { // once more changes nothing, in another process neither
			s := awsscheduler.New(c.options)
			for range 2 {
				if err := s.Follow(t.Context(), id); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	far := time.Now().Add(time.Hour).Truncate(time.Second)
	m := create(t, kept, far)
	var made []string
	for _, wake := range []time.Time{far, far.Add(time.Hour), far.Add(-30 * time.Minute), far} {
		m = save(t, kept, m, wake)
		follow(m.ID)
		if !slices.Contains(made, at(wake)) {
			made = append(made, at(wake))
		}
		slices.Sort(made)
		if got := c.schedules(t, m.ID); !slices.Equal(got, made) {
			t.Errorf("the schedules are %q, want %q: one for each time", got, made)
		}
	}
	if got, delayed := c.messages(t); len(got) != 0 || delayed != "0" {
		t.Errorf("messages without need: %v, %s", got, delayed)
	}
	m = save(t, kept, m, time.Now().Add(90*time.Second))
	follow(m.ID)
	if got, delayed := c.messages(t); len(got) != 0 || delayed != "4" {
		t.Errorf("a near wake is in the queue as %v, delayed %s", got, delayed)
	}
	m = save(t, kept, m, time.Now().Add(-time.Hour))
	follow(m.ID)
	if got, _ := c.messages(t); len(got) != 4 || got[0] != m.ID {
		t.Errorf("a wake that is over is in the queue as %v", got)
	}
	m.Closed = true
	m = save(t, kept, m, far.Add(2*time.Hour))
	follow(m.ID)
	if got := c.schedules(t, m.ID); !slices.Equal(got, made) {
		t.Errorf("a closed meeting is woken at %q, before it was closed at %q", got, made)
	}
	follow(greenroom.NewMeetingID()) // one that is forgotten
}

func TestManyFollowAtOnce(t *testing.T) {
	t.Parallel()
	kept := memstore.New()
	c := newCloud(t, kept)
	s := awsscheduler.New(c.options)
	far := time.Now().Add(time.Hour).Truncate(time.Second)
	m := create(t, kept, far)
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			if err := s.Follow(t.Context(), m.ID); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got := c.schedules(t, m.ID); !slices.Equal(got, []string{at(far)}) {
		t.Errorf("the schedules are %q, want one %q", got, at(far))
	}
}

func TestRefusalsAreExplained(t *testing.T) {
	t.Parallel()
	kept := memstore.New()
	m := create(t, kept, time.Now().Add(time.Hour))
	for code, want := range map[string]string{
		"ResourceNotFoundException": "The group greenroom-wakes of schedules does not exist", "AccessDeniedException": "give the role the policy",
		"ValidationException": "see its target arn:target and its role arn:role", "ServiceQuotaExceededException": "quota",
		"ThrottlingException": "takes no more schedules",
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Amzn-ErrorType", code)
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w, "{}")
		}))
		defer server.Close()
		s := awsscheduler.New(awsscheduler.Options{
			AWS:   aws.Config{Region: "eu-west-1", BaseEndpoint: aws.String(server.URL), Credentials: credentials.NewStaticCredentialsProvider("TEST", "secret", "")},
			Group: "greenroom-wakes", Target: "arn:target", Role: "arn:role", Meetings: kept,
		})
		err := s.Follow(t.Context(), m.ID)
		if got := greenroom.Sentence(err, ""); !strings.Contains(got, want) || !errors.Is(err, greenroom.ErrUnavailable) {
			t.Errorf("%s: %q, want %q in it; %v", code, got, want, err)
		}
	}
	c := newCloud(t, kept)
	c.options.Queue += "-gone"
	err := awsscheduler.New(c.options).Follow(t.Context(), create(t, kept, time.Now()).ID)
	if got := greenroom.Sentence(err, ""); !strings.Contains(got, "-gone does not exist") {
		t.Errorf("%q, %v", got, err)
	}
}

func TestAnswer(t *testing.T) {
	t.Parallel()
	kept := memstore.New()
	c := newCloud(t, kept)
	s := awsscheduler.New(c.options)
	due, broken := create(t, kept, time.Now().Add(-time.Second)).ID, create(t, kept, time.Now()).ID
	earlier := create(t, kept, time.Now().Add(50*time.Second)).ID
	over := create(t, kept, time.Now())
	over.Closed = true
	save(t, kept, over, time.Now())
	var mu sync.Mutex
	var advanced []string
	advance := func(_ context.Context, id string) error {
		mu.Lock()
		defer mu.Unlock()
		advanced = append(advanced, id)
		if id == broken {
			return errors.New("not now")
		}
		return nil
	}
	swept := 0
	calls := awsscheduler.Calls{Advance: advance, Sweep: func(context.Context) error { swept++; return nil }}
	if _, err := s.Answer(t.Context(), []byte(`{"meeting":"`+due+`"}`), calls); err != nil || len(advanced) != 1 || advanced[0] != due {
		t.Errorf("a schedule advanced %v, %v", advanced, err)
	}
	advanced = nil
	var records []string
	for i, body := range []string{due, broken, earlier, over.ID, greenroom.NewMeetingID(), "?"} {
		records = append(records, fmt.Sprintf(`{"messageId":"%d","eventSource":"aws:sqs","body":"{\"meeting\":\"%s\"}"}`, i, body))
	}
	out, err := s.Answer(t.Context(), []byte(`{"Records":[`+strings.Join(records, ",")+`]}`), calls)
	failed := map[string]bool{}
	for _, f := range out.Failures {
		failed[f.Item] = true
	}
	if len(failed) != 2 || !failed["1"] || !failed["5"] || err == nil || len(advanced) != 2 {
		t.Errorf("advanced %v, failures %v, %v", advanced, out, err)
	}
	if _, delayed := c.messages(t); delayed != "1" {
		t.Errorf("%s messages wait, want the one for the meeting that was woken early", delayed)
	}
	if _, err := s.Answer(t.Context(), []byte(`{"sweep":true}`), calls); err != nil || swept != 1 {
		t.Errorf("swept %d times, %v", swept, err)
	}
	for _, event := range []string{``, `null`, `{}`, `[]`, `{"meeting":"x"}`, `{"Records":[{"eventSource":"aws:dynamodb"}]}`, `{"Records":[{"eventSource":"aws:sqs","body":"x"}]}`} {
		if _, err := s.Answer(t.Context(), []byte(event), calls); !errors.Is(err, greenroom.ErrPermanent) || greenroom.Sentence(err, "") == "" {
			t.Errorf("%s gave %v", event, err)
		}
	}
}

func TestTheNewestRevisionAloneWakes(t *testing.T) {
	t.Parallel()
	kept := memstore.New()
	c := newCloud(t, kept)
	s := awsscheduler.New(c.options)
	advanced := 0
	looked := 0
	calls := awsscheduler.Calls{
		Advance: func(context.Context, string) error { advanced++; return nil }, Look: func(context.Context, string) error { looked++; return nil },
	}
	answer := func(w awsscheduler.Wake) {
		t.Helper()
		doc, err := json.Marshal(w)
		if err == nil {
			_, err = s.Answer(t.Context(), doc, calls)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	m := create(t, kept, time.Now())
	before := awsscheduler.Wake{Meeting: m.ID, Rev: m.Rev}
	m = save(t, kept, m, time.Now().Add(time.Minute))
	answer(before)
	if _, delayed := c.messages(t); advanced != 0 || delayed != "0" {
		t.Errorf("the wake of a revision that is no more advanced %d times and was sent on %s times", advanced, delayed)
	}
	answer(awsscheduler.Wake{Meeting: m.ID, Rev: m.Rev})
	if _, delayed := c.messages(t); advanced != 0 || delayed != "1" {
		t.Errorf("an early wake advanced %d times and was sent on %s times", advanced, delayed)
	}
	answer(awsscheduler.Wake{Meeting: m.ID, Kick: true})
	if looked != 1 || advanced != 0 {
		t.Errorf("a kick looked %d times and advanced %d times", looked, advanced)
	}
	if err := s.Kick(t.Context(), m.ID); err != nil {
		t.Fatal(err)
	}
	if got, _ := c.messages(t); len(got) != 1 || got[0] != m.ID {
		t.Errorf("the kick is in the queue as %v", got)
	}
}

func TestSweepsWhileSomethingLives(t *testing.T) {
	t.Parallel()
	c := newCloud(t, memstore.New())
	s := awsscheduler.New(c.options)
	for range 2 {
		if err := s.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	got, err := c.scheduler.GetSchedule(t.Context(), &scheduler.GetScheduleInput{Name: aws.String("sweep"), GroupName: aws.String(c.options.Group)})
	if err != nil || *got.ScheduleExpression != "rate(1 minute)" || *got.Target.Input != `{"sweep":true}` {
		t.Errorf("the sweeps are %+v, %v", got, err)
	}
	for range 2 {
		if err := s.Rest(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	_, err = c.scheduler.GetSchedule(t.Context(), &scheduler.GetScheduleInput{Name: aws.String("sweep"), GroupName: aws.String(c.options.Group)})
	if _, none := errors.AsType[*types.ResourceNotFoundException](err); !none {
		t.Errorf("sweeps go on: %v", err)
	}
}

// TestAWakeThatStaysCostsNothing saves a meeting again and again without moving its wake.
func TestAWakeThatStaysCostsNothing(t *testing.T) {
	t.Parallel()
	kept := memstore.New()
	c := newCloud(t, kept)
	calls := 0
	c.options.AWS.APIOptions = append(c.options.AWS.APIOptions, func(stack *middleware.Stack) error {
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("count", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
			calls++
			return next.HandleInitialize(ctx, in)
		}), middleware.Before)
	})
	s := awsscheduler.New(c.options)
	far := time.Now().Add(time.Hour).Truncate(time.Second)
	m := create(t, kept, far)
	for range 5 {
		if err := s.Follow(t.Context(), m.ID); err != nil {
			t.Fatal(err)
		}
		m = save(t, kept, m, far)
	}
	if calls != 1 {
		t.Errorf("%d calls, want the one that made the schedule", calls)
	}
	if err := awsscheduler.New(c.options).Follow(t.Context(), m.ID); err != nil || calls != 2 {
		t.Errorf("%d calls with those of another process, %v", calls, err)
	}
}
