package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

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
func Restore(ctx context.Context, cfg config.Config, file string, force bool) (report RestoreReport, err error) {
	report = RestoreReport{DataDir: cfg.DataDir}
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
	// If it fails, nothing is left of what was made for it.
	defer func() { err = errors.Join(err, release(err == nil)) }()
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
	if err := giveTo(cfg.DataDir, dir); err != nil {
		return report, err
	}
	report.Aside, err = swap(cfg.DataDir, dir)
	return report, err
}

// giveTo lets all of dir belong to whom dataDir belongs to: root restores for the user whose server it is.
func giveTo(dataDir, dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(dataDir)
	if err != nil {
		return err
	}
	owner := info.Sys().(*syscall.Stat_t)
	root, err := os.OpenRoot(dir) // that user could exchange names meanwhile
	if err != nil {
		return err
	}
	defer root.Close()
	err = fs.WalkDir(root.FS(), ".", func(name string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return root.Lchown(name, int(owner.Uid), int(owner.Gid))
	})
	if err != nil {
		return fmt.Errorf("give the files to the owner of %s: %w", dataDir, err)
	}
	return nil
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
