package novncagent_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"greenroom/internal/agent/agenttest"
	"greenroom/internal/procs"
)

// running lists the machine's processes of that name.
func (m *machine) running(t *testing.T, name string) []procs.Process {
	t.Helper()
	table, err := procs.List()
	if err != nil {
		t.Fatal(err)
	}
	var out []procs.Process
	for _, p := range procs.WithEnviron(table, m.mark()) {
		comm, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.PID), "comm"))
		if strings.TrimSpace(string(comm)) == name && !p.Ended() {
			out = append(out, p)
		}
	}
	return out
}

// signal sends sig to the one process of that name.
func (m *machine) signal(t *testing.T, name string, sig syscall.Signal) procs.Process {
	t.Helper()
	found := m.running(t, name)
	if len(found) != 1 {
		t.Fatalf("%d processes called %s", len(found), name)
	}
	if err := found[0].Signal(sig); err != nil {
		t.Fatal(err)
	}
	return found[0]
}

// health is what the probe sees.
func (m *machine) health(t *testing.T) int {
	t.Helper()
	status, _, _, err := m.browser(t, "").Get("/version")
	if err != nil {
		t.Fatal(err)
	}
	return status
}

func TestProgramsAreStartedAgain(t *testing.T) {
	t.Parallel()
	const broken = "test -e started && exit 3; touch started; sleep 4; exit 3" // its first start is longer than anybody waits for windows
	m := boot(t, "xterm", broken, "sleep 0.1")
	m.control.AwaitReady(t, m.handle)
	for _, name := range []string{"openbox", "xterm"} {
		before := m.signal(t, name, syscall.SIGKILL)
		agenttest.Eventually(t, "a new "+name, func() bool {
			now := m.running(t, name)
			return len(now) == 1 && now[0].PID != before.PID
		})
	}
	m.control.Await(t, m.handle, "the problem", func(k *agenttest.Machine) bool {
		return strings.Contains(k.Report.Problem, fmt.Sprintf("The application %q ends again and again", broken))
	})
	m.control.Change(m.handle, func(k *agenttest.Machine) {
		if strings.Contains(k.Report.Problem, "sleep 0.1") {
			t.Errorf("one that ended well is a problem: %s", k.Report.Problem)
		}
	})
	if status := m.health(t); status != http.StatusOK {
		t.Errorf("status %d", status)
	}
}

func TestTheScreensHealth(t *testing.T) {
	t.Parallel()
	m := boot(t, "xterm")
	m.control.AwaitReady(t, m.handle)
	m.signal(t, "Xtigervnc", syscall.SIGSTOP)
	began := time.Now()
	agenttest.Eventually(t, "503", func() bool { return m.health(t) == http.StatusServiceUnavailable })
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("a stopped screen was noticed after %s", took)
	}
	m.control.Await(t, m.handle, "the problem", func(k *agenttest.Machine) bool { return k.Report.Problem == "The screen does not answer." })
	m.signal(t, "Xtigervnc", syscall.SIGCONT)
	agenttest.Eventually(t, "200", func() bool { return m.health(t) == http.StatusOK })
	m.control.Await(t, m.handle, "no problem", func(k *agenttest.Machine) bool { return k.Report.Problem == "" })
	if err := os.Remove(filepath.Join(m.dir, "rfb.sock")); err != nil {
		t.Fatal(err)
	}
	agenttest.Eventually(t, "503 without a socket", func() bool { return m.health(t) == http.StatusServiceUnavailable })
}

func TestNothingOutlivesAnAgentThatIsKilled(t *testing.T) {
	t.Parallel()
	m := boot(t, "xterm", "exec sleep 1000")
	m.control.AwaitReady(t, m.handle)
	if err := m.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-m.ended
	agenttest.Eventually(t, "no process", func() bool {
		table, err := procs.List()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range procs.WithEnviron(table, m.mark()) {
			if !p.Ended() {
				return false
			}
		}
		return true
	})
}
