package meetings

import (
	"context"
	"fmt"
	"hash/fnv"
)

// turns has the changes of one meeting wait for each other in this process. Without it many at once lose most of their races,
// and each that is lost reads and writes the whole meeting again. Changes elsewhere are still races, which the store decides.
type turns [64]turn

type turn chan struct{}

func newTurns() *turns {
	var t turns
	for i := range t {
		t[i] = make(turn, 1)
	}
	return &t
}

// take waits for the meeting's turn; done ends it. Several meetings may share one.
func (t *turns) take(ctx context.Context, id string) (done func(), err error) {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id))
	mine := t[h.Sum32()%uint32(len(t))]
	select {
	case mine <- struct{}{}:
		return func() { <-mine }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("change meeting %s: %w", id, context.Cause(ctx))
	}
}
