package dns

import (
	"context"
	"errors"
	"net"

	"greenroom"
)

// Explain gives an error of a zone the sentence that people are shown, unless it has one. The same trouble has the same
// sentence, however often it is met: what differs, such as ports and times, stays in the cause.
func Explain(err error) error {
	if _, ok := errors.AsType[*greenroom.UserError](err); err == nil || ok {
		return err
	}
	if _, ok := errors.AsType[*PendingError](err); ok {
		return err
	}
	_, unreachable := errors.AsType[net.Error](err)
	message := "The zone's DNS provider could not change the name; the server's log has what it said."
	switch {
	case errors.Is(err, greenroom.ErrConflict):
		message = "The name has a record in the zone that is not greenroom's, and it was left alone."
	case errors.Is(err, greenroom.ErrThrottled):
		message = "The zone's DNS provider takes no changes for a while; greenroom waits as long as it asks."
	case errors.Is(err, greenroom.ErrPermanent):
		message = "The zone's DNS provider refuses the name; the server's log has what it said."
	case errors.Is(err, context.DeadlineExceeded) || unreachable:
		message = "The zone's DNS provider does not answer."
	}
	return &greenroom.UserError{Message: message, Cause: err}
}
