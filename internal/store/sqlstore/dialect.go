package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/pressly/goose/v3"
)

// dialect is what differs between the databases. All else is one code, and all queries stand in one list.
type dialect struct {
	goose      goose.Dialect
	migrations string                                                        // their directory
	tables     string                                                        // counts the tables of a name, within reach
	connect    func(ctx context.Context, o Options) (*database, error)       // changes nothing in a database that exists
	suits      func(ctx context.Context, d *database, schema int64) error    // nil, or why the database cannot be used; schema 0 is a new one
	exclusive  func(ctx context.Context, d *database, do func() error) error // of other processes
	bind       func(query string) string                                     // from the common tongue into this one
	explain    func(err error, where string) error
	pipeline   func(conn *sql.Conn) *pipeline // nil if statements are run at once

	// again reports that a batch was lost whole, surely, and may well succeed when it is tried again. patience is the
	// longest that a call waits for the database, and batchTime the longest that a transaction takes; 0 is no bound.
	again               func(err error) bool
	patience, batchTime time.Duration

	// stale reports that the connection on which an error came is of no more use; renew then drops others of its kind. Nil
	// if connections do not differ.
	stale func(err error) bool
	renew func(d *database)

	maxBatch int // writes that share a transaction
	cached   int // meetings in the read cache; 0 if other processes write, too
}

// database is one that is open: where it is, for people, and its connections by their use. Several may be one.
type database struct {
	where    string
	migrator *sql.DB // until the schema is up to date
	writer   *sql.DB // one connection
	readers  *sql.DB
	lock     *lock    // SQLite's, as what follows
	keeper   *keeper  // of its files
	reserve  *reserve // of its disk
}

func (d *database) release() error {
	var errs []error
	closed := map[*sql.DB]bool{nil: true}
	for _, db := range []*sql.DB{d.migrator, d.readers, d.writer} { // the last connection to close tidies SQLite's log away
		if !closed[db] {
			errs = append(errs, db.Close())
		}
		closed[db] = true
	}
	errs = append(errs, d.keeper.release())
	if d.lock != nil {
		errs = append(errs, d.lock.release())
	}
	return errors.Join(errs...)
}
