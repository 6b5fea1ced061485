package localcompute_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/sys/unix"

	"greenroom"
	"greenroom/internal/agent/agenttest"
	"greenroom/internal/compute"
	"greenroom/internal/compute/localcompute"
	"greenroom/internal/procs"
)

func (h *house) browser(t testing.TB, of greenroom.Handle, i compute.Instance, source string) *agenttest.Browser {
	t.Helper()
	return agenttest.NewBrowser(t, h.control.Roots, agenttest.Hostname(of.Token()), net.JoinHostPort(i.Address, "8443"), source)
}

// enter opens the desktop with a fresh token, and returns the browser that is in.
func (h *house) enter(t testing.TB, of greenroom.Handle, i compute.Instance) *agenttest.Browser {
	t.Helper()
	b := h.browser(t, of, i, "192.0.2.1")
	if status, _, body, err := b.Get("/?authToken=" + h.control.NewToken(of)); err != nil || status != http.StatusOK && status != http.StatusInternalServerError {
		t.Fatalf("enter: %d %v %s", status, err, body)
	} // 500 is the desktop's page in a build without its scripts
	return b
}

// screen opens the way to the screen.
func screen(t testing.TB, b *agenttest.Browser) *websocket.Conn {
	t.Helper()
	conn, status := b.WebSocket(t.Context(), b.Origin())
	if conn == nil {
		t.Fatalf("websocket: %d", status)
	}
	t.Cleanup(func() { conn.CloseNow() })
	return conn
}

func TestDesktop(t *testing.T) {
	t.Parallel()

	t.Run("TwoDesktopsArePaintedAndTheirOwn", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t)
		teacher := handle("teacher")
		student := greenroom.Handle{Meeting: teacher.Meeting, Seat: "student", Attempt: 1}
		a, b := h.ready(t, teacher), h.ready(t, student)
		if a.Address == b.Address || a.ID == b.ID {
			t.Fatalf("two desktops share: %+v %+v", a, b)
		}
		for of, i := range map[greenroom.Handle]compute.Instance{teacher: a, student: b} {
			frame, err := agenttest.Look(t.Context(), screen(t, h.enter(t, of, i)))
			if err != nil || frame.Width != 1024 || frame.Height != 768 || frame.Colours < 3 {
				t.Errorf("%s sees %+v, %v", of.Seat, frame, err)
			}
		}
		status, _, _, err := h.browser(t, student, b, "192.0.2.1").Get("/?authToken=" + h.control.NewToken(teacher))
		if err != nil || status != http.StatusForbidden {
			t.Errorf("the teacher's token on the student's desktop: %d %v", status, err)
		}
		if displaySocket(t, h, a) == displaySocket(t, h, b) {
			t.Error("two desktops share a display")
		}
	})

	t.Run("ConnectionsAreReportedAtOnce", func(t *testing.T) {
		t.Parallel()
		h, of := newHouse(t), handle("teacher")
		i := h.ready(t, of)
		conn := screen(t, h.enter(t, of, i))
		h.control.Await(t, of, "the connection", func(m *agenttest.Machine) bool {
			return len(m.Report.Connections) == 1 && m.Report.Connections[0].Client == "192.0.2.1"
		})
		conn.Close(websocket.StatusNormalClosure, "")
		h.control.Await(t, of, "no connection", func(m *agenttest.Machine) bool { return len(m.Report.Connections) == 0 })
	})

	t.Run("MissingApplicationIsPermanentAndNamed", func(t *testing.T) {
		t.Parallel()
		h, of := newHouse(t), handle("teacher")
		h.launch(t, of, time.Now().Add(time.Hour), "xterm", "no-such-program --really")
		h.control.Await(t, of, "the error", func(m *agenttest.Machine) bool { return m.Report.Error != "" })
		h.control.Change(of, func(m *agenttest.Machine) {
			if !m.Report.Permanent || m.Report.Ready || !strings.Contains(m.Report.Error, "apt-get install no-such-program") {
				t.Errorf("report: %+v", m.Report)
			}
		})
	})

	t.Run("AnApplicationThatIsKilledIsStartedAgain", func(t *testing.T) {
		t.Parallel()
		h, of := newHouse(t), handle("teacher")
		i := h.ready(t, of)
		killed := running(t, i.ID, "xterm")
		for _, p := range killed {
			if err := p.Signal(unix.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
		agenttest.Eventually(t, "another terminal", func() bool {
			now := running(t, i.ID, "xterm")
			return len(now) == 1 && now[0].PID != killed[0].PID
		})
		if _, err := agenttest.Look(t.Context(), screen(t, h.enter(t, of, i))); err != nil {
			t.Error(err)
		}
	})
}

func TestRemoval(t *testing.T) {
	t.Parallel()

	t.Run("RunawayProcessesAreGone", func(t *testing.T) {
		t.Parallel()
		h, of := newHouse(t), handle("teacher")
		out := filepath.Join(t.TempDir(), "pids")
		stray := "trap '' TERM HUP; echo $$ >>" + out + "; while :; do read x </dev/tty; done"
		i := h.launch(t, of, time.Now().Add(time.Hour), "xterm",
			fmt.Sprintf("setsid nohup sh -c %q & sleep infinity & (setsid env -i sh -c 'echo $$ >>%s; exec sleep 7777' &) ; wait", strings.ReplaceAll(stray, "read x </dev/tty", "sleep 1"), out))
		h.control.AwaitReady(t, of)
		var pids []string
		agenttest.Eventually(t, "the strays", func() bool {
			text, _ := os.ReadFile(out)
			pids = strings.Fields(string(text))
			return len(pids) == 2
		})
		socket := displaySocket(t, h, i)
		h.remove(t, i)
		for _, pid := range pids {
			if _, err := os.Stat("/proc/" + pid); err == nil {
				t.Errorf("stray %s lives on", pid)
			}
		}
		if left := bearing(t, i.ID); len(left) != 0 {
			t.Errorf("left: %v", left)
		}
		if _, err := os.Stat(filepath.Join(h.dir, i.ID)); !os.IsNotExist(err) {
			t.Errorf("its directory is left: %v", err)
		}
		if deadSocket(socket) {
			t.Errorf("%s is left", socket)
		}
	})

	t.Run("KilledAgentIsNoticedAndItsDesktopCleared", func(t *testing.T) {
		t.Parallel()
		h, of := newHouse(t), handle("teacher")
		i := h.ready(t, of)
		socket := displaySocket(t, h, i)
		if err := agentOf(t, h, i).Signal(unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		select {
		case meeting := <-h.changed:
			if meeting != of.Meeting {
				t.Errorf("change of %s", meeting)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("nobody was told")
		}
		list, _ := h.List(t.Context(), of.Meeting)
		if len(list) != 1 || list[0].State != compute.Terminated {
			t.Errorf("listed as %+v", list)
		}
		agenttest.Eventually(t, "its processes gone", func() bool { return len(bearing(t, i.ID)) == 0 })
		agenttest.Eventually(t, "its display gone", func() bool { return !deadSocket(socket) })
	})

	t.Run("DeadScreenIsTheEnd", func(t *testing.T) {
		t.Parallel()
		h, of := newHouse(t), handle("teacher")
		i := h.ready(t, of)
		for _, p := range running(t, i.ID, "Xtigervnc") {
			if err := p.Signal(unix.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
		agenttest.Eventually(t, "terminated", func() bool {
			list, _ := h.List(t.Context(), of.Meeting)
			return len(list) == 1 && list[0].State == compute.Terminated
		})
	})

	t.Run("KillTimeIsObeyedWithoutControlPlane", func(t *testing.T) {
		t.Parallel()
		h, of := newHouse(t), handle("teacher")
		i := h.launch(t, of, time.Now().Add(10*time.Second), "xterm")
		h.control.AwaitReady(t, of)
		h.control.Stop()
		h.Close()
		agenttest.Eventually(t, "nothing left", func() bool {
			_, err := os.Stat(filepath.Join(h.dir, i.ID))
			return os.IsNotExist(err) && len(bearing(t, i.ID)) == 0
		})
		h.Provider = h.open(t)
		if list, _ := h.List(t.Context(), ""); len(list) != 0 {
			t.Errorf("listed: %+v", list)
		}
	})

	t.Run("PagesAreTold", func(t *testing.T) {
		t.Parallel()
		h, of := newHouse(t), handle("teacher")
		i := h.ready(t, of)
		h.control.Change(of, func(m *agenttest.Machine) { m.Orders.Ending = "The host ended the meeting." })
		b := h.enter(t, of, i)
		conn := screen(t, b) // whose report fetches the orders
		agenttest.Eventually(t, "the notice", func() bool {
			_, _, body, _ := b.Get("/status")
			return strings.Contains(body, "The host ended the meeting.")
		})
		notices, status, err := b.Stream(t.Context(), "/notices")
		if err != nil || status != http.StatusOK {
			t.Fatalf("notices: %d %v", status, err)
		}
		defer notices.Close()
		began := time.Now()
		if err := h.Terminate(t.Context(), i.ID); err != nil {
			t.Fatal(err)
		}
		var closed websocket.CloseError
		if _, _, err := drain(t.Context(), conn); !errors.As(err, &closed) || closed.Code != websocket.StatusGoingAway || closed.Reason != "The host ended the meeting." {
			t.Errorf("the connection ended with %v", err)
		}
		lines := bufio.NewScanner(notices)
		told := 0
		for lines.Scan() {
			if strings.Contains(lines.Text(), "The host ended the meeting.") {
				told++
			}
		}
		if told < 2 {
			t.Errorf("the notice was sent %d times, want at once and at the end", told)
		}
		agenttest.Eventually(t, "gone", func() bool { list, _ := h.List(t.Context(), ""); return len(list) == 0 })
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("removal took %s", took)
		}
	})
}

// drain reads until the connection ends.
func drain(ctx context.Context, conn *websocket.Conn) (websocket.MessageType, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		if kind, text, err := conn.Read(ctx); err != nil {
			return kind, text, err
		}
	}
}

func TestRestart(t *testing.T) {
	t.Parallel()

	t.Run("DesktopIsFoundAgainAndFollowsTheControlPlane", func(t *testing.T) {
		t.Parallel()
		h, of := newHouse(t), handle("teacher")
		i := h.ready(t, of)
		conn := screen(t, h.enter(t, of, i))
		before := agentOf(t, h, i)
		h.Close()
		h.control.Move()
		h.reopen(t)
		list, _ := h.List(t.Context(), of.Meeting)
		if len(list) != 1 || list[0].ID != i.ID || list[0].State != compute.Running || list[0].Address != i.Address || list[0].Handle != of {
			t.Fatalf("found: %+v", list)
		}
		if again := h.launch(t, of, time.Now().Add(time.Hour), "xterm"); again.ID != i.ID || agentOf(t, h, i) != before {
			t.Error("launching again gave another desktop")
		}
		if frame, err := agenttest.Look(t.Context(), conn); err != nil || frame.Colours < 3 {
			t.Errorf("the open connection sees %+v, %v", frame, err)
		}
		h.enter(t, of, i) // asks the verifier at its new address
	})

	t.Run("WrittenIntentIsStarted", func(t *testing.T) {
		t.Parallel()
		h, of := newHouse(t), handle("teacher")
		i := h.ready(t, of)
		h.Close()
		// What a crash between the record and the process leaves: take the process and its traces away.
		record := filepath.Join(h.dir, i.ID, "instance.json")
		if err := agentOf(t, h, i).Signal(unix.SIGTERM); err != nil {
			t.Fatal(err)
		}
		agenttest.Eventually(t, "no process", func() bool { return len(bearing(t, i.ID)) == 0 })
		text := fmt.Sprintf(`{"token":%q,"address":%q,"kill_at":%q}`, of.Token(), i.Address, time.Now().Add(time.Hour).Format(time.RFC3339))
		if err := os.WriteFile(record, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		h.control.Change(of, func(m *agenttest.Machine) { *m = agenttest.Machine{Tokens: m.Tokens} })
		h.Provider = h.open(t)
		h.control.AwaitReady(t, of)
	})

	t.Run("RunningAgentWithoutRecordedPIDIsNotStartedTwice", func(t *testing.T) {
		t.Parallel()
		h, of := newHouse(t), handle("teacher")
		i := h.ready(t, of)
		before := agentOf(t, h, i)
		h.Close()
		text := fmt.Sprintf(`{"token":%q,"address":%q,"kill_at":%q}`, of.Token(), i.Address, time.Now().Add(time.Hour).Format(time.RFC3339))
		if err := os.WriteFile(filepath.Join(h.dir, i.ID, "instance.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		h.Provider = h.open(t)
		if n := len(running(t, i.ID, "Xtigervnc")); n != 1 {
			t.Errorf("%d screens", n)
		}
		if err := h.Terminate(t.Context(), i.ID); err != nil {
			t.Fatal(err)
		}
		agenttest.Eventually(t, "the agent gone", func() bool { p, ok := procs.Find(before.PID); return !ok || p.Start != before.Start || p.Ended() })
	})

	t.Run("ReusedPIDIsNotOurs", func(t *testing.T) {
		t.Parallel()
		h, of := newHouse(t), handle("teacher")
		id := greenroom.InstanceIDFromToken(of.Token())
		h.Close()
		self, _ := procs.Find(os.Getpid())
		writeInstance(t, h, id, fmt.Sprintf(`{"token":%q,"address":"127.0.1.1","pid":%d,"start":%d}`, of.Token(), self.PID, self.Start))
		h.Provider = h.open(t)
		list, _ := h.List(t.Context(), "")
		if len(list) != 1 || list[0].State != compute.Terminated {
			t.Errorf("listed: %+v", list)
		} // and this process is still here to say so, after demolish
	})

	t.Run("UnfinishedRemovalGoesOn", func(t *testing.T) {
		t.Parallel()
		h, of := newHouse(t), handle("teacher")
		i := h.ready(t, of)
		if err := h.Terminate(t.Context(), i.ID); err != nil {
			t.Fatal(err)
		}
		h.Close() // at once: the removal has only begun
		h.Provider = h.open(t)
		agenttest.Eventually(t, "gone", func() bool { list, _ := h.List(t.Context(), ""); return len(list) == 0 })
		if left := bearing(t, i.ID); len(left) != 0 {
			t.Errorf("left: %v", left)
		}
	})

	t.Run("WhatIsNotOursStays", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t)
		h.Close()
		strange := []string{"notes.txt", "i-0123456789abcdef0/diary", "backup/instance.json"}
		for _, name := range strange {
			path := filepath.Join(h.dir, name)
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, nil, 0o600)); err != nil {
				t.Fatal(err)
			}
		}
		writeInstance(t, h, ".new-i-0123456789abcdef1", "{")
		writeInstance(t, h, "i-0123456789abcdef2", "not a record")
		h.Provider = h.open(t)
		agenttest.Eventually(t, "nothing listed", func() bool { list, _ := h.List(t.Context(), ""); return len(list) == 0 })
		for _, name := range strange {
			if _, err := os.Stat(filepath.Join(h.dir, name)); err != nil {
				t.Error(err)
			}
		}
		for _, name := range []string{".new-i-0123456789abcdef1", "i-0123456789abcdef2"} {
			if _, err := os.Stat(filepath.Join(h.dir, name)); !os.IsNotExist(err) {
				t.Errorf("%s is left", name)
			}
		}
	})
}

func writeInstance(t testing.TB, h *house, name, record string) {
	t.Helper()
	dir := filepath.Join(h.dir, name)
	if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, "instance.json"), []byte(record), 0o600)); err != nil {
		t.Fatal(err)
	}
}

func TestMissingProgramsAreNamed(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	p, err := localcompute.Open(t.Context(), localcompute.Options{Dir: t.TempDir(), Executable: os.Args[0], Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	of := handle("teacher")
	got := p.Launch(t.Context(), []compute.Request{{Handle: of, UserData: []byte("{}")}})[0].Err
	want := "apt-get install tigervnc-standalone-server openbox"
	if !errors.Is(got, greenroom.ErrPermanent) || !strings.Contains(greenroom.Sentence(got, ""), want) {
		t.Errorf("got %v, want a permanent error with %q", got, want)
	}
	if list, _ := p.List(t.Context(), ""); len(list) != 0 {
		t.Errorf("listed: %v", list)
	}
}

func (h *house) remove(t testing.TB, i compute.Instance) {
	t.Helper()
	if err := h.Terminate(t.Context(), i.ID); err != nil {
		t.Fatal(err)
	}
	list, _ := h.List(t.Context(), i.Handle.Meeting)
	if len(list) == 1 && list[0].State != compute.ShuttingDown {
		t.Errorf("after Terminate it is %s", list[0].State)
	}
	agenttest.Eventually(t, "gone", func() bool { list, _ := h.List(t.Context(), i.Handle.Meeting); return len(list) == 0 })
}

// running returns the instance's processes of a program.
func running(t testing.TB, id, program string) []procs.Process {
	t.Helper()
	var found []procs.Process
	for _, p := range bearing(t, id) {
		if comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", p.PID)); strings.TrimSpace(string(comm)) == program {
			found = append(found, p)
		}
	}
	return found
}

func agentOf(t testing.TB, h *house, i compute.Instance) procs.Process {
	t.Helper()
	first := procs.Process{}
	for _, p := range bearing(t, i.ID) {
		if first.PID == 0 || p.Start < first.Start || p.Start == first.Start && p.PID < first.PID {
			first = p
		}
	}
	if first.PID == 0 {
		t.Fatalf("%s has no process", i.ID)
	}
	first.State = 'S'
	return first
}

// displaySocket is the file of the instance's X server outside of its directory.
func displaySocket(t testing.TB, h *house, i compute.Instance) string {
	t.Helper()
	number, err := os.ReadFile(filepath.Join(h.dir, i.ID, "display"))
	if err != nil {
		t.Fatal(err)
	}
	path := "/tmp/.X11-unix/X" + string(number)
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// deadSocket reports whether the socket is there and nobody answers. Another server may have taken the number.
func deadSocket(path string) bool {
	conn, err := net.Dial("unix", path)
	if err == nil {
		conn.Close()
	}
	return errors.Is(err, unix.ECONNREFUSED)
}
