package sqlstore

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"greenroom"
)

// lock keeps a second process off the database: the read cache and the alarm of the scheduler are right only
// while one process owns the file. The kernel lets go of it when the process ends, however it ends.
type lock struct{ file *os.File }

// take makes the database's directory and file if they are missing, readable by nobody else since join
// links are secrets, and locks them.
func take(path string) (*lock, error) {
	if err := os.MkdirAll(dir(path), 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	l := &lock{file: f}
	if err := l.acquire(path); err != nil {
		_ = f.Close()
		return nil, err
	}
	return l, nil
}

func (l *lock) acquire(path string) error {
	err := unix.Flock(int(l.file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return &greenroom.UserError{Message: fmt.Sprintf("another greenroom is using %s: end it, or choose another data directory", dir(path)), Cause: err}
	}
	if err != nil {
		return fmt.Errorf("lock %s: %w", l.file.Name(), err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// release leaves the file: were it removed, two processes could hold locks on two files of one name.
func (l *lock) release() error { return l.file.Close() }
