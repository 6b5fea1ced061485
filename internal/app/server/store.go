package server

import (
	"context"
	"path/filepath"
	"time"

	"greenroom"
	"greenroom/internal/logkey"
	"greenroom/internal/scheduler/sqlscheduler"
	"greenroom/internal/store/sqlstore"
)

// reserve is the room on the disk that is kept for ending meetings: some hundred saves.
const reserve = 8 << 20

// lookAtFiles is how often the database's files are looked at while nothing is written.
const lookAtFiles = 2 * time.Second

// watchStore says in the log when somebody takes the database's files away, and when they are back.
func (a *app) watchStore(ctx context.Context) error {
	tick := time.NewTicker(lookAtFiles)
	defer tick.Stop()
	lost := false
	for {
		err := a.store.Intact()
		if err != nil && !lost {
			a.Logger.Error("database is lost", logkey.Err, err)
		} else if err == nil && lost {
			a.Logger.Info("database is back")
		}
		lost = err != nil
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// openStore opens the store and makes the scheduler. Every commit is told to the scheduler's alarm and to the open pages.
func (a *app) openStore(ctx context.Context) (err error) {
	wakes := sqlscheduler.NewWakes()
	a.store, err = sqlstore.Open(ctx, sqlstore.Options{
		Path: filepath.Join(a.Config.DataDir, "greenroom.db"), URL: a.Config.Database.Reveal(), Reserve: reserve,
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
		Advance:  a.watch.traces.Advance(func(ctx context.Context, id string) error { return a.core.Advancer.Advance(ctx, id) }),
		Lateness: a.watch.metrics.Lateness,
	})
	return nil
}
