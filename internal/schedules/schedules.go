// Package schedules keeps the wakes of meetings where no process waits for them: with EventBridge Scheduler and a queue
// that delays its messages.
//
// A schedule rings up to a minute late, so it is set a minute early, and whoever it wakes lets the queue, which counts in
// seconds, wait for what is left. Nearer wakes go to the queue at once. Either way may ring twice or for nothing: who is
// woken reads the meeting and finds out whether its time has come.
package schedules

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	"github.com/aws/aws-sdk-go-v2/service/scheduler/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"golang.org/x/time/rate"

	"greenroom"
)

// meetings is what is needed of the store. It must answer as the last save left it.
type meetings interface {
	Meeting(ctx context.Context, id string) (greenroom.Meeting, error)
}

// Options are what Schedules are made of. All but PerSecond are required.
type Options struct {
	AWS         aws.Config
	Meetings    meetings
	Group       string // of schedules; nothing else may be in it
	Target      string // ARN of the function that is woken, or of Queue
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

// Schedules moves wakes. Make it with New.
type Schedules struct {
	Options
	scheduler *scheduler.Client
	queue     *sqs.Client
	pace      *rate.Limiter
}

// New returns Schedules. It asks nothing of AWS.
func New(o Options) *Schedules {
	if o.PerSecond <= 0 {
		o.PerSecond = DefaultPerSecond
	}
	retryer := retry.NewStandard(func(r *retry.StandardOptions) {
		r.MaxAttempts = attempts
		r.Backoff = retry.BackoffDelayerFunc(func(attempt int, _ error) (time.Duration, error) {
			most := min(50*time.Millisecond<<min(attempt, 10), 2*time.Second)
			return most/2 + rand.N(most/2), nil //nolint:gosec // no secret
		})
	})
	return &Schedules{
		Options:   o,
		scheduler: scheduler.NewFromConfig(o.AWS, func(s *scheduler.Options) { s.Retryer = retryer }),
		queue:     sqs.NewFromConfig(o.AWS, func(s *sqs.Options) { s.Retryer = retryer }),
		pace:      rate.NewLimiter(rate.Limit(o.PerSecond), o.PerSecond),
	}
}

// Follow lets the wake of a meeting be what the meeting wants now: set, moved or taken away. It may be called any number
// of times, and after any change.
func (s *Schedules) Follow(ctx context.Context, meeting string) error {
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	m, err := s.Meetings.Meeting(ctx, meeting)
	if err != nil && !errors.Is(err, greenroom.ErrNotFound) {
		return fmt.Errorf("follow meeting %s: %w", meeting, err)
	}
	if err := s.set(ctx, meeting, wakeOf(m)); err != nil {
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

func (s *Schedules) set(ctx context.Context, meeting string, at time.Time) error {
	switch left := time.Until(at); {
	case at.IsZero():
		return s.remove(ctx, meeting)
	case left <= near:
		return s.delay(ctx, meeting, left)
	default:
		return s.schedule(ctx, meeting, at.Add(-early))
	}
}

// Wake is what the woken function is given.
type Wake struct {
	Meeting string `json:"meeting"`
}

func wakeFor(meeting string) *string {
	doc, _ := json.Marshal(Wake{meeting}) // a text alone cannot fail
	return aws.String(string(doc))
}

// delay lets the queue wake in so many whole seconds. A schedule that was set before stays: it rings for nothing, and is gone.
func (s *Schedules) delay(ctx context.Context, meeting string, left time.Duration) error {
	left = min(max(left, 0), maxDelay)
	_, err := s.queue.SendMessage(ctx, &sqs.SendMessageInput{
		QueueUrl: aws.String(s.Queue), MessageBody: wakeFor(meeting), DelaySeconds: int32(math.Ceil(left.Seconds())),
	})
	if err != nil {
		return fmt.Errorf("delay: %w", err)
	}
	return nil
}

// schedule moves the meeting's schedule, or makes it if there is none: it is gone after it has rung. Others may do the same
// at the same moment.
func (s *Schedules) schedule(ctx context.Context, meeting string, at time.Time) error {
	var (
		name       = aws.String(meeting)
		group      = aws.String(s.Group)
		expression = aws.String("at(" + at.UTC().Format("2006-01-02T15:04:05") + ")")
		window     = &types.FlexibleTimeWindow{Mode: types.FlexibleTimeWindowModeOff}
		target     = &types.Target{
			Arn: aws.String(s.Target), RoleArn: aws.String(s.Role), Input: wakeFor(meeting),
			DeadLetterConfig: &types.DeadLetterConfig{Arn: aws.String(s.DeadLetters)},
			RetryPolicy:      &types.RetryPolicy{MaximumEventAgeInSeconds: aws.Int32(int32(keepTrying.Seconds())), MaximumRetryAttempts: aws.Int32(maxTries)},
		}
	)
	var err error
	for range attempts {
		if err := s.pace.Wait(ctx); err != nil {
			return err
		}
		_, err = s.scheduler.UpdateSchedule(ctx, &scheduler.UpdateScheduleInput{
			Name: name, GroupName: group, ScheduleExpression: expression, FlexibleTimeWindow: window, Target: target,
			ActionAfterCompletion: types.ActionAfterCompletionDelete,
		})
		if _, none := errors.AsType[*types.ResourceNotFoundException](err); none {
			_, err = s.scheduler.CreateSchedule(ctx, &scheduler.CreateScheduleInput{
				Name: name, GroupName: group, ScheduleExpression: expression, FlexibleTimeWindow: window, Target: target,
				ActionAfterCompletion: types.ActionAfterCompletionDelete,
			})
		}
		if _, raced := errors.AsType[*types.ConflictException](err); !raced {
			return err
		}
	}
	return err
}

func (s *Schedules) remove(ctx context.Context, meeting string) error {
	var err error
	for range attempts {
		if err := s.pace.Wait(ctx); err != nil {
			return err
		}
		_, err = s.scheduler.DeleteSchedule(ctx, &scheduler.DeleteScheduleInput{Name: aws.String(meeting), GroupName: aws.String(s.Group)})
		if _, none := errors.AsType[*types.ResourceNotFoundException](err); none {
			return nil
		}
		if _, raced := errors.AsType[*types.ConflictException](err); !raced {
			return err
		}
	}
	return err
}
