package greenroom

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Kinds of error. Code returns them wrapped; callers ask with errors.Is. An error of no kind is transient.
var (
	ErrNotFound  = errors.New("not found")
	ErrConflict  = errors.New("changed in the meantime")
	ErrForbidden = errors.New("not allowed")
	ErrEnded     = errors.New("ended")
	ErrCapacity  = errors.New("no capacity")
	ErrThrottled = errors.New("too many requests")
	// ErrUnavailable marks a store that cannot be written or read at the moment, whatever is asked of it.
	ErrUnavailable = errors.New("unavailable")
	// ErrBlocked marks what the same request may get later although it is refused now: a full quota, an account that is still verified,
	// rights that are not there yet. Nothing was done.
	ErrBlocked = errors.New("blocked")
	// ErrPermanent marks what no retry can fix: a missing package, a wrong image, a refused permission.
	ErrPermanent = errors.New("permanent")
)

// FieldError says which field of an input is wrong, and what would be right.
type FieldError struct {
	Field   string // path in the input, "seats[1].role"
	Message string // a sentence for people that says what would be right
}

func (e *FieldError) Error() string { return e.Field + ": " + e.Message }

// InvalidError collects every fault of an input, so that a person can fix them all at once.
type InvalidError struct{ Fields []FieldError }

func (e *InvalidError) Error() string {
	parts := make([]string, len(e.Fields))
	for i := range e.Fields {
		parts[i] = e.Fields[i].Error()
	}
	return "invalid input: " + strings.Join(parts, "; ")
}

// Add notes a fault.
func (e *InvalidError) Add(field, format string, args ...any) {
	e.Fields = append(e.Fields, FieldError{Field: field, Message: fmt.Sprintf(format, args...)})
}

// Err is nil when no fault was noted.
func (e *InvalidError) Err() error {
	if len(e.Fields) == 0 {
		return nil
	}
	return e
}

// UserError carries the sentence for people next to the detail for operators.
type UserError struct {
	Message string // what happened, and what can be done
	Cause   error
}

func (e *UserError) Error() string {
	if e.Cause == nil {
		return e.Message
	}
	return strings.TrimSuffix(e.Message, ".") + ": " + e.Cause.Error()
}

func (e *UserError) Unwrap() error { return e.Cause }

// Sentence is what a person is shown of err: the UserError's message if there is one, else fallback.
func Sentence(err error, fallback string) string {
	if ue, ok := errors.AsType[*UserError](err); ok {
		return ue.Message
	}
	return fallback
}

func itoa(n int) string { return strconv.Itoa(n) }

func atoi(s string) (int, bool) {
	n, err := strconv.Atoi(s)
	return n, err == nil && n >= 0
}
