package awsscheduler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	"github.com/aws/aws-sdk-go-v2/service/scheduler/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"greenroom"
)

// CheckGroup tells in one sentence what is wrong with the group of schedules.
func (s *Scheduler) CheckGroup(ctx context.Context) error {
	out, err := s.scheduler.GetScheduleGroup(ctx, &scheduler.GetScheduleGroupInput{Name: aws.String(s.Group)})
	if err != nil {
		return fmt.Errorf("look at the group of schedules: %w", s.unseen(ctx, err))
	}
	if out.State != types.ScheduleGroupStateActive {
		return wrong("The group %s of schedules is being deleted: make it anew with deploy/aws.", s.Group)
	}
	return nil
}

// CheckQueue tells in one sentence what is wrong with the queue that delays: that it is not there, or another than the one
// that schedules send to, or keeps what nobody can answer.
func (s *Scheduler) CheckQueue(ctx context.Context) error {
	out, err := s.queue.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: aws.String(s.Queue), AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameQueueArn, sqstypes.QueueAttributeNameRedrivePolicy},
	})
	if err != nil {
		return fmt.Errorf("look at the queue: %w", s.unseen(ctx, err))
	}
	if arn := out.Attributes[string(sqstypes.QueueAttributeNameQueueArn)]; arn != s.Target {
		return wrong("The queue %s is %s, and schedules send to %s: take both from the same stack of deploy/aws.", s.Queue, arn, s.Target)
	}
	var redrive struct {
		To string `json:"deadLetterTargetArn"`
	}
	text := out.Attributes[string(sqstypes.QueueAttributeNameRedrivePolicy)]
	switch err := json.Unmarshal([]byte(text), &redrive); {
	case text == "" || err != nil || redrive.To == "":
		return wrong("The queue %s does not give up what fails again and again: give it the redrive policy of deploy/aws, to %s.", s.Queue, s.DeadLetters)
	case redrive.To != s.DeadLetters:
		return wrong("The queue %s has dead-letter queue %s, and not %s: deploy deploy/aws again, or fix serverless.dead_letters.", s.Queue, redrive.To, s.DeadLetters)
	}
	return nil
}

// unseen explains why something could not be looked at. That one may not look says nothing about wakes.
func (s *Scheduler) unseen(ctx context.Context, err error) error {
	if api, ok := errors.AsType[smithy.APIError](err); ok && strings.HasPrefix(api.ErrorCode(), "AccessDenied") {
		return err
	}
	return s.explain(ctx, err)
}

func wrong(format string, args ...any) error {
	return &greenroom.UserError{Message: fmt.Sprintf(format, args...), Cause: greenroom.ErrPermanent}
}
