// Package rungroup runs the services of a program together and stops them in order.
package rungroup

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Group runs services until one of them ends or the context does, and then stops them one after another,
// the last added first. Add the store before the engine before the listeners: so nothing is
// stopped while something that needs it still runs.
type Group struct {
	StopTimeout time.Duration // for all of them together; 0 waits for ever

	services []*service
}

type service struct {
	name string
	run  func(context.Context) error
	stop context.CancelCauseFunc
	done chan struct{}
	err  error // set before done is closed
}

// ErrStopping is the cause of the services' contexts in an ordered stop.
var ErrStopping = errors.New("stopping")

// Add appends a service: run blocks until its context ends and returns when all it started has ended.
// A nil error before that is an end like any other: it stops the group. Add everything before Run.
func (g *Group) Add(name string, run func(ctx context.Context) error) {
	g.services = append(g.services, &service{name: name, run: run, done: make(chan struct{})})
}

// Run starts every service in order and blocks until all have stopped, or the time to stop is up. It returns
// what the services returned, but for the end of their own contexts, each with its service's name.
func (g *Group) Run(ctx context.Context) error {
	ended := make(chan *service, len(g.services))
	for _, s := range g.services {
		sctx, stop := context.WithCancelCause(context.WithoutCancel(ctx)) // the order of the stop is ours, not ctx's
		s.stop = stop
		go func() {
			defer close(s.done)
			s.err = s.run(sctx)
			ended <- s
		}()
	}
	select {
	case <-ctx.Done():
	case <-ended:
	}
	return g.stop()
}

func (g *Group) stop() error {
	var deadline <-chan time.Time
	if g.StopTimeout > 0 {
		t := time.NewTimer(g.StopTimeout)
		defer t.Stop()
		deadline = t.C
	}
	var errs []error
	late := false
	for i := len(g.services) - 1; i >= 0; i-- {
		s := g.services[i]
		s.stop(ErrStopping)
		if !late {
			select {
			case <-s.done:
			case <-deadline:
				late = true // the rest is told to stop, but no longer awaited
			}
		}
		select {
		case <-s.done:
			if s.err != nil && !errors.Is(s.err, context.Canceled) && !errors.Is(s.err, ErrStopping) {
				errs = append(errs, fmt.Errorf("%s: %w", s.name, s.err))
			}
		default:
			errs = append(errs, fmt.Errorf("%s: did not stop within %s", s.name, g.StopTimeout))
		}
	}
	return errors.Join(errs...)
}
