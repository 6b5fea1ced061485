package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"greenroom"
	"greenroom/internal/store"
)

const (
	maxBatch   = 256          // writes that share a transaction
	maxWriters = 2 * maxBatch // saves being prepared or waiting: one batch is written while the next gathers
)

var errClosed = errors.New("the store is closed")

// write is one caller's change, on its way through the writer.
type write struct {
	ctx    context.Context
	run    func(ctx context.Context, t *turn) error
	turn   turn
	err    error
	answer chan struct{} // closed when err is final
}

// turn is what a write works with while it has the transaction, and what it leaves behind.
type turn struct {
	tx    *sql.Tx
	stmts statements

	saved *greenroom.Meeting // by this write
	wake  *wakeChange        // that the save brought with it
}

type wakeChange struct {
	store.Wake       // At is zero if no wake is wanted any more
	previous   int64 // job to delete
}

func (t *turn) exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return t.tx.StmtContext(ctx, t.stmts[query]).ExecContext(ctx, args...)
}

func (t *turn) queryRow(ctx context.Context, query string, args ...any) *sql.Row {
	return t.tx.StmtContext(ctx, t.stmts[query]).QueryRowContext(ctx, args...)
}

// admit waits for room to prepare a save: what callers encode ahead of their turn is bounded. Call leave after the
// save is answered.
func (s *Store) admit(ctx context.Context) (leave func(), err error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	select {
	case s.writers <- struct{}{}:
		return func() { <-s.writers }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// submit runs a change within the writer's next transaction and waits until it is durable. A caller whose
// context ends while the change waits for its turn is told so and nothing is written; once the change has its
// turn the caller learns what became of it.
func (s *Store) submit(ctx context.Context, run func(ctx context.Context, t *turn) error) error {
	w := &write{ctx: ctx, run: run, answer: make(chan struct{})}
	if err := s.enqueue(w); err != nil {
		return err
	}
	<-w.answer
	return explain(w.err, s.options.Path)
}

func (s *Store) enqueue(w *write) error {
	s.closing.RLock()
	defer s.closing.RUnlock()
	if s.closed {
		return errClosed
	}
	if w.ctx.Err() != nil {
		return context.Cause(w.ctx)
	}
	select {
	case s.queue <- w:
		return nil
	case <-w.ctx.Done():
		return context.Cause(w.ctx)
	}
}

// writeAll is the writer: it ends when the queue is closed and empty.
func (s *Store) writeAll(stmts statements) {
	defer close(s.done)
	defer stmts.close()
	for first := range s.queue {
		batch := s.gather(first)
		err := s.commit(batch, stmts)
		for _, w := range batch {
			if err != nil && w.err == nil {
				w.err = err
			}
			close(w.answer)
		}
	}
}

// gather takes whatever else has queued up.
func (s *Store) gather(first *write) []*write {
	batch := []*write{first}
	for len(batch) < maxBatch {
		select {
		case w, ok := <-s.queue:
			if !ok {
				return batch
			}
			batch = append(batch, w)
		default:
			return batch
		}
	}
	return batch
}

// commit runs a batch in one transaction. A write that fails gets its own error and is undone alone; an error
// of commit itself is everybody's. No caller's context is used inside: cancelling one statement
// would make SQLite undo them all.
func (s *Store) commit(batch []*write, stmts statements) error {
	ctx := context.Background()
	tx, err := s.writer.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // after a commit it has nothing to do
	var done []*write
	for _, w := range batch {
		if w.ctx.Err() != nil {
			w.err = context.Cause(w.ctx)
			continue
		}
		w.turn.tx, w.turn.stmts = tx, stmts
		if err := w.alone(ctx); err != nil {
			return err
		}
		if w.err == nil {
			done = append(done, w)
		}
	}
	if err := s.replaceWakes(ctx, tx, stmts, done); err != nil {
		return err
	}
	saved := savedBy(done)
	if err := tx.Commit(); err != nil {
		s.cache.doubted(saved)
		return fmt.Errorf("commit: %w", err)
	}
	s.cache.committed(saved)
	if s.options.OnCommit != nil {
		for _, m := range saved {
			s.options.OnCommit(m)
		}
	}
	return nil
}

// alone runs the write in a savepoint. It returns an error only if the whole transaction is lost.
func (w *write) alone(ctx context.Context) error {
	if _, err := w.turn.exec(ctx, savepoint); err != nil {
		return fmt.Errorf("savepoint: %w", err)
	}
	if w.err = w.run(ctx, &w.turn); w.err != nil {
		if _, err := w.turn.exec(ctx, rollbackSavepoint); err != nil {
			return fmt.Errorf("undo one write: %w", errors.Join(w.err, err))
		}
	}
	if _, err := w.turn.exec(ctx, releaseSavepoint); err != nil {
		return fmt.Errorf("release savepoint: %w", err)
	}
	return nil
}

func savedBy(done []*write) []greenroom.Meeting {
	var saved []greenroom.Meeting
	for _, w := range done {
		if w.turn.saved != nil {
			saved = append(saved, *w.turn.saved)
		}
	}
	return saved
}

// replaceWakes makes the promises of a batch durable, all of them at once: a statement per job would cost more
// than all the rest of the transaction.
func (s *Store) replaceWakes(ctx context.Context, tx *sql.Tx, stmts statements, done []*write) error {
	if s.options.Wakes == nil {
		return nil
	}
	var wakes []store.Wake
	var previous []int64
	at := map[string]int{} // place of a meeting in wakes: of two saves in one batch the later counts
	for _, w := range done {
		c := w.turn.wake
		if c == nil {
			continue
		}
		if i, ok := at[c.Meeting]; ok {
			wakes[i] = c.Wake
			continue
		}
		at[c.Meeting] = len(wakes)
		wakes, previous = append(wakes, c.Wake), append(previous, c.previous)
	}
	if len(wakes) == 0 {
		return nil
	}
	jobs, err := s.options.Wakes.Replace(ctx, tx, wakes, previous)
	if err != nil {
		return fmt.Errorf("replace wakes: %w", err)
	}
	t := turn{tx: tx, stmts: stmts}
	for i, job := range jobs {
		if _, err := t.exec(ctx, updateJob, job, wakes[i].Meeting); err != nil {
			return fmt.Errorf("note the job of a wake: %w", err)
		}
	}
	return nil
}
