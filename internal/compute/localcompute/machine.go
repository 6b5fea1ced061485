package localcompute

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"greenroom"
)

// Where X servers put their locks and their sockets; both are fixed in every X program.
const (
	lockDir   = "/tmp"
	socketDir = "/tmp/.X11-unix"
)

// writable is a permanent error that says what to do if X servers have nowhere to put their sockets.
func writable() error {
	for _, dir := range []string{lockDir, socketDir} {
		if err := unix.Access(dir, unix.W_OK|unix.X_OK); err != nil && (dir == lockDir || !errors.Is(err, os.ErrNotExist)) {
			return &greenroom.UserError{Cause: fmt.Errorf("%w: %w", greenroom.ErrPermanent, err), Message: fmt.Sprintf(
				"Desktops on this machine need to write in %s, where screens have their sockets, and cannot (%v). Make it writable: in a container mount a tmpfs there, in a unit set PrivateTmp=yes.", dir, err)}
		}
	}
	return nil
}

// limited says in words which limit of the machine a launch has met. Room may come back: it is tried again.
func limited(err error) error {
	message := ""
	switch {
	case errors.Is(err, syscall.EMFILE):
		message = "The server has as many open files as it may have: raise the limit (ulimit -n, LimitNOFILE= in the unit)"
	case errors.Is(err, syscall.ENFILE):
		message = "The machine has as many open files as it may have: raise fs.file-max"
	case errors.Is(err, syscall.EAGAIN):
		message = "No more processes may be started: raise the limit (ulimit -u, LimitNPROC= and TasksMax= in the unit, --pids-limit of the container)"
	case errors.Is(err, syscall.ENOMEM):
		message = "The machine has no memory for another desktop"
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		message = "The disk of the data directory has no room for another desktop"
	default:
		return err
	}
	return &greenroom.UserError{Cause: fmt.Errorf("%w: %w", greenroom.ErrCapacity, err), Message: message + "."}
}
