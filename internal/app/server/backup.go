package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"greenroom"
	"greenroom/internal/backup"
	"greenroom/internal/config"
	"greenroom/internal/store/sqlstore"
)

// BackupReport says what a backup holds.
type BackupReport struct {
	File string `json:"file"`
	Size int64  `json:"size"` // bytes
	backup.Manifest
}

// Backup writes a backup of the data directory to file: the database, the local authority, and the accounts and certificates of
// others. A server may be using
// the directory; it is not disturbed. The file appears whole, checked and durable, readable by its owner alone, or
// not at all. One that is there is replaced only with force.
func Backup(ctx context.Context, cfg config.Config, version, file string, force bool) (BackupReport, error) {
	report := BackupReport{File: file}
	if _, err := os.Lstat(file); err == nil && !force {
		return report, nameTaken(file)
	}
	dir, err := os.MkdirTemp(filepath.Dir(file), ".greenroom-backup-")
	if err != nil {
		return report, cannotWrite(file, err)
	}
	defer os.RemoveAll(dir)
	m := backup.Manifest{MadeAt: time.Now().UTC(), Version: version}
	holds, err := sqlstore.Copy(ctx, filepath.Join(cfg.DataDir, backup.Database), filepath.Join(dir, backup.Database))
	if err != nil {
		return report, err
	}
	m.Holds = backup.Contents(holds)
	for _, name := range []string{backup.AuthorityKey, backup.Authority} {
		if err := copyIfThere(filepath.Join(cfg.DataDir, name), filepath.Join(dir, name)); err != nil {
			return report, fmt.Errorf("copy the local authority: %w", err)
		}
	}
	for _, name := range backup.Others {
		if err := copyTree(cfg.DataDir, dir, name); err != nil {
			return report, fmt.Errorf("copy certificates: %w", err)
		}
	}
	tar := filepath.Join(dir, "backup.tar")
	if report.Manifest, report.Size, err = writeTar(ctx, tar, m, dir); err != nil {
		return report, cannotWrite(file, err)
	}
	return report, publish(tar, file, force)
}

func nameTaken(file string) error {
	return &greenroom.UserError{Message: fmt.Sprintf("%s is there already and was left as it is: choose another name, or replace it with --force.", file)}
}

func cannotWrite(file string, err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	if errors.Is(err, syscall.ENOSPC) {
		return &greenroom.UserError{Message: "The disk that the backup is written to is full: free some space, or write it elsewhere. No backup was made.", Cause: err}
	}
	return &greenroom.UserError{Message: fmt.Sprintf("The backup %s cannot be written: see that its directory exists and is yours. No backup was made.", file), Cause: err}
}

// copyIfThere copies a small file.
func copyIfThere(from, to string) error {
	text, err := os.ReadFile(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o600)
}

// copyTree copies a file, or a directory with its files, if it is there. What a server takes away meanwhile is left out; its
// files appear whole, by a change of name.
func copyTree(from, to, top string) error {
	return fs.WalkDir(os.DirFS(from), top, func(name string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case d.IsDir():
			return os.Mkdir(filepath.Join(to, name), 0o700)
		case !d.Type().IsRegular() || strings.HasPrefix(name, "acme/locks/"): // a lock belongs to a process
			return nil
		}
		return copyIfThere(filepath.Join(from, name), filepath.Join(to, name))
	})
}

func writeTar(ctx context.Context, path string, m backup.Manifest, dir string) (backup.Manifest, int64, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return m, 0, err
	}
	m, err = backup.Write(ctx, f, m, dir)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return m, 0, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return m, 0, err
	}
	return m, info.Size(), nil
}

// publish gives the whole file its name. Without force a name that was taken meanwhile stays as it is.
func publish(tar, file string, force bool) error {
	name := os.Link
	if force {
		name = os.Rename
	}
	if err := name(tar, file); errors.Is(err, fs.ErrExist) {
		return nameTaken(file)
	} else if err != nil {
		return cannotWrite(file, err)
	}
	return syncDir(filepath.Dir(file))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
