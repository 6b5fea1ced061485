package plan

import (
	"errors"
	"fmt"

	"greenroom"
)

// ForbiddenMoveError says that a rule asked for a move that the phase table forbids. The move was not made: a wrong rule must
// not corrupt a meeting.
type ForbiddenMoveError struct {
	Seat     string // its id
	Attempt  int
	From, To greenroom.Phase
}

func (e *ForbiddenMoveError) Error() string {
	return fmt.Sprintf("forbidden move of %s, attempt %d, from %s to %s", e.Seat, e.Attempt, e.From, e.To)
}

// ErrUnsettled says that the rules contradict each other about a meeting: applied again and again at one instant they never
// stop to change it.
var ErrUnsettled = errors.New("the rules do not come to rest")

// unsettled names what the rules did last, which is where they go round.
func unsettled(events []greenroom.Event) error {
	const told = 3
	err := ErrUnsettled
	for _, e := range events[max(0, len(events)-told):] {
		err = fmt.Errorf("%w; %s %s: %s", err, e.Kind, e.Seat, e.Message)
	}
	return err
}
