// Package shared lets the test binaries of one run of scripts/run_tests.py use one server of a kind. By itself a test binary starts
// servers of its own.
package shared

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Variable names the directory in which the binaries of one run find each other's servers. It holds a named pipe, leash, which the
// run has open for writing as long as it lasts.
const Variable = "GREENROOM_TEST_SERVERS"

// held keeps the pipes of this process's own servers from being collected, which would close them.
var held []*os.File

// Start returns what launch returned, in this process or in another of the same run. launch starts a server and returns how to reach
// it; the server must end when leash has nothing more to read. Call it once for each name in a process.
func Start(name string, launch func(leash *os.File) (string, error)) (string, error) {
	dir := os.Getenv(Variable)
	if dir == "" {
		return own(launch)
	}
	lock, err := os.OpenFile(filepath.Join(dir, name+".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return "", err
	}
	defer func() { _ = unix.Flock(int(lock.Fd()), unix.LOCK_UN) }() // a program that is being started has a copy of the descriptor
	path := filepath.Join(dir, name)
	if found, err := os.ReadFile(path); !errors.Is(err, fs.ErrNotExist) {
		return string(found), err
	}
	leash, err := os.Open(filepath.Join(dir, "leash"))
	if err != nil {
		return "", err
	}
	defer leash.Close()
	address, err := launch(leash)
	if err != nil {
		return "", err
	}
	return address, os.WriteFile(path, []byte(address), 0o600)
}

// own starts a server that ends with this process.
func own(launch func(leash *os.File) (string, error)) (string, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer read.Close()
	address, err := launch(read)
	if err != nil {
		_ = write.Close()
		return "", err
	}
	held = append(held, write)
	return address, nil
}
