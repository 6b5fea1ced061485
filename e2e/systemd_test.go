package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/procs"
)

// TestUnderSystemd runs deploy/systemd/greenroom.service under the real systemd: desktops start without a HOME, with a read-only
// system and a /tmp of the service's own, and a restart finds them all.
func TestUnderSystemd(t *testing.T) {
	t.Parallel()
	s := newInstance(t)
	host := boot(t, s)
	host.do("start", "greenroom")
	s.answers()
	first, second := s.held("First"), s.held("Second")
	host.do("restart", "greenroom")
	s.answers()
	third := s.held("Third")
	for _, id := range []string{first.ID, second.ID} {
		m, ok := s.meeting(t.Context(), id)
		if !ok || !all(m, greenroom.Ready) {
			t.Errorf("after the restart %+v", m.State)
		}
		for _, seat := range m.Seats {
			if seat.Desktop.Attempt != 1 {
				t.Errorf("a desktop of %s was replaced", m.Title)
			}
		}
	}
	host.do("reload", "greenroom")
	host.do("is-active", "greenroom")
	s.finish(first)
	s.finish(second)
	s.finish(third)
	host.do("stop", "greenroom")
}

// systemd is one that runs in namespaces of its own.
type systemd struct {
	t   *testing.T
	pid int // as this machine sees it
}

// boot starts systemd with the program and the unit, or skips the test where that is not possible.
func boot(t *testing.T, s *instance) systemd {
	t.Helper()
	if _, err := os.Stat("/usr/lib/systemd/systemd"); err != nil || os.Geteuid() != 0 {
		t.Skip("SKIPPED: systemd is not installed, or this user is not root. As root on Debian it can be run.")
	}
	dir := t.TempDir()
	for from, to := range map[string]string{binary: "greenroom", "../deploy/systemd/greenroom.service": "greenroom.service"} {
		if out, err := exec.Command("cp", from, filepath.Join(dir, to)).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	write(t, filepath.Join(dir, "greenroom.yaml"), fmt.Sprintf("listen: %s\ndesktop_listen: %s\ndns_listen: %s\n", s.ports[0], s.ports[1], s.ports[2]))
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command("unshare", "--mount", "sh", "testdata/systemd/boot.sh", dir)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // the kernel ends the namespace with it
		<-ended
		sweepCgroup(t, cmd.Process.Pid)
	})
	host := systemd{t: t}
	for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		select {
		case <-ended:
			said, _ := os.ReadFile(log.Name())
			t.Skipf("SKIPPED: systemd does not start in namespaces here: %s", said)
		default:
		}
		if host.pid = first(t, cmd.Process.Pid); host.pid != 0 && host.run(t.Context(), "is-system-running") == nil {
			return host
		}
		if time.Since(began) > patience {
			said, _ := os.ReadFile(log.Name())
			t.Fatalf("systemd did not come up: %s", said)
		}
	}
}

// first is systemd below the process that started it, 0 if it is not there yet.
func first(t *testing.T, below int) int {
	t.Helper()
	table, err := procs.List()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range procs.Descendants(table, below) {
		if exe, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", p.PID)); p.Parent == below && exe == "/usr/lib/systemd/systemd" {
			return p.PID
		}
	}
	return 0
}

func (h systemd) run(ctx context.Context, args ...string) error {
	line := append([]string{"--target", strconv.Itoa(h.pid), "--mount", "--pid", "systemctl"}, args...)
	out, err := exec.CommandContext(ctx, "nsenter", line...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("systemctl %v: %w: %s", args, err, out)
	}
	return nil
}

func (h systemd) do(args ...string) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	if err := h.run(ctx, args...); err != nil {
		h.t.Fatal(err)
	}
}

// sweepCgroup removes the control groups of a systemd that is gone.
func sweepCgroup(t *testing.T, pid int) {
	t.Helper()
	const script = `mount -t cgroup2 none "$0" && for try in 1 2 3 4 5 6 7 8 9 10; do find "$0/greenroom-test-$1" -depth -type d -exec rmdir {} + 2>/dev/null && exit 0; sleep 0.3; done`
	cmd := exec.Command("unshare", "--mount", "sh", "-c", script, t.TempDir(), strconv.Itoa(pid))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Logf("control groups are left: %v %s", err, out)
	}
}
