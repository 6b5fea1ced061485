package procs

import (
	"net"
	"os"
	"strconv"
)

// RemoveDisplay removes the socket that a killed X server left behind, unless a server answers there by now.
// A server that is asked to end removes it by itself.
func RemoveDisplay(number int) {
	path := "/tmp/.X11-unix/X" + strconv.Itoa(number)
	// Servers claim a display by the abstract socket of the same name. While it is ours, no other takes the number.
	claim, err := net.ListenUnix("unix", &net.UnixAddr{Name: "@" + path, Net: "unix"})
	if err != nil {
		return
	}
	defer claim.Close()
	if conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"}); err == nil {
		conn.Close() // of a server that does without the other
		return
	}
	_ = os.Remove(path) // which may not be there
}
