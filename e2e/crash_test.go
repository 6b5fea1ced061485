package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/httpapi/client"
	"greenroom/internal/httpapi/wire"
	"greenroom/internal/procs"
)

// kills is how often the program is killed while desktops boot, and as often while they go.
const kills = 8

// patience is long enough for anything that is on its way, on a slow machine too.
const patience = 60 * time.Second

// instance is one greenroom with its data directory, through all its lives.
type instance struct {
	t     testing.TB
	name  string
	data  string
	args  []string // beside those for the ports and the data directory
	under []string // a command line that runs the rest; nil is none
	built string   // the program; another version of it is another file
	ports [3]string
	cmd   *exec.Cmd
	api   *client.Client
}

func newInstance(t testing.TB) *instance { return newReplica(t, "serve", t.TempDir()) }

// newReplica is an instance that may share its data directory with others of other names.
func newReplica(t testing.TB, name, data string, args ...string) *instance {
	t.Helper()
	s := &instance{t: t, name: name, data: data, args: args, built: binary}
	for i := range s.ports {
		s.ports[i] = keptAddress(t)
	}
	var err error
	if s.api, err = client.New("http://"+s.ports[0], ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if s.cmd != nil {
			s.kill()
		}
		if t.Failed() {
			log, _ := os.ReadFile(s.log())
			t.Logf("%s said:\n%s", s.name, log[max(0, len(log)-8000):])
		}
		for _, p := range s.desktopProcesses() { // a failed test leaves no desktops behind either
			_ = p.Signal(syscall.SIGKILL)
		}
	})
	return s
}

// kept are the ports that were given out. They are below those that the system gives to clients: one of those may be taken by
// somebody's connection while the server that listens on it is away.
var kept struct {
	sync.Mutex
	ports map[int]bool
}

// keptAddress is a loopback address that stays free while nobody listens on it.
func keptAddress(t testing.TB) string {
	t.Helper()
	kept.Lock()
	defer kept.Unlock()
	if kept.ports == nil {
		kept.ports = map[int]bool{}
	}
	for range 1000 {
		port := 12_000 + rand.N(20_000)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		_ = l.Close()
		if !kept.ports[port] {
			kept.ports[port] = true
			return l.Addr().String()
		}
	}
	t.Fatal("no port is free below those of clients")
	return ""
}

func (s *instance) log() string { return filepath.Join(s.data, s.name+".log") }

func (s *instance) start() {
	s.t.Helper()
	s.launch()
	s.answers()
}

// answers waits until the program does.
func (s *instance) answers() {
	s.t.Helper()
	s.until(s.name+" to answer", func(ctx context.Context) bool {
		_, _, err := s.api.Server(ctx)
		return err == nil
	})
}

// launch starts the program and does not wait for it.
func (s *instance) launch() {
	s.t.Helper()
	log, err := os.OpenFile(s.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close()
	args := []string{"serve", "--data-dir", s.data, "--listen", s.ports[0], "--desktop-listen", s.ports[1], "--dns-listen", s.ports[2]}
	line := slices.Concat(s.under, []string{s.built}, args, s.args)
	s.cmd = exec.Command(line[0], line[1:]...)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
}

func (s *instance) kill() {
	s.t.Helper()
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
	s.cmd = nil
}

// stop ends the program as an operator would.
func (s *instance) stop() {
	s.t.Helper()
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	if err := s.cmd.Wait(); err != nil {
		s.t.Errorf("%s stopped with %v", s.name, err)
	}
	s.cmd = nil
}

// until waits for what must come, asking often.
func (s *instance) until(what string, holds func(ctx context.Context) bool) {
	s.t.Helper()
	s.within(patience, what, holds)
}

func (s *instance) within(d time.Duration, what string, holds func(ctx context.Context) bool) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds(ctx) {
		select {
		case <-ctx.Done():
			s.t.Fatalf("waited %s in vain for %s", d, what)
		case <-tick.C:
		}
	}
}

// after waits for a moment drawn at random: the moment of the kill is what the test is about.
func after(most time.Duration) time.Duration {
	d := rand.N(most)
	<-time.After(d)
	return d
}

func (s *instance) desktopProcesses() []procs.Process {
	s.t.Helper()
	table, err := procs.List()
	if err != nil {
		s.t.Fatal(err)
	}
	var ours []procs.Process
	for _, p := range table {
		environ, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", p.PID))
		cmdline, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.PID))
		if !p.Ended() && strings.Contains(string(environ), "GREENROOM_INSTANCE=") && strings.Contains(string(environ)+string(cmdline), s.data) {
			ours = append(ours, p)
		}
	}
	return ours
}

// screens counts the X servers of our desktops.
func (s *instance) screens() int {
	n := 0
	for _, p := range s.desktopProcesses() {
		cmdline, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.PID))
		if name, _, _ := strings.Cut(string(cmdline), "\x00"); strings.Contains(strings.ToLower(filepath.Base(name)), "vnc") {
			n++
		}
	}
	return n
}

// nothingLeft wants no process and no file of any desktop.
func (s *instance) nothingLeft() {
	s.t.Helper()
	s.until("every process to be gone", func(context.Context) bool { return len(s.desktopProcesses()) == 0 })
	left, err := filepath.Glob(filepath.Join(s.data, "desktops", "*i-*")) // half made and half removed ones, too
	if err != nil || len(left) != 0 {
		s.t.Fatalf("left in the desktops' directory: %v %v", left, err)
	}
}

func (s *instance) meeting(ctx context.Context, id string) (wire.Meeting, bool) {
	m, err := s.api.Meeting(ctx, id)
	return m, err == nil
}

func all(m wire.Meeting, phase greenroom.Phase) bool {
	for _, seat := range m.Seats {
		if seat.Desktop.Phase != phase {
			return false
		}
	}
	return true
}

// TestKilledAnywhere kills the real program with kill -9 while its desktops boot and while they go, starts it
// again, and expects one screen per seat, and in the end nothing.
func TestKilledAnywhere(t *testing.T) {
	t.Parallel()
	s := newInstance(t)
	s.start()
	for i := range kills {
		m, err := s.api.Schedule(t.Context(), wire.Schedule{Title: fmt.Sprintf("Crash %d", i), StartsAt: "now", Duration: "30m"}, "")
		if err != nil {
			t.Fatal(err)
		}
		when := after(500 * time.Millisecond)
		s.kill()
		t.Logf("round %d: killed %s after scheduling", i, when)
		s.start()
		s.until("both desktops to be ready", func(ctx context.Context) bool {
			m, ok := s.meeting(ctx, m.ID)
			return ok && all(m, greenroom.Ready)
		})
		if n := s.screens(); n != 2 {
			t.Fatalf("%d screens for two seats", n)
		}
		if _, err := s.api.End(t.Context(), m.ID); err != nil {
			t.Fatal(err)
		}
		when = after(300 * time.Millisecond)
		s.kill()
		t.Logf("round %d: killed %s after the end", i, when)
		s.start()
		s.until("the end", func(ctx context.Context) bool {
			m, ok := s.meeting(ctx, m.ID)
			return ok && m.State == greenroom.Ended && all(m, greenroom.Gone)
		})
		s.nothingLeft()
	}
}
