package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"greenroom"
)

// Contents is what a database holds, as far as a backup tells.
type Contents struct {
	Schema   int64 `json:"schema"`
	Meetings int64 `json:"meetings"`
	Open     int64 `json:"open"` // of the meetings, those of which something may remain or is to come
	Events   int64 `json:"events"`
}

// Copy writes a consistent copy of the database at path to a new file at to, and returns what the copy holds. It
// needs no lock: a server may be using the database and goes on writing meanwhile, since the copy is made within one
// read transaction. The copy is whole or an error is returned; it is durable, checked, and a single file. What was
// deleted is not in it. If ctx ends, so does the copy.
func Copy(ctx context.Context, path, to string) (Contents, error) {
	if err := vacuumInto(ctx, path, to); err != nil {
		if ctx.Err() != nil {
			return Contents{}, context.Cause(ctx)
		}
		return Contents{}, fmt.Errorf("copy the database: %w", explainCopy(err, path))
	}
	if err := syncFile(to); err != nil {
		return Contents{}, fmt.Errorf("write the copy to disk: %w", explainSQLite(err, to))
	}
	return Inspect(ctx, to, path)
}

// vacuumInto copies through SQL. The other way, the online backup interface, copies page by page, which takes along
// what was deleted, such as links that were replaced.
func vacuumInto(ctx context.Context, path, to string) error {
	if err := touch(to); err != nil { // readable by nobody else before anything is in it
		return err
	}
	db, err := openExisting(path)
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, "vacuum into ?", to)
	return errors.Join(err, db.Close())
}

// explainCopy tells a full disk, which is the copy's, from what is wrong with the database.
func explainCopy(err error, path string) error {
	se, ok := errors.AsType[*sqlite.Error](err)
	switch {
	case ok && se.Code()&0xff == sqlite3.SQLITE_FULL, errors.Is(err, syscall.ENOSPC):
		return &greenroom.UserError{Message: "The disk that the backup is written to is full: free some space, or write it elsewhere. No backup was made.", Cause: err}
	case errors.Is(err, fs.ErrNotExist):
		return &greenroom.UserError{Message: fmt.Sprintf("There is no database in %s: name the server's data directory with --data-dir.", dir(path)), Cause: err}
	}
	return explainSQLite(err, path)
}

// Inspect checks a database that nobody uses from end to end and returns what it holds. A damaged one and one with a
// newer schema are UserErrors that call it by name. Nothing is changed.
func Inspect(ctx context.Context, path, name string) (Contents, error) {
	c, err := inspect(ctx, path, name)
	if se, ok := errors.AsType[*sqlite.Error](err); ok && (se.Code()&0xff == sqlite3.SQLITE_CORRUPT || se.Code()&0xff == sqlite3.SQLITE_NOTADB) {
		err = &greenroom.UserError{Message: fmt.Sprintf("The database %s is damaged.", name), Cause: err}
	}
	if err != nil {
		return c, fmt.Errorf("check the database: %w", explainSQLite(err, path))
	}
	return c, nil
}

func inspect(ctx context.Context, path, name string) (c Contents, err error) {
	db, err := openExisting(path, "query_only(true)")
	if err != nil {
		return c, err
	}
	defer db.Close()
	var verdict string
	if err := db.QueryRowContext(ctx, "pragma integrity_check(1)").Scan(&verdict); err != nil {
		return c, err
	}
	if verdict != "ok" {
		return c, &greenroom.UserError{Message: fmt.Sprintf("The database %s is damaged.", name), Cause: errors.New(verdict)}
	}
	if c.Schema, err = sqliteDialect.schemaVersion(ctx, db); err != nil {
		return c, err
	}
	if c.Schema == 0 {
		return c, &greenroom.UserError{Message: fmt.Sprintf("The database %s is not one of greenroom.", name)}
	}
	files, err := fs.Sub(migrations, sqliteDialect.migrations)
	if err != nil {
		return c, err
	}
	if _, err := sqliteDialect.judge(ctx, &database{where: name, migrator: db}, files); err != nil {
		return c, err
	}
	err = db.QueryRowContext(ctx, `select (select count(*) from meetings), (select count(*) from meetings where not closed), (select count(*) from events)`).
		Scan(&c.Meetings, &c.Open, &c.Events)
	return c, err
}

// openExisting opens a file that must be there. A server that starts or stops at this moment is waited for. It is
// opened for writing even to read: who may not write cannot tidy away the log that reading makes.
func openExisting(path string, pragmas ...string) (*sql.DB, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	q := url.Values{"mode": {"rw"}, "_pragma": append(pragmas, fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()))}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}).String())
	if err == nil {
		db.SetMaxOpenConns(1)
	}
	return db, err
}

func touch(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Claim takes the lock that a server holds while it uses the database at path, and keeps servers off until release
// is called. It is a UserError if one uses it. The directory is made if it is missing. What was made is removed by release,
// unless it is to be kept; root leaves it to the owner of the directory.
func Claim(path string) (release func(keep bool) error, err error) {
	var made []string // the last to be removed first
	for _, name := range []string{path, path + lockEnding, dir(path)} {
		if _, err := os.Lstat(name); errors.Is(err, fs.ErrNotExist) {
			made = append(made, name)
		}
	}
	l, err := take(path)
	if err != nil {
		return nil, fmt.Errorf("lock the database: %w", explainSQLite(err, path))
	}
	if err := l.leaveToOwner(slices.Contains(made, path)); err != nil {
		return nil, errors.Join(err, l.release())
	}
	return func(keep bool) error {
		var errs []error
		for i := 0; i < len(made) && !keep; i++ {
			if err := os.Remove(made[i]); !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, err)
			}
		}
		return errors.Join(append(errs, l.release())...)
	}, nil
}

// Settle brings what a killed server left in the log of the database at path into its file. The caller has claimed it.
func Settle(ctx context.Context, path string) error {
	db, err := openExisting(path)
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, "pragma wal_checkpoint(truncate)")
	return errors.Join(err, db.Close()) // the last connection to close removes the log
}
