package localcompute_test

import (
	"context"
	"log/slog"
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
	"greenroom/internal/compute"
	"greenroom/internal/compute/localcompute"
	"greenroom/internal/procs"
)

// TestMain makes the test binary the agent too, as the provider starts it: "agent --dir DIR"; and another process
// that shares a directory: "replica DIR URL".
func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == "agent" {
		os.Exit(runAgent(os.Args[3]))
	}
	if len(os.Args) == 4 && os.Args[1] == "replica" {
		os.Exit(runReplica(os.Args[2], os.Args[3]))
	}
	os.Exit(m.Run())
}

func runAgent(dir string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
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

// house is a machine with a control plane and a provider.
type house struct {
	*localcompute.Provider
	control *agenttest.ControlPlane
	dir     string
	changed chan string
}

func needDesktops(t testing.TB) {
	t.Helper()
	for _, program := range []string{"Xtigervnc", "openbox", "xterm"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("desktops need %s, which is not installed", program)
		}
	}
}

func newHouse(t testing.TB) *house {
	t.Helper()
	needDesktops(t)
	h := &house{control: agenttest.NewControlPlane(t), dir: filepath.Join(t.TempDir(), "desktops"), changed: make(chan string, 64)}
	h.Provider = h.open(t)
	t.Cleanup(func() { h.demolish(t) })
	return h
}

func (h *house) open(t testing.TB) *localcompute.Provider {
	t.Helper()
	p, err := localcompute.Open(t.Context(), localcompute.Options{
		Dir: h.dir, Executable: os.Args[0], ControlURL: h.control.URL(), Environ: os.Environ(),
		OnChange: func(meeting string) {
			select {
			case h.changed <- meeting:
			default:
			}
		}, Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// reopen is the end of the control plane's process, and its next beginning.
func (h *house) reopen(t testing.TB) {
	t.Helper()
	h.Close()
	h.Provider = h.open(t)
}

// demolish removes every desktop, and fails the test if anything of them is left.
func (h *house) demolish(t testing.TB) {
	list, _ := h.List(context.Background(), "")
	for _, i := range list {
		if err := h.Terminate(context.Background(), i.ID); err != nil {
			t.Error(err)
		}
	}
	agenttest.Eventually(t, "every desktop gone", func() bool {
		left, _ := h.List(context.Background(), "")
		return len(left) == 0
	})
	h.Close()
	for _, i := range list {
		if left := bearing(t, i.ID); len(left) > 0 {
			t.Errorf("processes of %s are left: %v", i.ID, left)
		}
		if _, err := os.Stat(filepath.Join(h.dir, i.ID)); !os.IsNotExist(err) {
			t.Errorf("the directory of %s is left: %v", i.ID, err)
		}
	}
}

// bearing returns the live processes that bear the instance's mark.
func bearing(t testing.TB, id string) []procs.Process {
	t.Helper()
	table, err := procs.List()
	if err != nil {
		t.Fatal(err)
	}
	var found []procs.Process
	for _, p := range procs.WithEnviron(table, "GREENROOM_INSTANCE="+id) {
		if !p.Ended() {
			found = append(found, p)
		}
	}
	return found
}

// handle is a fresh seat.
func handle(role string) greenroom.Handle {
	return greenroom.Handle{Meeting: greenroom.NewMeetingID(), Seat: role, Attempt: 1}
}

// launch starts a desktop that enrols with the house's control plane.
func (h *house) launch(t testing.TB, of greenroom.Handle, killAt time.Time, applications ...string) compute.Instance {
	t.Helper()
	o := h.Launch(t.Context(), []compute.Request{{Handle: of, Blueprint: greenroom.DefaultBlueprint(), KillAt: killAt,
		UserData: h.control.UserData(of, killAt, applications...)}})[0]
	if o.Err != nil {
		t.Fatal(o.Err)
	}
	return o.Instance
}

// ready is launch with a terminal, and waits until the desktop is.
func (h *house) ready(t testing.TB, of greenroom.Handle) compute.Instance {
	t.Helper()
	i := h.launch(t, of, time.Now().Add(time.Hour), "xterm")
	h.control.AwaitReady(t, of)
	return i
}
