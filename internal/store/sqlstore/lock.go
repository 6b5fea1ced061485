package sqlstore

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"greenroom"
)

// lock keeps a second process off the database: the read cache and the alarm of the scheduler are right only
// while one process owns the file. The kernel lets go of it when the process ends, however it ends.
type lock struct {
	file     *os.File
	database string
}

// take makes the database's directory and file if they are missing, readable by nobody else since join
// links are secrets, and locks them.
func take(path string) (*lock, error) {
	if err := os.MkdirAll(dir(path), 0o700); err != nil {
		return nil, err
	}
	for {
		f, err := os.OpenFile(path+lockEnding, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
		if err != nil {
			return nil, err
		}
		l := &lock{file: f, database: path}
		if err := l.acquire(); err != nil {
			return nil, errors.Join(err, f.Close())
		}
		if l.current() {
			return l, l.begin()
		}
		_ = f.Close() // somebody removed it before we had it
	}
}

const lockEnding = ".lock"

func (l *lock) acquire() error {
	err := unix.Flock(int(l.file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return &greenroom.UserError{Message: fmt.Sprintf("another greenroom is using %s: end it, or choose another data directory", dir(l.database)), Cause: err}
	}
	if err != nil {
		return fmt.Errorf("lock %s: %w", l.file.Name(), err)
	}
	return nil
}

// current reports whether the file that is locked is the one that others find.
func (l *lock) current() bool {
	mine, err1 := l.file.Stat()
	found, err2 := os.Lstat(l.file.Name())
	return err1 == nil && err2 == nil && os.SameFile(mine, found)
}

// begin makes the database's file, if it is missing.
func (l *lock) begin() error {
	f, err := os.OpenFile(l.database, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return errors.Join(err, l.release())
	}
	return f.Close()
}

// usedMark is what the lock file of a database that was once opened holds.
const usedMark = "This directory holds a database of greenroom. If greenroom.db is missing or empty, greenroom does not start.\nTo begin anew without it, remove this file.\n"

// used notes that the database has been opened.
func (l *lock) used() error {
	if info, err := l.file.Stat(); err != nil || info.Size() > 0 {
		return err
	}
	if _, err := l.file.WriteAt([]byte(usedMark), 0); err != nil {
		return fmt.Errorf("note that the database is in use: %w", err)
	}
	return l.file.Sync()
}

// lostDatabase refuses an empty database where one was in use: it would count as new, and everything would seem to be gone.
func (l *lock) lostDatabase() error {
	info, err := os.Stat(l.database)
	if err != nil || info.Size() > 0 {
		return err
	}
	mark, err := l.file.Stat()
	if err != nil || mark.Size() == 0 {
		return err
	}
	return &greenroom.UserError{Message: fmt.Sprintf(
		"The database %s is missing or empty, though it was in use: put it back, or restore a backup with greenroom restore. To begin anew without it, remove %s.", l.database, l.file.Name())}
}

// leaveToOwner lets root's lock file, and the database if it was made just now, belong to the owner of their directory. A file
// with other names may be anybody's.
func (l *lock) leaveToOwner(madeDatabase bool) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(dir(l.database))
	if err != nil {
		return err
	}
	owner := info.Sys().(*syscall.Stat_t)
	uid, gid := int(owner.Uid), int(owner.Gid)
	if mine, err := l.file.Stat(); err == nil && mine.Sys().(*syscall.Stat_t).Nlink == 1 {
		if err := l.file.Chown(uid, gid); err != nil {
			return err
		}
	}
	if !madeDatabase {
		return nil
	}
	return os.Lchown(l.database, uid, gid)
}

// release leaves the file. Closing alone would leave the lock to a program that is being started at this moment, which has a copy
// of the descriptor until it runs.
func (l *lock) release() error {
	return errors.Join(unix.Flock(int(l.file.Fd()), unix.LOCK_UN), l.file.Close())
}
