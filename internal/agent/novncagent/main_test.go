package novncagent_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/agent/agenttest"
	"greenroom/internal/agent/novncagent"
	"greenroom/internal/procs"
)

// TestMain makes the test binary an agent too: "agent DIR". An agent takes over its process, so each test
// needs one of its own.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "agent" {
		os.Exit(runAgent(os.Args[2]))
	}
	os.Exit(m.Run())
}

func runAgent(dir string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	logger := slog.New(slog.NewTextHandler(os.Stderr, nil))
	ln, err := novncagent.Inherited()
	if err == nil {
		err = novncagent.Run(ctx, novncagent.Config{Dir: dir, Listener: ln, Environ: os.Environ(), Version: "test", Logger: logger})
	}
	if err != nil {
		logger.Error("agent ended", "err", err)
		return 1
	}
	return 0
}

// machine is one agent's process with its neighbours.
type machine struct {
	control *agenttest.ControlPlane
	handle  greenroom.Handle
	dir     string
	address string
	cmd     *exec.Cmd
	ended   chan struct{} // closed when the process has
	err     error         // how
}

// boot starts an agent that ends with the test.
func boot(t *testing.T, applications ...string) *machine {
	t.Helper()
	return bootUntil(t, time.Now().Add(time.Hour), agenttest.NewControlPlane(t), applications...)
}

func bootUntil(t *testing.T, killAt time.Time, control *agenttest.ControlPlane, applications ...string) *machine {
	t.Helper()
	for _, program := range []string{"Xtigervnc", "openbox", "xterm"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("desktops need %s, which is not installed", program)
		}
	}
	m := &machine{control: control, handle: greenroom.Handle{Meeting: greenroom.NewMeetingID(), Seat: "teacher", Attempt: 1},
		dir: filepath.Join(t.TempDir(), "desktop"), ended: make(chan struct{})}
	data := m.control.UserData(m.handle, killAt, applications...)
	if err := errors.Join(os.Mkdir(m.dir, 0o700), os.WriteFile(filepath.Join(m.dir, "user-data.json"), data, 0o600)); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	m.address = ln.Addr().String()
	file, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	m.cmd = exec.Command(os.Args[0], "agent", m.dir)
	m.cmd.ExtraFiles, m.cmd.Stderr = []*os.File{file}, t.Output()
	m.cmd.Env = append(os.Environ(), m.mark())
	if err := m.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		m.err = m.cmd.Wait()
		close(m.ended)
	}()
	t.Cleanup(func() { m.stop(t) })
	return m
}

func (m *machine) mark() string {
	return "GREENROOM_INSTANCE=" + greenroom.InstanceIDFromToken(m.handle.Token())
}

// stop asks the agent to end, and returns how long it took. Whatever is left of it fails the test.
func (m *machine) stop(t *testing.T) time.Duration {
	t.Helper()
	began := time.Now()
	_ = m.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-m.ended:
	case <-time.After(20 * time.Second):
		t.Error("the agent does not end")
		_ = m.cmd.Process.Kill()
		<-m.ended
	}
	took := time.Since(began)
	table, err := procs.List()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range procs.WithEnviron(table, m.mark()) {
		if !p.Ended() {
			t.Errorf("process %d is left", p.PID)
			_ = p.Signal(syscall.SIGKILL)
		}
	}
	return took
}

// browser comes from the address source by way of the control plane.
func (m *machine) browser(t *testing.T, source string) *agenttest.Browser {
	t.Helper()
	return agenttest.NewBrowser(t, m.control.Roots, agenttest.Hostname(m.handle.Token()), m.address, source)
}

// entered is a browser that is in.
func (m *machine) entered(t *testing.T) *agenttest.Browser {
	t.Helper()
	b := m.browser(t, "192.0.2.1")
	if status, _, body, err := b.Get("/?authToken=" + m.control.NewToken(m.handle)); err != nil || status >= 400 && status != noBundle {
		t.Fatalf("enter: %d %v %s", status, err, body)
	}
	return b
}

// noBundle is the status of the desktop's page in a build whose scripts were not bundled.
const noBundle = 500
