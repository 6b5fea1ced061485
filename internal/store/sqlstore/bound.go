package sqlstore

import (
	"context"
	"errors"

	"greenroom"
)

// errNoAnswer is the cause of the end of a context that bound made.
var errNoAnswer = errors.New("the database did not answer in time")

// bound is ctx with the dialect's patience: nobody waits longer for a database that does not answer.
func (s *Store) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if s.dialect.patience == 0 {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, s.dialect.patience, errNoAnswer)
}

// explain adds a sentence for people to errors that they can do something about. That a caller gave up is not one of them.
func (s *Store) explain(caller context.Context, err error) error {
	if _, ok := errors.AsType[*greenroom.UserError](err); ok || err == nil {
		return err
	}
	if why := context.Cause(caller); why != nil && !errors.Is(why, errNoAnswer) && (errors.Is(err, why) || errors.Is(err, caller.Err())) {
		return err
	}
	return s.dialect.explain(err, s.where)
}
