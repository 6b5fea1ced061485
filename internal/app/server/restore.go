package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"greenroom"
	"greenroom/internal/backup"
	"greenroom/internal/config"
	"greenroom/internal/store/sqlstore"
)

// RestoreReport says what was restored, and where what was there before is now.
type RestoreReport struct {
	DataDir string `json:"data_dir"`
	Aside   string `json:"aside,omitempty"` // directory with what was there before; empty if nothing was
	backup.Manifest
}

// Restore puts the backup in file into the data directory, which no server may be using. A database with meetings
// is replaced only with force, and is moved aside, never deleted. Everything is checked before anything is changed.
func Restore(ctx context.Context, cfg config.Config, file string, force bool) (RestoreReport, error) {
	report := RestoreReport{DataDir: cfg.DataDir}
	f, err := os.Open(file)
	if err != nil {
		return report, &greenroom.UserError{Message: fmt.Sprintf("The backup %s cannot be read: see that it exists and is yours.", file), Cause: err}
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return report, &greenroom.UserError{Message: fmt.Sprintf("%s is not a file.", file), Cause: err}
	}
	database := filepath.Join(cfg.DataDir, backup.Database)
	release, err := sqlstore.Claim(database)
	if err != nil {
		return report, err
	}
	defer release() //nolint:errcheck // the lock goes with the process
	if err := replaceable(ctx, database, force); err != nil {
		return report, err
	}
	dir, err := os.MkdirTemp(cfg.DataDir, ".restore-")
	if err != nil {
		return report, fmt.Errorf("make room for the backup: %w", err)
	}
	defer os.RemoveAll(dir)
	if report.Manifest, err = backup.Read(ctx, f, info.Size(), dir); err != nil {
		return report, err
	}
	if err := agrees(ctx, report.Manifest, dir); err != nil {
		return report, err
	}
	report.Aside, err = swap(cfg.DataDir, dir)
	return report, err
}

// replaceable refuses a database that holds meetings, or may. What a killed server left in its log is counted, too.
func replaceable(ctx context.Context, database string, force bool) error {
	info, err := os.Stat(database)
	if err != nil {
		return err
	}
	if info.Size() == 0 { // a lock was taken here and nothing else happened
		return nil
	}
	settled := sqlstore.Settle(ctx, database) // a damaged one stays as it is, and is moved aside with its log
	if force {
		return nil
	}
	holds, err := sqlstore.Inspect(ctx, database, database)
	if errors.Join(settled, err) != nil {
		return &greenroom.UserError{Message: fmt.Sprintf("The database %s is there and cannot be read: to move it aside and restore the backup, repeat with --force. Nothing was changed.", database), Cause: errors.Join(settled, err)}
	}
	if holds.Meetings > 0 {
		return &greenroom.UserError{Message: fmt.Sprintf("The database %s holds meetings (%d): to move it aside and restore the backup, repeat with --force. Nothing was changed.", database, holds.Meetings)}
	}
	return nil
}

// agrees checks the extracted database and compares it with what the manifest says.
func agrees(ctx context.Context, m backup.Manifest, dir string) error {
	holds, err := sqlstore.Inspect(ctx, filepath.Join(dir, backup.Database), "in the backup")
	if err != nil {
		return err
	}
	if backup.Contents(holds) != m.Holds {
		return &greenroom.UserError{Message: "The backup does not hold what its manifest says. Nothing was changed.", Cause: fmt.Errorf("it holds %+v, not %+v", holds, m.Holds)}
	}
	return nil
}

// swap moves what is in dataDir aside and what is in dir into its place, and returns where the old is. At every
// moment there is a whole database, and the old one is whole under its own name or aside.
func swap(dataDir, dir string) (aside string, err error) {
	at := func(name string) string { return filepath.Join(dataDir, name) }
	if info, err := os.Stat(at(backup.Database)); err == nil && info.Size() == 0 {
		if err := os.Remove(at(backup.Database)); err != nil {
			return "", fmt.Errorf("remove an empty database: %w", err)
		}
	}
	keep := func(name string, move func(from, to string) error) error {
		if _, err := os.Lstat(at(name)); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if aside == "" {
			aside = at("before-restore-" + time.Now().UTC().Format("20060102T150405.000Z"))
			if err := os.Mkdir(aside, 0o700); err != nil {
				return err
			}
		}
		return move(at(name), filepath.Join(aside, name))
	}
	for _, name := range backup.Others { // directories cannot be linked
		if _, missing := os.Lstat(filepath.Join(dir, name)); missing == nil {
			err = errors.Join(err, keep(name, os.Rename))
		}
	}
	files := []string{backup.AuthorityKey, backup.Authority, backup.Database}
	for _, name := range files {
		err = errors.Join(err, keep(name, os.Link))
	}
	for _, suffix := range []string{"-wal", "-shm"} { // a log beside another database would be taken for its own
		err = errors.Join(err, keep(backup.Database+suffix, os.Rename))
	}
	if err != nil {
		return aside, fmt.Errorf("move the old data aside: %w", err)
	}
	for _, name := range append(slices.Clone(backup.Others), files...) {
		if _, err := os.Lstat(filepath.Join(dir, name)); errors.Is(err, fs.ErrNotExist) {
			continue // a backup without an authority leaves the one that is there
		}
		if err := os.Rename(filepath.Join(dir, name), at(name)); err != nil {
			return aside, fmt.Errorf("put %s in its place: %w", name, err)
		}
	}
	if aside != "" {
		err = syncDir(aside)
	}
	return aside, errors.Join(err, syncDir(dataDir))
}
