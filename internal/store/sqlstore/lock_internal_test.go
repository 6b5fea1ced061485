package sqlstore

import (
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestLockIsGivenUp closes a store while a copy of the lock's descriptor is open, as a program that is just being started has one.
func TestLockIsGivenUp(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "greenroom.db")
	first, err := take(path)
	if err != nil {
		t.Fatal(err)
	}
	inherited, err := unix.Dup(int(first.file.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(inherited) })
	if _, err := take(path); err == nil {
		t.Error("two have the lock")
	}
	if err := first.release(); err != nil {
		t.Fatal(err)
	}
	second, err := take(path)
	if err != nil {
		t.Fatalf("after the release: %v", err)
	}
	if err := second.release(); err != nil {
		t.Error(err)
	}
}
