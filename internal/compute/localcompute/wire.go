package localcompute

import (
	"errors"

	"greenroom"
	"greenroom/internal/compute"
)

// Calls that the host answers, each a POST of JSON. The paths carry a version, since a new binary may ask an old one.
const (
	launchPath    = "/v1/launch"    // []compute.Request → []outcome
	listPath      = "/v1/list"      // meeting → []compute.Instance
	terminatePath = "/v1/terminate" // ids → nothing

	// deadlineHeader says when the caller gives up, in RFC 3339: nothing is launched after that.
	deadlineHeader = "Greenroom-Deadline"

	maxBody    = 32 << 20 // a list of all desktops that fit on the loopback network
	maxClients = 512      // connections; more wait in the kernel's queue
)

// answer is what the host answers.
type answer struct {
	Value   any      `json:"value,omitempty"`
	Failure *failure `json:"failure,omitempty"`
}

// outcome is compute.Outcome on the wire.
type outcome struct {
	Instance compute.Instance `json:"instance"`
	Failure  *failure         `json:"failure,omitempty"`
}

// failure is an error on the wire.
type failure struct {
	Text     string   `json:"text"`
	Sentence string   `json:"sentence,omitempty"` // of the UserError
	Kinds    []string `json:"kinds,omitempty"`
}

// kinds are what callers ask errors for.
var kinds = []error{
	greenroom.ErrCapacity, greenroom.ErrBlocked, greenroom.ErrThrottled, greenroom.ErrPermanent, greenroom.ErrNotFound, greenroom.ErrConflict,
	greenroom.ErrForbidden, greenroom.ErrEnded, greenroom.ErrUnavailable,
}

func fail(err error) *failure {
	if err == nil {
		return nil
	}
	f := &failure{Text: err.Error(), Sentence: greenroom.Sentence(err, "")}
	for _, kind := range kinds {
		if errors.Is(err, kind) {
			f.Kinds = append(f.Kinds, kind.Error())
		}
	}
	return f
}

// err is the error as it was, for all that callers ask: its text, its kinds and its sentence for people.
func (f *failure) err() error {
	if f == nil {
		return nil
	}
	e := &farError{text: f.Text}
	if f.Sentence != "" {
		e.is = append(e.is, &greenroom.UserError{Message: f.Sentence})
	}
	for _, kind := range kinds {
		for _, name := range f.Kinds {
			if kind.Error() == name {
				e.is = append(e.is, kind)
			}
		}
	}
	return e
}

// farError is an error of another process.
type farError struct {
	text string
	is   []error
}

func (e *farError) Error() string { return e.text }

func (e *farError) Unwrap() []error { return e.is }
