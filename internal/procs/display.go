package procs

import (
	"context"
	"net"
	"os"
	"strconv"
	"time"
)

// A server that is starting claims one display after the other for a moment each, on its way to a free one.
const (
	claimTries = 20
	claimPause = 50 * time.Millisecond
)

// RemoveDisplay removes the socket that a killed X server left behind, unless a server answers there by now.
// A server that is asked to end removes it by itself.
func RemoveDisplay(ctx context.Context, number int) {
	path := "/tmp/.X11-unix/X" + strconv.Itoa(number)
	for range claimTries {
		if removeDisplay(path) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(claimPause):
		}
	}
}

// removeDisplay reports whether the matter is settled: the socket is gone, or it is somebody's.
func removeDisplay(path string) bool {
	if conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"}); err == nil {
		conn.Close()
		return true
	}
	// Servers claim a display by the abstract socket of the same name. While it is ours, no other takes the number.
	claim, err := net.ListenUnix("unix", &net.UnixAddr{Name: "@" + path, Net: "unix"})
	if err != nil {
		return false
	}
	defer claim.Close()
	if conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"}); err == nil {
		conn.Close() // of a server that does without the other
		return true
	}
	err = os.Remove(path)
	return err == nil || os.IsNotExist(err)
}
