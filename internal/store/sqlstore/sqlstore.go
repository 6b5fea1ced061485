// Package sqlstore keeps meetings in an SQL database: SQLite in a file that one process owns, or PostgreSQL on a
// server that many share. What differs between the two is a dialect.
//
// A meeting is one JSON document; the columns beside it are what queries need. All writes pass one goroutine,
// which commits together what has queued up meanwhile, so that a durable write costs a share of an fsync.
package sqlstore

import (
	"context"
	"fmt"
	"io/fs"
	"sync"

	"greenroom"
	"greenroom/internal/store"
)

// Options say where a Store keeps its data and who is part of its writes.
type Options struct {
	// Path of the SQLite file. It is made if missing, with its directory.
	Path string

	// URL of a PostgreSQL database, postgres://…, which several processes may use at once. It goes before Path.
	URL string

	// Reserve is how many bytes of the disk are kept free for ending meetings when it is full; SQLite only. 0: none.
	Reserve int64

	// OnCommit is told of each meeting after its save is durable and before the saver is answered, in the order of
	// the saves. It must be quick, and must neither change nor keep what the meeting points at. Nil is fine.
	OnCommit func(m greenroom.Meeting)
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
	if err := s.dialect.migrate(ctx, s.database, files); err != nil {
		return err
	}
	if err := s.secure(ctx); err != nil {
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

// secure makes sure of files that one process owns.
func (s *Store) secure(ctx context.Context) error {
	if s.keeper == nil {
		return nil
	}
	if err := s.lock.used(); err != nil {
		return err
	}
	s.reserve.take() // without, nothing new is accepted
	if err := s.keeper.mark(ctx, s.writer); err != nil {
		return err
	}
	if err := prime(ctx, s.readers); err != nil {
		return err
	}
	return s.keeper.intact()
}

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
