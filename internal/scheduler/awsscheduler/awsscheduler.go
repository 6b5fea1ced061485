// Package awsscheduler keeps the wakes of meetings where no process waits for them: with EventBridge Scheduler and a queue
// that delays its messages.
//
// A schedule rings up to a minute late, so it is set a minute early, and whoever it wakes lets the queue, which counts in
// seconds, wait for what is left. Nearer wakes go to the queue at once. Either way may ring twice or for nothing: who is
// woken reads the meeting and finds out whether its time has come.
//
// Every save of a meeting has its own message, which says of which revision it is: when another has been saved meanwhile,
// that one's message counts. Otherwise each would be sent on and on beside the others.
package awsscheduler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	"github.com/aws/aws-sdk-go-v2/service/scheduler/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"golang.org/x/time/rate"

	"greenroom"
	"greenroom/internal/backoff"
)

// meetings is what is needed of the store. It must answer as the last save left it.
type meetings interface {
	Meeting(ctx context.Context, id string) (greenroom.Meeting, error)
}

// Options are what Scheduler is made of. All but PerSecond are required.
type Options struct {
	AWS         aws.Config
	Meetings    meetings
	Group       string // of schedules; nothing else may be in it
	Target      string // ARN of Queue, or of the function that its messages wake
	Role        string // ARN of the role that lets EventBridge Scheduler wake it
	DeadLetters string // ARN of the queue for what could not be delivered
	Queue       string // URL of the queue that delays, whose messages wake the same function
	PerSecond   int    // calls to EventBridge Scheduler; 0 is DefaultPerSecond
}

// DefaultPerSecond leaves room below the lowest quota of a region, 250 a second, for several functions at once.
const DefaultPerSecond = 50

const (
	early    = time.Minute      // how late a schedule may ring
	near     = 2 * time.Minute  // wakes before this wait in the queue
	maxDelay = 15 * time.Minute // of a queue's message
	attempts = 6                // of a call, and of the calls that one wake may take
	longest  = 15 * time.Second // for one wake
	// What could not be delivered is tried again for so long: by then the sweep has found the meeting.
	keepTrying = time.Hour
	maxTries   = 30
)

// Scheduler moves wakes. Make it with New.
type Scheduler struct {
	Options
	scheduler *scheduler.Client
	queue     *sqs.Client
	pace      *rate.Limiter

	mu    sync.Mutex
	known map[string]set // by meeting
}

// set is what the schedule of a meeting was set to at a revision; an empty expression is none.
type set struct {
	rev        int64
	expression string
}

// maxKnown bounds what is remembered: some 100 bytes each.
const maxKnown = 20_000

// New returns a Scheduler. It asks nothing of AWS.
func New(o Options) *Scheduler {
	if o.PerSecond <= 0 {
		o.PerSecond = DefaultPerSecond
	}
	retryer := retry.NewStandard(func(r *retry.StandardOptions) {
		r.MaxAttempts = attempts
		r.Backoff = retry.BackoffDelayerFunc(backoff.Schedule{First: 50 * time.Millisecond, Most: 2 * time.Second}.Delay)
	})
	return &Scheduler{
		Options:   o,
		scheduler: scheduler.NewFromConfig(o.AWS, func(s *scheduler.Options) { s.Retryer = retryer }),
		queue:     sqs.NewFromConfig(o.AWS, func(s *sqs.Options) { s.Retryer = retryer }),
		pace:      rate.NewLimiter(rate.Limit(o.PerSecond), o.PerSecond),
		known:     map[string]set{},
	}
}

// Follow lets the wake of a meeting be what the meeting wants now: set, moved or taken away. It may be called any number
// of times, and after any change.
func (s *Scheduler) Follow(ctx context.Context, meeting string) error {
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	m, err := s.Meetings.Meeting(ctx, meeting)
	if errors.Is(err, greenroom.ErrNotFound) {
		m, err = greenroom.Meeting{ID: meeting, Closed: true}, nil
	}
	if err != nil {
		return fmt.Errorf("follow meeting %s: %w", meeting, err)
	}
	if err := s.set(ctx, m); err != nil {
		return fmt.Errorf("set the wake of meeting %s: %w", meeting, s.explain(ctx, err))
	}
	return nil
}

// wakeOf is when m wants to be woken; zero is never.
func wakeOf(m greenroom.Meeting) time.Time {
	if m.Closed {
		return time.Time{}
	}
	return m.WakeAt
}

func (s *Scheduler) set(ctx context.Context, m greenroom.Meeting) error {
	at := wakeOf(m)
	left := time.Until(at)
	switch {
	case !at.IsZero() && left <= near: // a schedule that was set before stays: it rings for nothing, and is gone
		return s.send(ctx, Wake{Meeting: m.ID, Rev: m.Rev}, left)
	case at.IsZero():
		return s.move(ctx, m, "")
	default:
		return s.move(ctx, m, "at("+at.Add(-early).UTC().Format("2006-01-02T15:04:05")+")")
	}
}

// Wake is what the woken function is given: a meeting whose time may have come, or the word to sweep.
type Wake struct {
	Meeting string `json:"meeting,omitempty"`
	Rev     int64  `json:"rev,omitempty"`   // the wake is that of this revision; 0: of any
	Kick    bool   `json:"kick,omitempty"`  // something happened: whatever its wake says
	Sweep   bool   `json:"sweep,omitempty"` // no meeting
}

func (w Wake) text() *string {
	doc, _ := json.Marshal(w) // texts and numbers cannot fail
	return aws.String(string(doc))
}

// Kick asks for a pass of the meeting as soon as possible.
func (s *Scheduler) Kick(ctx context.Context, meeting string) error {
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	if err := s.send(ctx, Wake{Meeting: meeting, Kick: true}, 0); err != nil {
		return fmt.Errorf("kick meeting %s: %w", meeting, s.explain(ctx, err))
	}
	return nil
}

// send lets the queue wake in so many whole seconds.
func (s *Scheduler) send(ctx context.Context, w Wake, left time.Duration) error {
	left = min(max(left, 0), maxDelay)
	_, err := s.queue.SendMessage(ctx, &sqs.SendMessageInput{
		QueueUrl: aws.String(s.Queue), MessageBody: w.text(), DelaySeconds: int32(math.Ceil(left.Seconds())),
	})
	if err != nil {
		return fmt.Errorf("delay: %w", err)
	}
	return nil
}

// move lets the meeting's schedule be what m wants, and asks nobody if it is so already. That is known only if this process
// set it at the revision before: between the two nobody else can have moved it to anything else.
func (s *Scheduler) move(ctx context.Context, m greenroom.Meeting, expression string) error {
	s.mu.Lock()
	before, known := s.known[m.ID]
	s.mu.Unlock()
	known = known && m.Rev-before.rev <= 1 && m.Rev >= before.rev
	if !known || before.expression != expression {
		there := m.Rev > 1
		if known {
			there = before.expression != ""
		}
		if err := s.schedule(ctx, m.ID, expression, there); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known) >= maxKnown {
		clear(s.known)
	}
	if s.known[m.ID] = (set{m.Rev, expression}); m.Closed {
		delete(s.known, m.ID)
	}
	return nil
}

// schedule moves a meeting's schedule, makes it, or takes it away if there is to be no expression. It is gone after it has
// rung, and others may do the same at the same moment; there says which is the likelier.
func (s *Scheduler) schedule(ctx context.Context, meeting, expression string, there bool) error {
	var err error
	for range attempts {
		if err := s.pace.Wait(ctx); err != nil {
			return err
		}
		switch {
		case expression == "":
			err = s.remove(ctx, meeting)
		case there:
			err = s.update(ctx, meeting, expression)
		default:
			err = s.create(ctx, meeting, expression, Wake{Meeting: meeting})
		}
		_, none := errors.AsType[*types.ResourceNotFoundException](err)
		_, raced := errors.AsType[*types.ConflictException](err)
		switch {
		case none && there:
			there = false
		case raced:
			there = true
		default:
			return err
		}
	}
	return err
}

func (s *Scheduler) create(ctx context.Context, name, expression string, w Wake) error {
	in := &scheduler.CreateScheduleInput{
		Name: aws.String(name), GroupName: aws.String(s.Group), ScheduleExpression: aws.String(expression), FlexibleTimeWindow: punctually, Target: s.target(w),
	}
	if w.Meeting != "" { // of one time
		in.ActionAfterCompletion = types.ActionAfterCompletionDelete
	}
	_, err := s.scheduler.CreateSchedule(ctx, in)
	return err
}

func (s *Scheduler) update(ctx context.Context, meeting, expression string) error {
	_, err := s.scheduler.UpdateSchedule(ctx, &scheduler.UpdateScheduleInput{
		Name: aws.String(meeting), GroupName: aws.String(s.Group), ScheduleExpression: aws.String(expression), FlexibleTimeWindow: punctually,
		Target: s.target(Wake{Meeting: meeting}), ActionAfterCompletion: types.ActionAfterCompletionDelete,
	})
	return err
}

func (s *Scheduler) remove(ctx context.Context, name string) error {
	_, err := s.scheduler.DeleteSchedule(ctx, &scheduler.DeleteScheduleInput{Name: aws.String(name), GroupName: aws.String(s.Group)})
	if _, none := errors.AsType[*types.ResourceNotFoundException](err); none {
		return nil
	}
	return err
}

var punctually = &types.FlexibleTimeWindow{Mode: types.FlexibleTimeWindowModeOff}

func (s *Scheduler) target(w Wake) *types.Target {
	return &types.Target{
		Arn: aws.String(s.Target), RoleArn: aws.String(s.Role), Input: w.text(),
		DeadLetterConfig: &types.DeadLetterConfig{Arn: aws.String(s.DeadLetters)},
		RetryPolicy:      &types.RetryPolicy{MaximumEventAgeInSeconds: aws.Int32(int32(keepTrying.Seconds())), MaximumRetryAttempts: aws.Int32(maxTries)},
	}
}
