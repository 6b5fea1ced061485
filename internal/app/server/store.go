package server

import (
	"context"
	"path/filepath"

	"greenroom"
	"greenroom/internal/scheduler/sqlscheduler"
	"greenroom/internal/store/sqlstore"
)

// openStore opens the store and makes the scheduler. Every commit is told to the scheduler's alarm and to the open pages.
func (a *app) openStore(ctx context.Context) (err error) {
	wakes := sqlscheduler.NewWakes()
	a.store, err = sqlstore.Open(ctx, sqlstore.Options{
		Path: filepath.Join(a.Config.DataDir, "greenroom.db"), URL: a.Config.Database.Reveal(),
		OnCommit: func(m greenroom.Meeting) {
			wakes.Committed(m)
			a.hub.Publish(m.ID)
			a.replicas.saved(m)
		},
	})
	if err != nil {
		return err
	}
	a.scheduler = sqlscheduler.New(sqlscheduler.Options{
		Wakes: wakes, Store: a.store, Shared: a.replicas != nil, TakeOver: a.replicas == nil, Logger: a.Logger,
		Advance:  func(ctx context.Context, id string) error { return a.core.Advancer.Advance(ctx, id) },
		Lateness: a.metrics.observeLateness,
	})
	return nil
}
