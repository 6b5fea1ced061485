package sqlscheduler_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/testenv/pgtest"
)

// Replicas that start at once migrate once, and between them they answer every wake.
func TestReplicasShareTheWork(t *testing.T) {
	t.Parallel()
	o := rigOptions{url: pgtest.Start(t)}
	replicas := make([]*rig, 3)
	var opening sync.WaitGroup
	for i := range replicas {
		opening.Go(func() { replicas[i] = openRig(t, o) })
	}
	opening.Wait()
	if t.Failed() {
		return
	}
	var mu sync.Mutex
	ended := map[string]bool{}
	for _, r := range replicas {
		r.advance = func(ctx context.Context, id string) error {
			m, err := r.store.Meeting(ctx, id)
			if err != nil || m.Closed {
				return err
			}
			m.Closed = true
			if _, err = r.store.Update(ctx, m, []greenroom.Event{{At: time.Now(), Kind: greenroom.EventEnded}}); err == nil {
				mu.Lock()
				defer mu.Unlock()
				ended[id] = true
			}
			return err
		}
		r.start(t)
	}
	const n = 60
	for i := range n {
		replicas[i%len(replicas)].create(t, wakingIn(time.Duration(i%10)*50*time.Millisecond))
	}
	eventually(t, "all meetings are over", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(ended) == n
	})
}
