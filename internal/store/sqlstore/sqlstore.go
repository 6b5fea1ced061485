// Package sqlstore keeps meetings in an SQL database: SQLite in a file that one process owns, or PostgreSQL on a
// server that many share. What differs between the two is a dialect.
//
// A meeting is one JSON document; the columns beside it are what queries need. All writes pass one goroutine,
// which commits together what has queued up meanwhile, so that a durable write costs a share of an fsync.
package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"sync"

	"greenroom"
	"greenroom/internal/store"
)

// Options say where a Store lives and who is part of its writes.
type Options struct {
	// Path of the SQLite file. It is made if missing, with its directory.
	Path string

	// URL of a PostgreSQL database, postgres://…, which several processes may use at once. It goes before Path.
	URL string

	// Wakes makes the promise of a wake durable in the transaction of the save. Nil promises nothing: then only Due
	// tells of wakes.
	Wakes Wakes

	// OnCommit is told of each meeting after its save is durable and before the saver is answered, in the order of
	// the saves. It must be quick, and must neither change nor keep what the meeting points at. Nil is fine.
	OnCommit func(m greenroom.Meeting)
}

// Wakes keeps jobs in the same database. It is implemented by the engine.
type Wakes interface {
	// Attach tells which kind of database it is. It is called once, before all else.
	Attach(db *sql.DB) error
	// Prepare makes the tables it needs. It is called before any write, by one process at a time; not if the schema is
	// newer than the program.
	Prepare(ctx context.Context, db *sql.DB) error
	// Replace makes one job for each wake within tx and deletes the previous ones, 0 being none. It returns the new
	// jobs' ids, 0 for a wake whose At is zero. ctx is never cancelled midway: that would undo the writes of others.
	Replace(ctx context.Context, tx *sql.Tx, wakes []store.Wake, previous []int64) ([]int64, error)
}

// Store is a store.Store on an SQL database.
type Store struct {
	options Options
	dialect *dialect
	*database
	reads   statements
	cache   *cache        // nil if others write, too
	writers chan struct{} // a token for each save being prepared or waiting

	closing sync.RWMutex // held for reading by those who put a write into the queue
	closed  bool
	queue   chan *write
	done    chan struct{} // closed when the writer has ended
}

var _ store.Store = (*Store)(nil)

const readConnections = 4 // of SQLite

// Open opens the database, migrates it and starts its writer. The UserErrors it returns say in one sentence
// what is in the way: another process, a newer schema, a damaged file, a directory that cannot be written, a server
// that cannot be reached or refuses. They never tell a password.
func Open(ctx context.Context, o Options) (*Store, error) {
	dl := sqliteDialect
	if o.URL != "" {
		dl = postgresDialect
	}
	files, err := fs.Sub(migrations, dl.migrations)
	if err != nil {
		return nil, err
	}
	return openWith(ctx, o, dl, files)
}

func openWith(ctx context.Context, o Options, dl *dialect, files fs.FS) (*Store, error) {
	d, err := dl.connect(ctx, o)
	s := &Store{
		options: o, dialect: dl, database: d, writers: make(chan struct{}, maxWriters),
		queue: make(chan *write, queueLength), done: make(chan struct{}),
	}
	if err == nil {
		err = s.open(ctx, files)
	}
	if err != nil {
		s.reads.close()
		_ = d.release()
		return nil, fmt.Errorf("open the database: %w", s.explain(ctx, err))
	}
	return s, nil
}

func (s *Store) open(ctx context.Context, files fs.FS) (err error) {
	if s.dialect.cached > 0 {
		s.cache = newCache(s.dialect.cached)
	}
	if s.options.Wakes != nil {
		if err := s.options.Wakes.Attach(s.jobs); err != nil {
			return fmt.Errorf("attach wakes: %w", err)
		}
	}
	err = s.dialect.migrate(ctx, s.database, files, func() error {
		if s.options.Wakes == nil {
			return nil
		}
		if err := s.options.Wakes.Prepare(ctx, s.migrator); err != nil {
			return fmt.Errorf("prepare wakes: %w", err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if s.migrator != s.writer {
		if err := s.migrator.Close(); err != nil {
			return err
		}
	}
	if s.reads, err = s.dialect.prepare(ctx, s.readers, reads); err != nil {
		return err
	}
	stmts, err := s.dialect.prepare(ctx, s.writer, writes)
	if err != nil {
		return err
	}
	go s.writeAll(stmts)
	return nil
}

// DB is for the engine that keeps its jobs beside the meetings. With SQLite it is the one connection that writes: whoever
// uses it makes everybody's writes wait. With PostgreSQL it is a small pool of its own.
func (s *Store) DB() *sql.DB { return s.jobs }

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
	s.reads.close()
	return s.release()
}
