package localcompute

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"greenroom"
)

// Files by which those who share a directory find each other. The lock's file stays for ever: whoever removed it
// would let a second process believe that it is alone.
const (
	lockName   = "host.lock"
	socketName = "host.sock"
)

// place is the directory as its processes meet there.
type place struct {
	dir  *os.File
	lock *os.File
}

func openPlace(path string) (place, error) {
	dir, err := os.Open(path)
	if err != nil {
		return place{}, fmt.Errorf("open the directory of the desktops: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(path, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return place{}, errors.Join(fmt.Errorf("open the lock of the desktops: %w", err), dir.Close())
	}
	return place{dir: dir, lock: lock}, nil
}

// close gives up the lock, too: no other process has its file by inheritance.
func (p place) close() {
	_ = p.lock.Close()
	_ = p.dir.Close()
}

// take takes the lock if it is free. The kernel frees it when its process ends, however that happens.
func (p place) take() (bool, error) {
	err := unix.Flock(int(p.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, unix.EWOULDBLOCK), errors.Is(err, unix.EINTR):
		return false, nil
	}
	return false, &greenroom.UserError{Cause: err, Message: fmt.Sprintf(
		"The file system of %s cannot lock files. Choose a data directory on a local disk.", p.dir.Name())}
}

func (p place) give() error { return unix.Flock(int(p.lock.Fd()), unix.LOCK_UN) }

// socket is the path of the socket by way of the open directory: a socket's path may have 107 bytes only, and a
// data directory may have a long name.
func (p place) socket() string {
	return "/proc/self/fd/" + strconv.Itoa(int(p.dir.Fd())) + "/" + socketName
}

// listen makes the socket, which only this user can open. The caller holds the lock, so that what is there now is
// of a process that was killed.
func (p place) listen(ctx context.Context) (net.Listener, error) {
	path := p.socket()
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("remove the old socket: %w", err)
	}
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error // the mode must be right from the first moment
		return errors.Join(c.Control(func(fd uintptr) { err = unix.Fchmod(int(fd), 0o600) }), err)
	}}
	listener, err := lc.Listen(ctx, "unix", path)
	if err != nil {
		return nil, &greenroom.UserError{Cause: err, Message: fmt.Sprintf(
			"No socket can be made in %s. Choose a data directory on a local disk, and see that /proc is mounted.", p.dir.Name())}
	}
	return listener, nil
}
