package sqlstore

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"syscall"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"greenroom"
)

//go:embed migrations/sqlite/*.sql
var migrations embed.FS

// dsn names the file, an absolute path, with its pragmas: in the name they reach every connection of a pool, executed they would
// reach one.
func dsn(path string, pragmas ...string) string {
	q := url.Values{"_txlock": {"immediate"}, "_pragma": append([]string{
		fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()), "journal_mode(WAL)", "foreign_keys(true)", "cache_size(-4096)",
	}, pragmas...)}
	return (&url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}).String()
}

// migrate brings the schema up to this program's, and refuses one that is ahead of it before changing anything.
func migrate(ctx context.Context, db *sql.DB, path string) error {
	has, err := schemaVersion(ctx, db)
	if err != nil {
		return fmt.Errorf("read the schema's version: %w", err)
	}
	dir, err := fs.Sub(migrations, "migrations/sqlite")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, dir, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	sources := p.ListSources()
	if knows := sources[len(sources)-1].Version; has > knows {
		return &greenroom.UserError{Message: fmt.Sprintf(
			"The database %s was written by a newer greenroom (schema %d, this one knows %d): run that version or a later one. Nothing was changed.", path, has, knows)}
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

// schemaVersion is 0 for a new database. It is not asked of goose, which takes a table it cannot read for a
// table that is not there.
func schemaVersion(ctx context.Context, db *sql.DB) (version int64, err error) {
	var tables int
	err = db.QueryRowContext(ctx, `select count(*) from sqlite_master where name = 'goose_db_version'`).Scan(&tables)
	if err != nil || tables == 0 {
		return 0, err
	}
	err = db.QueryRowContext(ctx, `select coalesce(max(version_id), 0) from goose_db_version where is_applied`).Scan(&version)
	return version, err
}

// explain adds a sentence for people to errors that they can do something about.
func explain(err error, path string) error {
	if _, ok := errors.AsType[*greenroom.UserError](err); ok || err == nil {
		return err
	}
	message := ""
	if se, ok := errors.AsType[*sqlite.Error](err); ok {
		switch se.Code() & 0xff {
		case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
			message = fmt.Sprintf("The database %s is damaged or is not a database: put a backup in its place, or move it away to begin anew.", path)
		case sqlite3.SQLITE_FULL:
			message = fmt.Sprintf("The disk that holds %s is full: free some space. What was not confirmed was not saved.", dir(path))
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
