package procs_test

import (
	"bufio"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"greenroom/internal/procs"
)

// shell starts a shell that runs the script and then says its first line, which is returned.
func shell(t *testing.T, env, script string) (p procs.Process, line string) {
	t.Helper()
	cmd := exec.Command("sh", "-c", script)
	cmd.Env = append(os.Environ(), env)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	})
	line, err = bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	p, ok := procs.Find(cmd.Process.Pid)
	if !ok {
		t.Fatal("the shell is not in the table")
	}
	return p, strings.TrimSpace(line)
}

func list(t *testing.T) []procs.Process {
	t.Helper()
	all, err := procs.List()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func pids(of []procs.Process) []int {
	var out []int
	for _, p := range of {
		out = append(out, p.PID)
	}
	return out
}

func TestDescendantsAreFoundOverGenerations(t *testing.T) {
	t.Parallel()
	p, line := shell(t, "X=1", "sh -c 'sleep 300 & echo $!; wait'; true")
	grandchild, err := strconv.Atoi(line)
	if err != nil {
		t.Fatal(err)
	}
	found := pids(procs.Descendants(list(t), p.PID))
	if !slices.Contains(found, grandchild) || slices.Contains(found, p.PID) || slices.Contains(found, os.Getpid()) {
		t.Errorf("descendants of %d are %v, want %d among them", p.PID, found, grandchild)
	}
}

func TestEnvironMustMatchExactly(t *testing.T) {
	t.Parallel()
	p, _ := shell(t, "PROCS_TEST_MARK=i-12", "echo; exec sleep 300")
	table := list(t)
	if found := pids(procs.WithEnviron(table, "PROCS_TEST_MARK=i-12")); !slices.Contains(found, p.PID) {
		t.Errorf("found %v, want %d among them", found, p.PID)
	}
	for _, near := range []string{"PROCS_TEST_MARK=i-1", "PROCS_TEST_MARK=i-123", "ROCS_TEST_MARK=i-12"} {
		if found := procs.WithEnviron(table, near); slices.Contains(pids(found), p.PID) {
			t.Errorf("%s finds it too", near)
		}
	}
}

func TestReusedPIDIsNotSignalled(t *testing.T) {
	t.Parallel()
	p, _ := shell(t, "X=1", "echo; exec sleep 300")
	other := p
	other.Start++
	if err := other.Signal(unix.SIGKILL); !errors.Is(err, unix.ESRCH) {
		t.Errorf("signal to another with its pid: %v", err)
	}
	if now, ok := procs.Find(p.PID); !ok || now.Ended() {
		t.Error("the wrong process was killed")
	}
}

func TestEndKillsWhoDoesNotListen(t *testing.T) {
	t.Parallel()
	mark := "PROCS_TEST_MARK=" + filepath.Base(t.TempDir()) + t.Name()
	p, _ := shell(t, mark, "trap '' TERM; setsid sh -c 'trap \"\" TERM; while :; do sleep 1; done' & echo; while :; do sleep 1; done")
	began := time.Now()
	err := procs.End(t.Context(), 100*time.Millisecond, func() ([]procs.Process, error) {
		all, err := procs.List()
		return procs.WithEnviron(all, mark), err
	})
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < 100*time.Millisecond {
		t.Errorf("no grace was given: %s", took)
	}
	if now, ok := procs.Find(p.PID); ok && !now.Ended() {
		t.Error("it lives on")
	}
}

func TestEndTellsWhatIsLeft(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	immortal := procs.Process{PID: 1 << 30, State: 'S'}
	err := procs.End(ctx, 0, func() ([]procs.Process, error) { return []procs.Process{immortal}, nil })
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "1 processes") {
		t.Errorf("error is %v", err)
	}
}

func TestWait(t *testing.T) {
	t.Parallel()
	p, _ := shell(t, "X=1", "echo; exec sleep 300")

	ctx, cancel := context.WithCancel(t.Context())
	waiting := make(chan error, 1)
	go func() { waiting <- p.Wait(ctx) }()
	cancel()
	if err := <-waiting; !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled wait says %v", err)
	}

	go func() { waiting <- p.Wait(t.Context()) }()
	if err := p.Signal(unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-waiting:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the end was not noticed")
	}
	if err := p.Wait(t.Context()); err != nil {
		t.Errorf("waiting for the dead: %v", err)
	}
}

func TestDisplayIsRemovedUnlessItAnswers(t *testing.T) {
	t.Parallel()
	const number = 64123 // no server counts that far
	path := "/tmp/.X11-unix/X" + strconv.Itoa(number)
	if err := os.MkdirAll(filepath.Dir(path), 0o1777); err != nil {
		t.Fatal(err)
	}
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ln.SetUnlinkOnClose(false)
	procs.RemoveDisplay(t.Context(), number)
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("a live server's socket was removed: %v", err)
	}
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	claim, err := net.Listen("unix", "@"+path)
	if err != nil {
		t.Fatal(err)
	}
	procs.RemoveDisplay(t.Context(), number)
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("the socket of a server that is starting was removed: %v", err)
	}
	if err := claim.Close(); err != nil {
		t.Fatal(err)
	}
	procs.RemoveDisplay(t.Context(), number)
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("a dead server's socket is left: %v", err)
	}
}
