package child_test

import (
	"os/exec"
	"runtime"
	"sync"
	"testing"
	"time"

	"greenroom/internal/testenv/child"
)

// TestOutlivesThreads ends many threads, any of which could be the one that started the program.
func TestOutlivesThreads(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("sleep", "600")
	ended, err := child.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		var threads sync.WaitGroup
		for range 8 {
			threads.Go(func() { runtime.LockOSThread() }) // never unlocked: the thread ends with the goroutine
		}
		threads.Wait()
	}
	select {
	case err := <-ended:
		t.Fatalf("the program ended with another's thread: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil {
		t.Error("a program that was killed ended well")
	}
}

func TestStartFails(t *testing.T) {
	t.Parallel()
	if _, err := child.Start(exec.Command("/nowhere/to/be/found")); err == nil {
		t.Error("a program that does not exist was started")
	}
}
