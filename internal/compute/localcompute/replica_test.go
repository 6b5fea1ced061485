package localcompute_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"greenroom/internal/agent/agenttest"
	"greenroom/internal/compute/localcompute"
)

// runReplica shares dir until it is told to end, and says when it is open and when it hosts.
func runReplica(dir, url string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	p, err := localcompute.Open(ctx, localcompute.Options{Dir: dir, Executable: os.Args[0], ControlURL: url, Environ: os.Environ(),
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer p.Close()
	fmt.Println("open")
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for said := false; ; {
		if !said && p.Hosts() {
			said = true
			fmt.Println("hosts")
		}
		select {
		case <-ctx.Done():
			return 0
		case <-tick.C:
		}
	}
}

// replica is another process that shares the house's directory.
type replica struct {
	cmd   *exec.Cmd
	open  chan struct{} // closed when it is
	hosts chan struct{} // closed when it does
}

func (h *house) replica(t testing.TB) *replica {
	t.Helper()
	return startReplica(t, h.dir, h.control.URL())
}

func startReplica(t testing.TB, dir, url string) *replica {
	t.Helper()
	r := &replica{cmd: exec.Command(os.Args[0], "replica", dir, url), open: make(chan struct{}), hosts: make(chan struct{})}
	r.cmd.Stderr = t.Output()
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.kill(t) })
	go r.listen(out)
	return r
}

func (r *replica) listen(out io.Reader) {
	for lines := bufio.NewScanner(out); lines.Scan(); {
		switch lines.Text() {
		case "open":
			close(r.open)
		case "hosts":
			close(r.hosts)
		}
	}
}

// await waits for one of a replica's words.
func await(t testing.TB, what string, said <-chan struct{}) {
	t.Helper()
	select {
	case <-said:
	case <-time.After(30 * time.Second):
		t.Fatalf("waited in vain for: %s", what)
	}
}

func (r *replica) signal(t testing.TB, sig os.Signal) {
	t.Helper()
	if err := r.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
	for sig == syscall.SIGSTOP && !r.stopped(t) { // the kernel stops its threads one by one
		runtime.Gosched()
	}
}

// stopped reports whether every thread of the replica stands still.
func (r *replica) stopped(t testing.TB) bool {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", r.cmd.Process.Pid))
	if err != nil || len(threads) == 0 {
		t.Fatalf("the replica's threads: %v, %v", threads, err)
	}
	for _, file := range threads {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		if _, state, _ := strings.Cut(string(text), ") "); !strings.HasPrefix(state, "T") {
			return false
		}
	}
	return true
}

// kill is the end without a goodbye. It is for a replica that has ended, too.
func (r *replica) kill(t testing.TB) {
	t.Helper()
	_ = r.cmd.Process.Kill()
	_ = r.cmd.Wait()
}

// guest is a house whose desktops another process hosts.
func guest(t testing.TB) (*house, *replica) {
	t.Helper()
	needDesktops(t)
	h := &house{control: agenttest.NewControlPlane(t), dir: filepath.Join(t.TempDir(), "desktops"), changed: make(chan string, 64)}
	r := h.replica(t)
	await(t, "a host", r.hosts)
	h.Provider = h.open(t)
	t.Cleanup(func() { h.demolish(t) })
	if h.Hosts() {
		t.Fatal("there are two hosts")
	}
	return h, r
}
