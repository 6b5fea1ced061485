package shared_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"greenroom/internal/testenv/shared"
)

func TestOneServerForARun(t *testing.T) { //nolint:paralleltest // it sets the environment
	dir := t.TempDir()
	leash := filepath.Join(dir, "leash")
	if err := unix.Mkfifo(leash, 0o600); err != nil {
		t.Fatal(err)
	}
	run, err := os.OpenFile(leash, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(shared.Variable, dir)
	launched := 0
	var server *os.File // its copy of the leash
	launch := func(leash *os.File) (string, error) {
		if launched++; launched == 1 {
			return "", errors.New("no memory")
		}
		fd, err := unix.Dup(int(leash.Fd()))
		server = os.NewFile(uintptr(fd), "leash")
		return "here", err
	}
	if _, err := shared.Start("a", launch); err == nil {
		t.Error("a server that did not start is found")
	}
	for range 3 {
		if got, err := shared.Start("a", launch); got != "here" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	}
	if launched != 2 {
		t.Errorf("launched %d times", launched)
	}
	run.Close()
	if n, err := server.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("the run is over, and the leash gives %d bytes, %v", n, err)
	}
}

func TestOwnServerWithoutARun(t *testing.T) { //nolint:paralleltest // it sets the environment
	t.Setenv(shared.Variable, "")
	for _, want := range []string{"one", "two"} {
		if got, err := shared.Start("a", func(*os.File) (string, error) { return want, nil }); got != want || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	}
}
