package dynamostore

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"greenroom"
)

// explain turns what AWS says into the kinds of greenroom, with a sentence for what somebody can fix. It has been tried
// again already where that helps.
func explain(caller context.Context, err error, table, region string) error {
	if cause := caller.Err(); cause != nil {
		return errors.Join(cause, err)
	}
	if refused(err) {
		return errors.Join(errRefused, err)
	}
	sentence := func(kind error, format string, args ...any) error {
		return &greenroom.UserError{Message: fmt.Sprintf(format, args...), Cause: errors.Join(kind, err)}
	}
	code := ""
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		code = api.ErrorCode()
	}
	switch code {
	case "ResourceNotFoundException":
		return sentence(greenroom.ErrUnavailable, "The table %s does not exist in %s: make it with deploy/aws, or name another.", table, region)
	case "ResourceInUseException":
		return sentence(greenroom.ErrConflict, "The table %s exists already in %s.", table, region)
	case "AccessDeniedException":
		return sentence(greenroom.ErrUnavailable, "AWS refuses %s on the table %s: give the role the policy of deploy/aws.", action(err), table)
	case "UnrecognizedClientException", "InvalidSignatureException", "ExpiredTokenException", "IncompleteSignatureException", "MissingAuthenticationTokenException", "MissingAuthenticationToken":
		return sentence(greenroom.ErrUnavailable, "AWS does not accept the credentials for the table %s: see that they are right and have not expired, and the clock too.", table)
	case "ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded", "TransactionCanceledException", "TransactionConflictException", "TransactionInProgressException":
		return throttled(table, err)
	}
	if strings.Contains(err.Error(), "get credentials") { // it has no type
		return sentence(greenroom.ErrUnavailable, "There are no AWS credentials to use the table %s with: set them in the environment, or give the machine or function a role.", table)
	}
	if noAnswer(err) || code == "InternalServerError" || code == "ServiceUnavailable" {
		return sentence(greenroom.ErrUnavailable, "The table %s in %s does not answer: see that AWS can be reached. What was not confirmed may not be saved.", table, region)
	}
	return err
}

func throttled(table string, err error) error {
	return &greenroom.UserError{
		Message: fmt.Sprintf("The table %s takes no more requests at the moment: try again, and raise its limits if it lasts.", table),
		Cause:   errors.Join(greenroom.ErrUnavailable, err),
	}
}

// refused reports that a condition was not met.
func refused(err error) bool {
	if _, ok := errors.AsType[*types.ConditionalCheckFailedException](err); ok {
		return true
	}
	cancelled, ok := errors.AsType[*types.TransactionCanceledException](err)
	if !ok {
		return false
	}
	for _, r := range cancelled.CancellationReasons {
		if aws.ToString(r.Code) == "ConditionalCheckFailed" {
			return true
		}
	}
	return false
}

func noAnswer(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	if _, ok := errors.AsType[*smithyhttp.RequestSendError](err); ok {
		return true
	}
	answer, ok := errors.AsType[*awshttp.ResponseError](err)
	return ok && answer.HTTPStatusCode() >= http.StatusInternalServerError
}

var performed = regexp.MustCompile(`perform: ([a-zA-Z0-9]+:[a-zA-Z0-9]+)`)

// action is what was not allowed, as policies name it.
func action(err error) string {
	if m := performed.FindStringSubmatch(err.Error()); m != nil {
		return m[1]
	}
	return "an action"
}
