package server

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"greenroom/internal/backup"
)

// exchange moves files, and can move them back.
type exchange struct {
	dataDir, dir, aside string
	undo                []func() error
}

// swap moves what is in dataDir aside and what is in dir into its place, and returns where the old is, if there was any. At
// every moment there is a whole database, and the old one is whole under its own name or aside. If a step fails, those before
// it are undone.
func swap(dataDir, dir string) (aside string, err error) {
	x := &exchange{dataDir: dataDir, dir: dir}
	if err := x.all(); err != nil {
		return "", errors.Join(err, x.back())
	}
	return x.aside, nil
}

func (x *exchange) all() error {
	for _, name := range backup.Others { // directories cannot be linked
		if exists(filepath.Join(x.dir, name)) {
			if err := x.keep(name, os.Rename); err != nil {
				return err
			}
		}
	}
	files := []string{backup.AuthorityKey, backup.Authority, backup.Database}
	for _, name := range files {
		if err := x.keep(name, os.Link); err != nil {
			return err
		}
	}
	for _, suffix := range []string{"-wal", "-shm"} { // a log beside another database would be taken for its own
		if err := x.keep(backup.Database+suffix, os.Rename); err != nil {
			return err
		}
	}
	for _, name := range append(append([]string(nil), backup.Others...), files...) {
		if !exists(filepath.Join(x.dir, name)) {
			continue // a backup without an authority leaves the one that is there
		}
		if err := x.put(name); err != nil {
			return err
		}
	}
	if x.aside != "" {
		if err := errors.Join(giveTo(x.dataDir, x.aside), syncDir(x.aside)); err != nil {
			return err
		}
	}
	return syncDir(x.dataDir)
}

func (x *exchange) at(name string) string { return filepath.Join(x.dataDir, name) }

// keep moves what is there aside. An empty database is nothing to keep: a lock was taken here and nothing else happened.
func (x *exchange) keep(name string, move func(from, to string) error) error {
	info, err := os.Lstat(x.at(name))
	if errors.Is(err, fs.ErrNotExist) || err == nil && name == backup.Database && info.Size() == 0 {
		return nil
	}
	if err == nil && x.aside == "" {
		x.aside = x.at("before-restore-" + time.Now().UTC().Format("20060102T150405.000Z"))
		if err = os.Mkdir(x.aside, 0o700); err == nil {
			x.undo = append(x.undo, func() error { return os.Remove(x.aside) })
		}
	}
	to := filepath.Join(x.aside, name)
	if err == nil {
		err = move(x.at(name), to)
	}
	if err != nil {
		return fmt.Errorf("move the old data aside: %w", err)
	}
	x.undo = append(x.undo, func() error {
		err := os.Rename(to, x.at(name))
		_ = os.Remove(to) // what was linked and never replaced is the same file under two names: renaming leaves both
		return err
	})
	return nil
}

// put moves a new file or directory into its place.
func (x *exchange) put(name string) error {
	from := filepath.Join(x.dir, name)
	info, err := os.Lstat(from)
	if err != nil {
		return err
	}
	replaces := !info.IsDir() && x.aside != "" && exists(filepath.Join(x.aside, name))
	if err := os.Rename(from, x.at(name)); err != nil {
		return fmt.Errorf("put %s in its place: %w", name, err)
	}
	x.undo = append(x.undo, func() error {
		if replaces {
			return nil // the one that was kept takes the place again
		}
		return os.RemoveAll(x.at(name))
	})
	return nil
}

// back undoes what was done, the last first.
func (x *exchange) back() error {
	var errs []error
	for i := len(x.undo) - 1; i >= 0; i-- {
		errs = append(errs, x.undo[i]())
	}
	return errors.Join(append(errs, syncDir(x.dataDir))...)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
