package awsscheduler

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/smithy-go"

	"greenroom"
)

// explain says in a sentence what somebody can fix.
func (s *Scheduler) explain(ctx context.Context, err error) error {
	api, ok := errors.AsType[smithy.APIError](err)
	if !ok || ctx.Err() != nil {
		return err
	}
	message := ""
	switch api.ErrorCode() {
	case "ResourceNotFoundException":
		message = fmt.Sprintf("The group %s of schedules does not exist: make it with deploy/aws, or name another.", s.Group)
	case "QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue":
		message = fmt.Sprintf("The queue %s does not exist: make it with deploy/aws, or name another.", s.Queue)
	case "AccessDeniedException", "AccessDenied":
		message = "AWS refuses to set a wake: give the role the policy of deploy/aws."
	case "ValidationException":
		message = fmt.Sprintf("EventBridge Scheduler does not take the wake: see its target %s and its role %s.", s.Target, s.Role)
	case "ServiceQuotaExceededException":
		message = "The account's quota of schedules is used up: ask AWS for a higher one."
	case "ThrottlingException":
		message = "AWS takes no more schedules at the moment: they are tried again."
	default:
		return err
	}
	return &greenroom.UserError{Message: message, Cause: errors.Join(greenroom.ErrUnavailable, err)}
}
