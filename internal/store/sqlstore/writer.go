package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"greenroom"
)

const (
	queueLength = 256
	maxWriters  = 2 * queueLength // saves being prepared or waiting: one batch is written while the next gathers
	maxTries    = 6               // of a batch
	firstPause  = 10 * time.Millisecond
)

var errClosed = errors.New("the store is closed")

// write is one caller's change, on its way through the writer. run may be called several times, each time as if it
// were the first.
type write struct {
	ctx    context.Context
	what   string // is changed: writes of a batch go in its order
	run    func(ctx context.Context, t *turn) error
	adds   bool // something new: refused when there is no room left
	turn   turn
	err    error
	answer chan struct{} // closed when err is final
}

// wanted reports whether the caller still waits. One who gave up is told so.
func (w *write) wanted() bool {
	w.err = context.Cause(w.ctx)
	return w.err == nil
}

// turn is what a write works with while it has the transaction, and what it leaves behind.
type turn struct {
	tx    *sql.Tx
	stmts statements
	pipe  *pipeline

	saved *greenroom.Meeting // by this write
}

func (t *turn) exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return t.tx.StmtContext(ctx, t.stmts[query]).ExecContext(ctx, args...)
}

// later is exec for a statement whose effect is not needed before the next write of the same thing, or the commit.
func (t *turn) later(ctx context.Context, query string, args ...any) error {
	if t.pipe != nil {
		t.pipe.add(query, args)
		return nil
	}
	_, err := t.exec(ctx, query, args...)
	return err
}

func (t *turn) queryRow(ctx context.Context, query string, args ...any) *sql.Row {
	return t.tx.StmtContext(ctx, t.stmts[query]).QueryRowContext(ctx, args...)
}

// admit waits for room to prepare a save: what callers encode ahead of their turn is bounded. Go on with the context it
// returns, and call leave after the save is answered.
func (s *Store) admit(caller context.Context) (ctx context.Context, leave func(), err error) {
	if caller.Err() != nil {
		return nil, nil, context.Cause(caller)
	}
	ctx, cancel := s.bound(caller)
	select {
	case s.writers <- struct{}{}:
		return ctx, func() { <-s.writers; cancel() }, nil
	case <-ctx.Done():
		defer cancel()
		return nil, nil, s.explain(caller, context.Cause(ctx))
	}
}

// submit runs a change of what within the writer's next transaction and waits until it is durable. A caller whose
// context ends while the change waits for its turn is told so and nothing is written; once the change has its
// turn the caller learns what became of it.
func (s *Store) submit(caller context.Context, what string, run func(ctx context.Context, t *turn) error) error {
	return s.submitWrite(caller, &write{what: what, run: run})
}

func (s *Store) submitWrite(caller context.Context, w *write) error {
	ctx, cancel := s.bound(caller)
	defer cancel()
	w.ctx, w.answer = ctx, make(chan struct{})
	if err := s.enqueue(w); err != nil {
		return s.explain(caller, err)
	}
	<-w.answer
	return s.explain(caller, w.err)
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
			if cause := context.Cause(w.ctx); err != nil && (cause == nil || !errors.Is(w.err, cause)) {
				w.err = err // its own, of an attempt that was lost, counts no more
			}
			close(w.answer)
		}
	}
}

// gather takes whatever else has queued up.
func (s *Store) gather(first *write) []*write {
	batch := []*write{first}
	for len(batch) < s.dialect.maxBatch {
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

// commit runs a batch, again if the database took it back for a reason that passes. Two processes that write in the
// same order do not wait for each other in a circle.
func (s *Store) commit(batch []*write, stmts statements) error {
	slices.SortStableFunc(batch, func(a, b *write) int { return strings.Compare(a.what, b.what) })
	ctx, cancel := context.Background(), func() {}
	if s.dialect.batchTime > 0 {
		ctx, cancel = context.WithTimeout(ctx, s.dialect.batchTime)
	}
	defer cancel()
	each := false
	for try := 1; ; try++ {
		if s.keeper != nil {
			if err := s.keeper.intact(); err != nil {
				return err
			}
		}
		err := s.attempt(ctx, batch, stmts, each)
		switch {
		case isFull(err) && try < maxTries && s.reserve.give(): // what ends something fits now
		case errors.Is(err, errUndo):
			each = true
		case err == nil || errors.Is(err, errDoubt) || !s.dialect.again(err) || try >= maxTries:
			return err
		default:
			pause(ctx, try)
		}
	}
}

// pause is longer with every try, and spread so that processes that were in each other's way are not again.
func pause(ctx context.Context, try int) {
	d := firstPause << try
	timer := time.NewTimer(d/2 + rand.N(d)) //nolint:gosec // no secret
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

var (
	errUndo  = errors.New("a write must be undone alone")
	errDoubt = errors.New("the database did not answer whether it has committed")
)

// attempt runs a batch in one transaction. With each, every write has a savepoint, so that one that fails is undone
// alone; without, such a write ends the attempt with errUndo: few do, and savepoints are dear. An error of attempt itself
// is everybody's. No caller's context is used inside: cancelling one statement would undo them all.
func (s *Store) attempt(ctx context.Context, batch []*write, stmts statements, each bool) error {
	if !slices.ContainsFunc(batch, (*write).wanted) {
		return nil
	}
	conn, err := s.writer.Conn(ctx)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer conn.Close()
	if err = s.attemptOn(ctx, conn, batch, stmts, each); err != nil && s.dialect.stale != nil && s.dialect.stale(err) {
		_ = conn.Raw(func(any) error { return driver.ErrBadConn }) // not to be used again
		s.dialect.renew(s.database)
	}
	return err
}

func (s *Store) attemptOn(ctx context.Context, conn *sql.Conn, batch []*write, stmts statements, each bool) error {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // after a commit it has nothing to do
	common := turn{tx: tx, stmts: stmts, pipe: s.dialect.pipeline(conn)}
	var done []*write
	for i, w := range batch {
		if !w.wanted() {
			continue
		}
		w.turn = common
		if i > 0 && batch[i-1].what == w.what {
			if err := w.turn.pipe.flush(ctx); err != nil {
				return s.undo(err, each)
			}
		}
		if err := s.perform(ctx, w, each); err != nil {
			return err
		}
		if w.err == nil {
			done = append(done, w)
		}
	}
	if len(done) == 0 {
		return nil
	}
	if err := common.pipe.flush(ctx); err != nil {
		return s.undo(err, each)
	}
	saved := savedBy(done)
	if err := tx.Commit(); err != nil {
		s.cache.doubted(saved)
		if lost(err) || ctx.Err() != nil {
			err = errors.Join(errDoubt, err)
		}
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

// perform gives a write its turn. It returns an error only if the whole transaction is lost or must be.
func (s *Store) perform(ctx context.Context, w *write, savepoints bool) error {
	if savepoints {
		if _, err := w.turn.exec(ctx, savepoint); err != nil {
			return fmt.Errorf("savepoint: %w", err)
		}
	}
	if w.err = s.roomFor(w); w.err == nil {
		w.err = w.run(ctx, &w.turn)
	}
	if w.err == nil && savepoints {
		w.err = w.turn.pipe.flush(ctx)
	}
	switch {
	case w.err == nil:
	case ctx.Err() != nil: // not w.err, which may be what this write alone has found out
		return fmt.Errorf("the transaction took too long: %w", context.Cause(ctx))
	case s.dialect.again(w.err):
		return w.err
	case isFull(w.err) && s.reserve.unspent():
		return w.err
	case errors.Is(w.err, greenroom.ErrConflict) || errors.Is(w.err, greenroom.ErrNotFound) || errors.Is(w.err, errFull): // found out before anything was written
	case !savepoints:
		return s.undo(w.err, savepoints)
	default:
		w.turn.pipe.drop()
		if _, err := w.turn.exec(ctx, rollbackSavepoint); err != nil {
			return fmt.Errorf("undo one write: %w", errors.Join(w.err, err))
		}
	}
	if savepoints {
		if _, err := w.turn.exec(ctx, releaseSavepoint); err != nil {
			return fmt.Errorf("release savepoint: %w", err)
		}
	}
	return nil
}

// undo says what becomes of an attempt in which a statement of some write failed with err: if it was that write's own
// fault, the others are tried again without it.
func (s *Store) undo(err error, savepoints bool) error {
	if savepoints || s.dialect.again(err) || isFull(err) && s.reserve.unspent() || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return errUndo
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
