package sqlstore

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"greenroom"
)

// reserve is room on the disk that is kept for ending what there is. When the disk is full it is given back, and until it could
// be taken again nothing new is accepted: meetings that exist go on, and can be ended.
type reserve struct {
	path string
	size int64 // bytes; 0 keeps nothing

	mu    sync.Mutex
	spent bool
}

// take takes the room, if it is not taken, and reports whether it is.
func (r *reserve) take() bool {
	if r == nil || r.size == 0 {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.spent = r.fill() != nil
	if r.spent {
		_ = os.Remove(r.path)
	}
	return !r.spent
}

func (r *reserve) fill() (err error) {
	if info, err := os.Stat(r.path); err == nil && info.Size() == r.size {
		return nil
	}
	f, err := os.OpenFile(r.path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	err = unix.Fallocate(int(f.Fd()), 0, 0, r.size)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) { // random, since some file systems keep zeros in no room
		_, err = io.CopyN(f, rand.Reader, r.size)
	}
	if err != nil {
		return err
	}
	return f.Sync()
}

// give gives the room back, and reports whether there was any.
func (r *reserve) give() bool {
	if r == nil || r.size == 0 {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	had := !r.spent
	r.spent = true
	return os.Remove(r.path) == nil && had
}

func (r *reserve) isSpent() bool {
	if r == nil || r.size == 0 {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.spent
}

// unspent reports whether there is room that could be given back.
func (r *reserve) unspent() bool { return r != nil && r.size > 0 && !r.isSpent() }

// errFull is what new meetings are refused with while the reserve is spent.
var errFull = errors.New("the disk is full")

func isFull(err error) bool {
	se, ok := errors.AsType[*sqlite.Error](err)
	return ok && (se.Code()&0xff == sqlite3.SQLITE_FULL || se.Code() == sqlite3.SQLITE_IOERR_SHMSIZE) // of the log's index
}

// roomFor refuses a write that adds to what is kept while there is no reserve, unless there is room again.
func (s *Store) roomFor(w *write) error {
	if w.adds && s.reserve.isSpent() && !s.reserve.take() {
		return errFull
	}
	return nil
}

func fullDisk(path string, err error) error {
	return &greenroom.UserError{
		Message: fmt.Sprintf("The disk that holds %s is full: free some space. What was not confirmed was not saved. Meetings that exist go on and can be ended.", dir(path)),
		Cause:   errors.Join(greenroom.ErrUnavailable, err),
	}
}
