// Package awsscheduler keeps the wakes of meetings where no process waits for them: with EventBridge Scheduler and a queue
// that delays its messages.
//
// A schedule rings up to a minute late, so it is set a minute early, and whoever it wakes lets the queue, which counts in
// seconds, wait for what is left. Nearer wakes go to the queue at once. Either way may ring twice or for nothing: who is
// woken reads the meeting and finds out whether its time has come.
//
// A schedule is named after its meeting and its time, and is never changed: AWS deletes one that has rung at some moment
// afterwards, and what it was changed to meanwhile would be deleted with it. One whose wake was moved or cleared rings for
// nothing, and is gone.
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

// Options are what Scheduler is made of. All but PerSecond and Now are required.
type Options struct {
	AWS         aws.Config
	Meetings    meetings
	Group       string // of schedules; nothing else may be in it
	Target      string // ARN of Queue, or of the function that its messages wake
	Role        string // ARN of the role that lets EventBridge Scheduler wake it
	DeadLetters string // ARN of the queue for what could not be delivered
	Queue       string // URL of the queue that delays, whose messages wake the same function
	PerSecond   int    // calls to EventBridge Scheduler; 0 is DefaultPerSecond

	// Now is the wall clock; nil is time.Now.
	Now func() time.Time
}

// DefaultPerSecond leaves room below the lowest quota of a region, 250 a second, for several functions at once.
const DefaultPerSecond = 50

const (
	early    = time.Minute      // how late a schedule may ring
	near     = 2 * time.Minute  // wakes before this wait in the queue
	maxDelay = 15 * time.Minute // of a queue's message
	attempts = 6                // of a call
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

	mu   sync.Mutex
	made map[string]time.Time // by meeting, the time of the schedule that was made last
}

// maxMade bounds what is remembered: some 100 bytes each.
const maxMade = 20_000

// New returns a Scheduler. It asks nothing of AWS.
func New(o Options) *Scheduler {
	if o.PerSecond <= 0 {
		o.PerSecond = DefaultPerSecond
	}
	if o.Now == nil {
		o.Now = time.Now
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
		made:      map[string]time.Time{},
	}
}

// Follow sees to it that the meeting is woken when it wants to be now. It may be called any number of times, and after any
// change.
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
	left := at.Sub(s.Now())
	switch {
	case at.IsZero(): // what was set before rings for nothing, and is gone
		return nil
	case left <= near:
		return s.send(ctx, Wake{Meeting: m.ID, Rev: m.Rev}, left)
	}
	return s.schedule(ctx, m.ID, at.Add(-early).UTC().Truncate(time.Second))
}

// Wake is what the woken function is given: a meeting whose time may have come, or a request to sweep.
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

// schedule makes the meeting's schedule of that time, if it is not there. Nobody is asked if this process made it: until it
// has rung it stays, and it is not made again after that, since what is so near goes to the queue.
func (s *Scheduler) schedule(ctx context.Context, meeting string, at time.Time) error {
	s.mu.Lock()
	before, known := s.made[meeting]
	s.mu.Unlock()
	if known && before.Equal(at) {
		return nil
	}
	err := s.create(ctx, scheduleName(meeting, at), "at("+at.Format("2006-01-02T15:04:05")+")", Wake{Meeting: meeting})
	if _, there := errors.AsType[*types.ConflictException](err); err != nil && !there {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.made) >= maxMade {
		clear(s.made)
	}
	s.made[meeting] = at
	return nil
}

// scheduleName is that of the meeting's schedule of a time, in UTC.
func scheduleName(meeting string, at time.Time) string {
	return meeting + "-" + at.Format("20060102T150405")
}

func (s *Scheduler) create(ctx context.Context, name, expression string, w Wake) error {
	if err := s.pace.Wait(ctx); err != nil {
		return err
	}
	in := &scheduler.CreateScheduleInput{
		Name: aws.String(name), GroupName: aws.String(s.Group), ScheduleExpression: aws.String(expression), FlexibleTimeWindow: punctually, Target: s.target(w),
	}
	if w.Meeting != "" { // of one time
		in.ActionAfterCompletion = types.ActionAfterCompletionDelete
	}
	_, err := s.scheduler.CreateSchedule(ctx, in)
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
