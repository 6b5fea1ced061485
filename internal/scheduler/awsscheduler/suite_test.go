package awsscheduler_test

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // SQS confirms messages with it
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"greenroom"
	"greenroom/internal/scheduler/awsscheduler"
	"greenroom/internal/scheduler/schedulertest"
	"greenroom/internal/store"
	"greenroom/internal/store/memstore"
)

// TestAWakeIsAnswered holds the scheduler to its promise. A stand-in within the process keeps the schedules and the queue,
// since fake time knows no network; the other tests of this package speak with moto.
func TestAWakeIsAnswered(t *testing.T) {
	t.Parallel()
	schedulertest.Run(t, schedulertest.Options{
		Prepare: func(*testing.T) func(t *testing.T, c schedulertest.Conditions) schedulertest.World { return newSky },
		Early:   500 * time.Millisecond,
		Late:    2 * time.Second, // the queue counts in whole seconds
		// A message waits in the queue for two minutes at most, whatever is done to clocks.
		Found: 2*time.Minute + 2*time.Second,
		Retry: visibility + 2*time.Second,
	})
}

const (
	visibility = 30 * time.Second // of a message that nobody has answered
	mostLate   = 60 * time.Second // of a schedule
	goneAfter  = 20 * time.Second // a schedule that has rung, and with it what it was changed to
	tick       = 100 * time.Millisecond
)

// sky is EventBridge Scheduler and SQS as their documentation says they are, at their worst: schedules ring up to a minute
// late and are deleted later still, and messages may come twice. Processes are functions; it calls any that lives.
type sky struct {
	t    *testing.T
	c    schedulertest.Conditions
	kept *memstore.Store

	mu        sync.Mutex
	functions []*function
	schedules map[string]*plan
	queue     []*letter
	made      int
}

type plan struct {
	rings time.Time // by the wall clock
	input string
	rung  time.Time
}

type letter struct {
	id, body string
	visible  time.Time
}

// function is a process.
type function struct {
	*awsscheduler.Scheduler
	store   schedulertest.Store
	advance schedulertest.Advance
	mu      sync.Mutex
	dead    bool
}

func (f *function) Store() *schedulertest.Store { return &f.store }

func (f *function) Kill() {
	f.store.Fail(errors.New("the process is dead"))
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dead = true
}

func (f *function) died() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.dead
}

func newSky(t *testing.T, c schedulertest.Conditions) schedulertest.World {
	s := &sky{t: t, c: c, kept: memstore.New(), schedules: map[string]*plan{}}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var all sync.WaitGroup
	t.Cleanup(func() { cancel(); all.Wait() })
	s.kept.OnWake = func(w store.Wake) { // as the stream of the table does
		for range s.times() {
			all.Go(func() { s.follow(ctx, w.Meeting) })
		}
	}
	all.Go(func() {
		for ctx.Err() == nil {
			s.ring()
			for _, l := range s.take() {
				for range s.times() {
					all.Go(func() { s.deliver(ctx, l) })
				}
			}
			time.Sleep(tick)
		}
	})
	return s
}

func (s *sky) times() int {
	if s.c.Twice {
		return 2
	}
	return 1
}

func (s *sky) Start(advance schedulertest.Advance) schedulertest.Process {
	f := &function{advance: advance}
	f.store.Store = s.kept
	f.Scheduler = awsscheduler.New(awsscheduler.Options{
		AWS:      aws.Config{Region: "eu-west-1", HTTPClient: s, Credentials: credentials.NewStaticCredentialsProvider("TEST", "secret", "")},
		Meetings: &f.store, Group: "greenroom", Target: "arn:target", Role: "arn:role", DeadLetters: "arn:dead", Queue: "https://sqs.invalid/1/greenroom", Now: s.c.Now,
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.functions = append(s.functions, f)
	return f
}

// living is a function that can be called, or nil.
func (s *sky) living() *function {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.functions {
		if !f.died() {
			return f
		}
	}
	return nil
}

// follow is called again until it is well, as a stream does.
func (s *sky) follow(ctx context.Context, meeting string) {
	for ctx.Err() == nil {
		if f := s.living(); f != nil && f.Follow(ctx, meeting) == nil && !f.died() {
			return
		}
		time.Sleep(time.Second)
	}
}

// ring rings schedules and deletes those that have rung.
func (s *sky) ring() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, p := range s.schedules {
		switch {
		case p.rung.IsZero() && !p.rings.After(s.c.Now()):
			p.rung = time.Now()
			s.queue = append(s.queue, &letter{id: fmt.Sprint(name, " ", s.made), body: p.input, visible: time.Now()})
		case !p.rung.IsZero() && time.Since(p.rung) >= goneAfter:
			delete(s.schedules, name)
		}
	}
}

// take hides the messages that are visible, and returns them.
func (s *sky) take() []letter {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []letter
	for _, l := range s.queue {
		if !l.visible.After(time.Now()) {
			l.visible = time.Now().Add(visibility)
			out = append(out, *l)
		}
	}
	return out
}

// deliver calls a function with a message, which is deleted if all was well.
func (s *sky) deliver(ctx context.Context, l letter) {
	f := s.living()
	if f == nil || !f.answers(ctx, l) || f.died() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = slices.DeleteFunc(s.queue, func(q *letter) bool { return q.id == l.id })
}

// answers reports whether the function took the message.
func (f *function) answers(ctx context.Context, l letter) bool {
	event, err := json.Marshal(map[string]any{"Records": []map[string]string{{"messageId": l.id, "eventSource": "aws:sqs", "body": l.body}}})
	if err != nil {
		return false
	}
	pass := func(ctx context.Context, id string) error { return f.advance(ctx, &f.store, id) }
	out, err := f.Answer(ctx, event, awsscheduler.Calls{Advance: pass, Look: pass})
	return err == nil && len(out.Failures) == 0
}

// Do answers the calls of the AWS SDK.
func (s *sky) Do(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	name, isSchedule := strings.CutPrefix(r.URL.Path, "/schedules/")
	switch {
	case r.Header.Get("X-Amz-Target") == "AmazonSQS.SendMessage":
		return s.send(body)
	case isSchedule && r.Method == http.MethodPost:
		return s.create(name, body)
	}
	return nil, fmt.Errorf("a call that nobody expects: %s %s", r.Method, r.URL)
}

func (s *sky) send(body []byte) (*http.Response, error) {
	var in struct {
		MessageBody  string
		DelaySeconds int
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.made++
	id := fmt.Sprint("message ", s.made)
	s.queue = append(s.queue, &letter{id: id, body: in.MessageBody, visible: time.Now().Add(time.Duration(in.DelaySeconds) * time.Second)})
	sum := md5.Sum([]byte(in.MessageBody)) //nolint:gosec // see above
	return response(http.StatusOK, "", map[string]string{"MessageId": id, "MD5OfMessageBody": hex.EncodeToString(sum[:])}), nil
}

func (s *sky) create(name string, body []byte) (*http.Response, error) {
	var in struct {
		ScheduleExpression string
		Target             struct{ Input string }
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	at, err := time.Parse("at(2006-01-02T15:04:05)", in.ScheduleExpression)
	if err != nil || len(name) > 64 {
		return response(http.StatusBadRequest, "ValidationException", nil), nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.schedules[name] != nil {
		return response(http.StatusConflict, "ConflictException", nil), nil
	}
	s.made++
	late := mostLate * time.Duration(s.made%7) / 7
	s.schedules[name] = &plan{rings: at.Add(late), input: in.Target.Input}
	return response(http.StatusOK, "", map[string]string{"ScheduleArn": "arn:schedule"}), nil
}

func response(status int, fault string, body any) *http.Response {
	doc, _ := json.Marshal(body) // texts
	return &http.Response{
		StatusCode: status, Header: http.Header{"X-Amzn-Errortype": {fault}, "Content-Type": {"application/x-amz-json-1.0"}}, Body: io.NopCloser(bytes.NewReader(doc)),
	}
}

// TestAScheduleIsDeletedAfterItWasMoved lets AWS delete a schedule that has just rung while its meeting is moved: the new time
// has a schedule of its own.
func TestAScheduleIsDeletedAfterItWasMoved(t *testing.T) {
	t.Parallel()
	kept := memstore.New()
	c := newCloud(t, kept)
	s := awsscheduler.New(c.options)
	first := time.Now().Add(time.Hour).Truncate(time.Second)
	m := create(t, kept, first)
	if err := s.Follow(t.Context(), m.ID); err != nil {
		t.Fatal(err)
	}
	rang := c.names(t, m.ID) // it rings now
	m = save(t, kept, m, first.Add(time.Hour))
	if err := s.Follow(t.Context(), m.ID); err != nil {
		t.Fatal(err)
	}
	c.remove(t, rang) // and is deleted a moment later
	if got := c.schedules(t, m.ID); !slices.Equal(got, []string{at(first.Add(time.Hour))}) {
		t.Errorf("the schedules are %q, want that of the new time", got)
	}
	for _, name := range c.names(t, m.ID) {
		if !strings.HasPrefix(name, m.ID+"-") || len(name) > 64 || !greenroom.ValidMeetingID(m.ID) {
			t.Errorf("a schedule is named %q", name)
		}
	}
}
