// Package lambda runs greenroom as functions: nothing lives between two events, and every event is only a reason to
// call Advance. It is the composition root of the functions, as package app is that of the server.
package lambda

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"

	"greenroom"
	"greenroom/internal/config"
	"greenroom/internal/scheduler/awsscheduler"
	"greenroom/internal/secrets"
	"greenroom/internal/secrets/awssecrets"
	"greenroom/internal/store/dynamostore"
)

// Trigger is what calls a function; its name is the function's handler.
type Trigger string

// The triggers, one function for each.
const (
	HTTP     Trigger = "http"     // a function URL, or an HTTP API
	Wake     Trigger = "wake"     // the queue of wakes
	Instance Trigger = "instance" // EC2 tells that a machine's state has changed
	Change   Trigger = "change"   // the table's stream
	Sweep    Trigger = "sweep"    // a clock
)

// Options are what the functions are told from outside.
type Options struct {
	Config  config.Config // as config.ValidateServerless wants it
	Logger  *slog.Logger
	Version string
}

// Functions answers events. Its parts are opened when they are first needed and stay: the next event of the same sandbox
// finds them. Its methods may be called at once.
type Functions struct {
	Options
	aws       aws.Config
	store     *dynamostore.Store
	schedules *awsscheduler.Scheduler
	secrets   *secrets.Store
	http      lazy[*web]
	core      lazy[*core]
	naming    sync.Once
	domain    string       // by which the function was reached first
	sure      atomic.Int64 // when it was last made sure that sweeps go on, in Unix nanoseconds
}

// New returns the functions. It asks nothing of AWS.
func New(ctx context.Context, o Options) (*Functions, error) {
	var options []func(*awsconfig.LoadOptions) error
	if o.Config.AWS.Region != "" {
		options = append(options, awsconfig.WithRegion(o.Config.AWS.Region))
	}
	account, err := awsconfig.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, &greenroom.UserError{Message: fmt.Sprintf("The AWS configuration cannot be read: %v.", err), Cause: err}
	}
	s := o.Config.Serverless
	f := &Functions{Options: o, aws: account}
	f.store = dynamostore.New(dynamostore.Options{AWS: account, Table: s.Table, KeepHistory: time.Duration(s.KeepHistory)})
	f.schedules = awsscheduler.New(awsscheduler.Options{
		AWS: account, Meetings: f.store, Group: s.ScheduleGroup, Target: s.QueueARN, Role: s.ScheduleRole, DeadLetters: s.DeadLetters, Queue: s.Queue,
	})
	f.secrets = secrets.New(secrets.Options{AWS: awssecrets.New(), Logger: o.Logger})
	f.http.open, f.core.open = f.openWeb, f.openCore
	return f, nil
}

// Handle answers one event and returns what its trigger wants to hear. An error means that the event is to come again, or
// to be laid among the dead letters.
func (f *Functions) Handle(ctx context.Context, trigger Trigger, event []byte) (any, error) {
	ctx, cancel := before(ctx)
	defer cancel()
	switch trigger {
	case HTTP:
		return f.answer(ctx, event)
	case Wake:
		out, err := f.schedules.Answer(ctx, event, awsscheduler.Calls{Advance: f.advance, Look: f.look, Sweep: f.sweep})
		return f.partly(out, len(out.Failures), err)
	case Change:
		changes, err := dynamostore.Changes(event)
		if err != nil {
			return nil, f.told("change", err)
		}
		out, err := dynamostore.Follow(ctx, changes, f.schedules.Follow)
		return f.partly(out, len(out.Failures), err)
	case Instance:
		return nil, f.told("instance", f.instance(ctx, event))
	case Sweep:
		return nil, f.told("sweep", f.sweep(ctx))
	}
	return nil, &greenroom.UserError{Message: fmt.Sprintf("The function's handler is %q: set it to http, wake, instance, change or sweep, as deploy/aws does.", trigger), Cause: greenroom.ErrPermanent}
}

// lastWords is what a function keeps of its time to say what became of an event.
const lastWords = 2 * time.Second

// before is ctx with an earlier end: whoever is cut off by Lambda can tell nothing any more.
func before(ctx context.Context) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithDeadlineCause(ctx, end.Add(-min(lastWords, time.Until(end)/2)), errors.New("the function's time is over"))
}

// partly is the answer to a batch: what failed by itself comes again by itself.
func (f *Functions) partly(out any, failures int, err error) (any, error) {
	if err = f.told("batch", err); err != nil && failures == 0 {
		return nil, err
	}
	return out, nil
}

// told logs what failed: AWS keeps no more of an error than its text, and that not for long.
func (f *Functions) told(what string, err error) error {
	if err != nil {
		f.Logger.Error("event failed", "what", what, "sentence", greenroom.Sentence(err, ""), "err", err)
	}
	return err
}

// state is one of EC2's messages that the state of a machine has changed. It carries no tags: whose machine it is stands in
// the table.
type state struct {
	Source string `json:"source"`
	Kind   string `json:"detail-type"`
	Detail struct {
		Instance string `json:"instance-id"`
		State    string `json:"state"`
	} `json:"detail"`
}

// instance asks for a pass of the machine's meeting, if it is ours and its state is news: in the queue, since as many machines
// may change at once as there are, and EC2 counts who looks at them. One that was launched a moment ago may not stand in the
// table yet: what was told of it is only a hint, and polling finds it.
func (f *Functions) instance(ctx context.Context, event []byte) error {
	var s state
	if err := json.Unmarshal(event, &s); err != nil || s.Source != "aws.ec2" || s.Kind != "EC2 Instance State-change Notification" || !greenroom.ValidInstanceID(s.Detail.Instance) {
		return &greenroom.UserError{
			Message: "This event is no change of a machine's state: see the rule that calls the function.",
			Cause:   errors.Join(greenroom.ErrPermanent, cmp.Or(err, fmt.Errorf("it is of %.40q, %.60q, about %.40q", s.Source, s.Kind, s.Detail.Instance))),
		}
	}
	meeting, err := f.store.MeetingOf(ctx, s.Detail.Instance)
	if err == nil {
		var m greenroom.Meeting
		if m, err = f.store.Meeting(ctx, meeting); err == nil && news(m, s.Detail.Instance, s.Detail.State) {
			err = f.schedules.Kick(ctx, meeting)
		}
	}
	if errors.Is(err, greenroom.ErrNotFound) {
		return nil // somebody else's machine, or a forgotten meeting
	}
	return err
}

// news reports whether the state of a machine tells its meeting anything: that it runs, for which somebody waits; that it
// goes, for which nobody has asked; or that it is gone.
func news(m greenroom.Meeting, instance, state string) bool {
	for i := range m.Seats {
		d := &m.Seats[i].Desktop
		if d.InstanceID != instance || !d.MayExist() {
			continue
		}
		switch state {
		case "running":
			return d.Phase == greenroom.Launching || d.Phase == greenroom.Booting
		case "terminated":
			return true
		default:
			return d.Phase.Live() && state != "pending"
		}
	}
	return false
}
