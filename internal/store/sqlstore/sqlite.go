package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"greenroom"
)

// sqliteDialect is a file that one process owns.
var sqliteDialect = &dialect{
	goose:      goose.DialectSQLite3,
	migrations: "migrations/sqlite",
	tables:     `select count(*) from sqlite_master where name = ?`,
	connect:    openSQLite,
	suits:      func(context.Context, *database, int64) error { return nil },
	exclusive:  func(_ context.Context, _ *database, do func() error) error { return do() }, // by the lock file
	bind:       func(query string) string { return query },
	explain:    explainSQLite,
	pipeline:   func(*sql.Conn) *pipeline { return nil },
	again:      func(error) bool { return false },
	maxBatch:   queueLength,
	cached:     cachedMeetings,
}

const busyTimeout = 10 * time.Second // for a lock held by someone who is not us, such as a backup

func openSQLite(_ context.Context, o Options) (_ *database, err error) {
	d := &database{}
	if d.where, err = filepath.Abs(o.Path); err != nil {
		return d, err
	}
	if d.lock, err = take(d.where); err != nil {
		return d, err
	}
	if err = d.lock.lostDatabase(); err != nil {
		return d, err
	}
	if d.keeper, err = newKeeper(d.where); err != nil {
		return d, err
	}
	d.reserve = &reserve{path: d.where + ".reserve", size: o.Reserve}
	if d.writer, err = sql.Open("sqlite", dsn(d.where, "synchronous(FULL)", "journal_size_limit(67108864)")); err != nil {
		return d, err
	}
	d.writer.SetMaxOpenConns(1)
	d.migrator = d.writer
	if d.readers, err = sql.Open("sqlite", dsn(d.where, "query_only(true)")); err != nil {
		return d, err
	}
	d.readers.SetMaxOpenConns(readConnections)
	d.readers.SetMaxIdleConns(readConnections)
	return d, nil
}

// dsn names the file, an absolute path, with its pragmas: in the name they reach every connection of a pool, executed they would
// reach one.
func dsn(path string, pragmas ...string) string {
	q := url.Values{"_txlock": {"immediate"}, "_pragma": append([]string{
		fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()), "journal_mode(WAL)", "foreign_keys(true)", "cache_size(-4096)",
	}, pragmas...)}
	return (&url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}).String()
}

// dir is the directory people know the database by.
func dir(path string) string { return filepath.Dir(path) }

func explainSQLite(err error, path string) error {
	if isFull(err) || errors.Is(err, errFull) {
		return fullDisk(path, err)
	}
	message := ""
	if errors.Is(err, errReplaced) {
		message = fmt.Sprintf("The database %s was removed or replaced while greenroom uses it: put the file back, or restart greenroom to go on with what is there. Nothing is saved meanwhile.", path)
	} else if se, ok := errors.AsType[*sqlite.Error](err); ok {
		switch se.Code() & 0xff {
		case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
			message = fmt.Sprintf("The database %s is damaged or is not a database: put a backup in its place, or move it away to begin anew.", path)
		case sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_IOERR:
			message = fmt.Sprintf("The database %s cannot be read and written: see that its directory and disk allow it.", path)
		case sqlite3.SQLITE_BUSY:
			message = fmt.Sprintf("The database %s is locked by another program: end that, and try again.", path)
		}
	} else if errors.Is(err, syscall.ENOSPC) {
		message = fmt.Sprintf("The disk that holds %s is full: free some space.", dir(path))
	} else if _, ok := errors.AsType[*os.PathError](err); ok {
		message = fmt.Sprintf("The data directory %s cannot be written: see that it is a directory and is yours.", dir(path))
	}
	if message == "" {
		return err
	}
	return &greenroom.UserError{Message: message, Cause: errors.Join(greenroom.ErrUnavailable, err)}
}
