package sqlscheduler

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivermigrate"

	"greenroom"
	"greenroom/internal/store"
)

// Wakes is the scheduler's part in the store's writes. It comes before both: the store is opened with it, and the
// engine is made of it and the store.
type Wakes struct {
	alarm *alarm
	jobs  *river.Client[*sql.Tx] // only inserts and deletes
}

// NewWakes returns the Wakes of one store and one engine.
func NewWakes() *Wakes { return &Wakes{alarm: newAlarm()} }

// Committed tells the alarm of a save, after it is durable. It is quick.
func (w *Wakes) Committed(m greenroom.Meeting) {
	wake := store.Wake{Meeting: m.ID}
	if !m.Closed {
		wake.At = m.WakeAt
	}
	w.alarm.promised(wake, m.Rev, time.Now())
}

// dueIndex makes River's question for what is due, asked every few seconds, independent of how much is
// scheduled: its own indexes do not hold scheduled_at behind state alone.
const dueIndex = `create index if not exists greenroom_jobs_due on river_job (state, scheduled_at) where state in ('retryable', 'scheduled')`

// Attach learns what kind of database db is, whose transactions Replace is given.
func (w *Wakes) Attach(db *sql.DB) (err error) {
	w.jobs, err = river.NewClient(riverOn(db, nil), &river.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return fmt.Errorf("make a client that inserts jobs: %w", err)
	}
	return nil
}

// Prepare makes River's tables.
func (w *Wakes) Prepare(ctx context.Context, db *sql.DB) error {
	m, err := rivermigrate.New(riverOn(db, db), &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return fmt.Errorf("read the scheduler's migrations: %w", err)
	}
	if _, err := m.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return fmt.Errorf("migrate the scheduler's tables: %w", err)
	}
	if _, err := db.ExecContext(ctx, dueIndex); err != nil {
		return fmt.Errorf("index the scheduler's jobs: %w", err)
	}
	return nil
}

// Replace makes a job for each wake, at most one wake per meeting, and deletes the previous jobs. A previous
// job that is running stays: it finds that its meeting has moved on.
func (w *Wakes) Replace(ctx context.Context, tx *sql.Tx, wakes []store.Wake, previous []int64) ([]int64, error) {
	jobs := make([]int64, len(wakes))
	place := map[string]int{}
	var params []river.InsertManyParams
	for i, wake := range wakes {
		if wake.At.IsZero() {
			continue
		}
		place[wake.Meeting] = i
		params = append(params, river.InsertManyParams{
			Args: bell{Meeting: wake.Meeting}, InsertOpts: &river.InsertOpts{Queue: bellQueue, ScheduledAt: wake.At.Add(bellDelay)},
		})
	}
	if len(params) > 0 {
		results, err := w.jobs.InsertManyTx(ctx, tx, params)
		if err != nil {
			return nil, fmt.Errorf("insert jobs: %w", err)
		}
		for _, r := range results { // neither database promises an order of the rows it returns
			var b bell
			if err := json.Unmarshal(r.Job.EncodedArgs, &b); err != nil {
				return nil, fmt.Errorf("read back job %d: %w", r.Job.ID, err)
			}
			jobs[place[b.Meeting]] = r.Job.ID
		}
	}
	return jobs, w.forget(ctx, tx, previous)
}

func (w *Wakes) forget(ctx context.Context, tx *sql.Tx, jobs []int64) error {
	var ids []int64
	for _, id := range jobs {
		if id != 0 {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	if _, err := w.jobs.JobDeleteManyTx(ctx, tx, river.NewJobDeleteManyParams().IDs(ids...).First(len(ids))); err != nil {
		return fmt.Errorf("delete jobs: %w", err)
	}
	return nil
}
