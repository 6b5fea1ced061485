// Package lambda runs greenroom as functions: nothing lives between two events, and every event is only a reason to
// call Advance. It has what all functions are made of, and those that serve no pages; package httpfunction is the other one. It
// is the composition root of the functions, as package server is that of the server.
package lambda

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"greenroom"
	"greenroom/internal/scheduler/awsscheduler"
	"greenroom/internal/store/dynamostore"
)

// Trigger is what calls a function; its name is the function's handler.
type Trigger string

// The triggers, one function for each.
const (
	HTTP     Trigger = "http"     // a function URL, or an HTTP API; see package httpfunction
	Wake     Trigger = "wake"     // the queue of wakes
	Instance Trigger = "instance" // EC2 reports that a machine's state has changed
	Change   Trigger = "change"   // the table's stream
	Sweep    Trigger = "sweep"    // a clock
)

// Functions answers the events of the functions that serve no pages. Its methods may be called at once.
type Functions struct {
	*Parts
	schedules *awsscheduler.Scheduler
	sure      atomic.Int64 // when it was last made sure that sweeps go on, in Unix nanoseconds
}

// Open returns what answers the events of a trigger. It asks nothing of AWS.
func Open(ctx context.Context, trigger Trigger, o Options) (Answer, error) {
	if !slices.Contains([]Trigger{Wake, Instance, Change, Sweep}, trigger) {
		return nil, WrongHandler(trigger, "greenroom-lambda answers wake, instance, change and sweep, and greenroom-lambda-http answers http")
	}
	p, err := NewParts(ctx, o)
	if err != nil {
		return nil, err
	}
	account, err := p.account(ctx)
	if err != nil {
		return nil, err
	}
	s := o.Config.Serverless
	f := &Functions{Parts: p, schedules: awsscheduler.New(awsscheduler.Options{
		AWS: account, Meetings: p.Store, Group: s.ScheduleGroup, Target: s.QueueARN, Role: s.ScheduleRole, DeadLetters: s.DeadLetters, Queue: s.Queue,
	})}
	return func(ctx context.Context, event []byte) (any, error) { return f.handle(ctx, trigger, event) }, nil
}

// WrongHandler is the error of a function whose handler its program does not answer.
func WrongHandler(trigger Trigger, answers string) error {
	return &greenroom.UserError{
		Message: fmt.Sprintf("The function's handler is %q, which is not in this package: %s. Set handler and package as deploy/aws does.", trigger, answers), Cause: greenroom.ErrPermanent,
	}
}

// handle answers one event and returns what its trigger expects. An error means that the event is to be sent again, or to become
// a dead letter.
func (f *Functions) handle(ctx context.Context, trigger Trigger, event []byte) (any, error) {
	switch trigger {
	case Wake:
		out, err := f.schedules.Answer(ctx, event, awsscheduler.Calls{Advance: f.advance, Look: f.look, Sweep: f.sweep})
		return f.partly(out, len(out.Failures), err)
	case Change:
		changes, err := dynamostore.Changes(event)
		if err != nil {
			return nil, f.Failed("change", err)
		}
		out, err := dynamostore.Follow(ctx, changes, f.schedules.Follow)
		return f.partly(out, len(out.Failures), err)
	case Instance:
		return nil, f.Failed("instance", f.instance(ctx, event))
	default:
		return nil, f.Failed("sweep", f.sweep(ctx))
	}
}

// partly is the answer to a batch: a message that failed by itself is sent again by itself.
func (f *Functions) partly(out any, failures int, err error) (any, error) {
	if err = f.Failed("batch", err); err != nil && failures == 0 {
		return nil, err
	}
	return out, nil
}

// state is one of EC2's messages that the state of a machine has changed. It carries no tags: the table tells
// whose machine it is.
type state struct {
	Source string `json:"source"`
	Kind   string `json:"detail-type"`
	Detail struct {
		Instance string `json:"instance-id"`
		State    string `json:"state"`
	} `json:"detail"`
}

// instance asks for a pass of the machine's meeting, if it is ours and its state is news: in the queue, since as many machines
// may change at once as there are, and EC2 counts who looks at them. One that was launched a moment ago may not be in the
// table yet: the event is only a hint, and polling finds it.
func (f *Functions) instance(ctx context.Context, event []byte) error {
	var s state
	if err := json.Unmarshal(event, &s); err != nil || s.Source != "aws.ec2" || s.Kind != "EC2 Instance State-change Notification" || !greenroom.ValidInstanceID(s.Detail.Instance) {
		return &greenroom.UserError{
			Message: "This event is not a change of a machine's state: see the rule that calls the function.",
			Cause:   errors.Join(greenroom.ErrPermanent, cmp.Or(err, fmt.Errorf("it is of %.40q, %.60q, about %.40q", s.Source, s.Kind, s.Detail.Instance))),
		}
	}
	meeting, err := f.Store.MeetingOf(ctx, s.Detail.Instance)
	if err == nil {
		var m greenroom.Meeting
		if m, err = f.Store.Meeting(ctx, meeting); err == nil && news(m, s.Detail.Instance, s.Detail.State) {
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
