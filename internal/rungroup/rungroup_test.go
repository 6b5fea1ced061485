package rungroup_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"greenroom/internal/rungroup"
)

// story notes what happens, in order.
type story struct {
	mu    sync.Mutex
	lines []string
}

func (s *story) tell(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, line)
}

// service runs until it is stopped and takes a while to end.
func (s *story) service(name string, takes time.Duration) func(context.Context) error {
	return func(ctx context.Context) error {
		<-ctx.Done()
		s.tell(name + " stops")
		time.Sleep(takes)
		s.tell(name + " ended")
		return ctx.Err()
	}
}

func TestGroup(t *testing.T) {
	t.Parallel()

	t.Run("StopsInReverseOrderEachAwaited", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			var s story
			g := rungroup.Group{StopTimeout: time.Minute}
			g.Add("store", s.service("store", time.Second))
			g.Add("engine", s.service("engine", 2*time.Second))
			g.Add("http", s.service("http", 3*time.Second))
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			if err := g.Run(ctx); err != nil {
				t.Errorf("a stop that was asked for is %v", err)
			}
			if diff := cmp.Diff([]string{"http stops", "http ended", "engine stops", "engine ended", "store stops", "store ended"}, s.lines); diff != "" {
				t.Error(diff)
			}
		})
	})

	t.Run("AFailureStopsAllAndIsTold", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			var s story
			broken := errors.New("the disk is full")
			g := rungroup.Group{StopTimeout: time.Minute}
			g.Add("store", s.service("store", 0))
			g.Add("engine", func(context.Context) error { return broken })
			err := g.Run(t.Context())
			if !errors.Is(err, broken) || !strings.Contains(err.Error(), "engine: ") {
				t.Errorf("error is %v", err)
			}
			if !slices.Contains(s.lines, "store ended") {
				t.Error("the other service still runs")
			}
		})
	})

	t.Run("FailuresWhileStoppingAreTold", func(t *testing.T) {
		t.Parallel()
		flush := errors.New("flush")
		g := rungroup.Group{StopTimeout: time.Minute}
		g.Add("store", func(ctx context.Context) error { <-ctx.Done(); return flush })
		g.Add("http", func(context.Context) error { return nil })
		if err := g.Run(t.Context()); !errors.Is(err, flush) {
			t.Errorf("error is %v", err)
		}
	})

	t.Run("ASlowServiceIsNamedAndNotAwaitedForEver", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			g := rungroup.Group{StopTimeout: 5 * time.Second}
			told := false
			g.Add("store", func(ctx context.Context) error { <-ctx.Done(); told = true; return nil })
			g.Add("stuck", func(ctx context.Context) error { <-ctx.Done(); time.Sleep(time.Hour); return nil })
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			began := time.Now()
			err := g.Run(ctx)
			if err == nil || !strings.Contains(err.Error(), "stuck: did not stop within 5s") || time.Since(began) != 5*time.Second {
				t.Errorf("after %s: %v", time.Since(began), err)
			}
			synctest.Wait()
			if !told {
				t.Error("the service behind it was not even told to stop")
			}
			time.Sleep(2 * time.Hour) // lets the stuck one end before the bubble does
		})
	})
}
