// Package sqlstore keeps meetings in an SQL database: SQLite in a file that one process owns.
//
// A meeting is one JSON document; the columns beside it are what queries need. All writes pass one goroutine,
// which commits together what has queued up meanwhile, so that a durable write costs a share of an fsync.
package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"greenroom"
	"greenroom/internal/store"
)

// Options say where a Store lives and who is part of its writes.
type Options struct {
	// Path of the SQLite file. It is made if missing, with its directory.
	Path string

	// Wakes makes the promise of a wake durable in the transaction of the save. Nil promises nothing: then only Due
	// tells of wakes.
	Wakes Wakes

	// OnCommit is told of each meeting after its save is durable and before the saver is answered, in the order of
	// the saves. It must be quick, and must neither change nor keep what the meeting points at. Nil is fine.
	OnCommit func(m greenroom.Meeting)
}

// Wakes keeps jobs in the same database. It is implemented by the engine.
type Wakes interface {
	// Prepare makes the tables it needs. It is called once, before any write.
	Prepare(ctx context.Context, db *sql.DB) error
	// Replace makes one job for each wake within tx and deletes the previous ones, 0 being none. It returns the new
	// jobs' ids, 0 for a wake whose At is zero. ctx is never cancelled midway: that would undo the writes of others.
	Replace(ctx context.Context, tx *sql.Tx, wakes []store.Wake, previous []int64) ([]int64, error)
}

// Store is a store.Store on an SQL database.
type Store struct {
	options Options
	lock    *lock
	writer  *sql.DB // one connection
	readers *sql.DB
	reads   statements
	cache   *cache
	writers chan struct{} // a token for each save being prepared or waiting

	closing sync.RWMutex // held for reading by those who put a write into the queue
	closed  bool
	queue   chan *write
	done    chan struct{} // closed when the writer has ended
}

var _ store.Store = (*Store)(nil)

// Connections and what they may hold.
const (
	readConnections = 4
	busyTimeout     = 10 * time.Second // for a lock held by someone who is not us, such as a backup
)

// Open opens the database, migrates it and starts its writer. The UserErrors it returns say in one sentence
// what is in the way: another process, a newer schema, a damaged file, a directory that cannot be written.
func Open(ctx context.Context, o Options) (*Store, error) {
	s, err := open(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", explain(err, o.Path))
	}
	return s, nil
}

func open(ctx context.Context, o Options) (_ *Store, err error) {
	if o.Path, err = filepath.Abs(o.Path); err != nil {
		return nil, err
	}
	s := &Store{
		options: o, cache: newCache(cachedMeetings), writers: make(chan struct{}, maxWriters),
		queue: make(chan *write, maxBatch), done: make(chan struct{}),
	}
	if s.lock, err = take(o.Path); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = s.release()
		}
	}()
	if s.writer, err = sql.Open("sqlite", dsn(o.Path, "synchronous(FULL)", "journal_size_limit(67108864)")); err != nil {
		return nil, err
	}
	s.writer.SetMaxOpenConns(1)
	if err := migrate(ctx, s.writer, o.Path); err != nil {
		return nil, err
	}
	if o.Wakes != nil {
		if err := o.Wakes.Prepare(ctx, s.writer); err != nil {
			return nil, fmt.Errorf("prepare wakes: %w", err)
		}
	}
	if s.readers, err = sql.Open("sqlite", dsn(o.Path, "query_only(true)")); err != nil {
		return nil, err
	}
	s.readers.SetMaxOpenConns(readConnections)
	s.readers.SetMaxIdleConns(readConnections)
	if s.reads, err = prepare(ctx, s.readers, reads); err != nil {
		return nil, err
	}
	stmts, err := prepare(ctx, s.writer, writes)
	if err != nil {
		return nil, err
	}
	go s.writeAll(stmts)
	return s, nil
}

// DB is the connection that writes, for the engine that keeps its jobs beside the meetings. It is one: whoever
// uses it makes everybody's writes wait.
func (s *Store) DB() *sql.DB { return s.writer }

// Close finishes the writes that were accepted and closes the database. Later calls fail.
func (s *Store) Close() error {
	s.closing.Lock()
	was := s.closed
	if !was {
		s.closed = true
		close(s.queue)
	}
	s.closing.Unlock()
	<-s.done
	if was {
		return nil
	}
	return s.release()
}

func (s *Store) release() error {
	var errs []error
	s.reads.close()
	for _, db := range []*sql.DB{s.readers, s.writer} { // the last connection to close tidies the log away
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(append(errs, s.lock.release())...)
}

// dir is the directory people know the database by.
func dir(path string) string { return filepath.Dir(path) }
