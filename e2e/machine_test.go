package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/config"
	"greenroom/internal/httpapi/client"
	"greenroom/internal/httpapi/wire"
	"greenroom/internal/procs"
)

// logged reports whether the server's log has all the words in one line.
func (s *instance) logged(words ...string) bool {
	s.t.Helper()
	text, err := os.ReadFile(s.log())
	if err != nil {
		s.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		all := true
		for _, w := range words {
			all = all && strings.Contains(line, w)
		}
		if all {
			return true
		}
	}
	return false
}

// held schedules a meeting that starts now and waits for its desktops.
func (s *instance) held(title string) wire.Meeting {
	s.t.Helper()
	m, err := s.api.Schedule(s.t.Context(), wire.Schedule{Title: title, StartsAt: "now", Duration: "30m"}, "")
	if err != nil {
		s.t.Fatal(err)
	}
	s.until("the desktops of "+title, func(ctx context.Context) bool {
		now, ok := s.meeting(ctx, m.ID)
		return ok && all(now, greenroom.Ready)
	})
	return m
}

// finish ends a meeting and waits until nothing of it is left.
func (s *instance) finish(m wire.Meeting) {
	s.t.Helper()
	if _, err := s.api.End(s.t.Context(), m.ID); err != nil {
		s.t.Fatal(err)
	}
	s.until("the end", func(ctx context.Context) bool {
		now, ok := s.meeting(ctx, m.ID)
		return ok && now.State == greenroom.Ended
	})
}

// TestHangupReloads: SIGHUP ends nothing, and new tokens are good from then on, old ones no longer. A file that cannot be used
// changes nothing.
func TestHangupReloads(t *testing.T) {
	t.Parallel()
	s := newInstance(t)
	file := filepath.Join(s.data, "tokens")
	old, fresh := greenroom.NewSecret(), greenroom.NewSecret()
	write(t, file, config.TokenLine(old)+"\n")
	s.under = []string{"env", "GREENROOM_API_TOKEN_FILE=" + file}
	with := func(token string) *client.Client {
		c, err := client.New("http://"+s.ports[0], token)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	s.api = with(old)
	s.start()
	hangup := func(words ...string) {
		t.Helper()
		if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		s.until("the log to say "+strings.Join(words, " "), func(context.Context) bool { return s.logged(words...) })
	}
	good := func(token string) bool {
		_, err := with(token).List(t.Context(), client.Filter{})
		return err == nil
	}
	write(t, file, "nonsense\n")
	hangup("not reloaded", "api_token_file", "neither a token")
	if !good(old) || good(fresh) {
		t.Error("a file without tokens changed something")
	}
	write(t, file, config.TokenLine(fresh)+"\n")
	hangup("reloaded on SIGHUP", "api_token_file", "need a restart")
	if good(old) || !good(fresh) {
		t.Errorf("after SIGHUP the old token is good: %v, the new one: %v", good(old), good(fresh))
	}
}

// TestFirstProcess: as PID 1 of a container, greenroom reaps what killed desktops leave behind, and a stop ends it in order.
func TestFirstProcess(t *testing.T) {
	t.Parallel()
	s := newInstance(t)
	s.under = []string{"unshare", "--map-root-user", "--pid", "--fork", "--mount-proc", "--kill-child", "--"}
	if out, err := exec.Command(s.under[0], append(s.under[1:], "true")...).CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: this user may make no namespaces (%v: %s). As root it can be run.", err, out)
	}
	s.start()
	m := s.held("Container")
	inside := s.children()
	var agents []procs.Process
	for _, p := range inside {
		if cmdline(p.PID, 1) == "agent" {
			agents = append(agents, p)
		}
	}
	if len(agents) != 2 {
		t.Fatalf("%d agents for two seats", len(agents))
	}
	for _, a := range agents {
		if err := a.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	s.until("new desktops", func(ctx context.Context) bool {
		now, ok := s.meeting(ctx, m.ID)
		return ok && all(now, greenroom.Ready) && now.Seats[0].Desktop.Attempt > 1 && now.Seats[1].Desktop.Attempt > 1
	})
	s.until("no zombie to be left", func(context.Context) bool {
		for _, p := range s.children() {
			if p.State == 'Z' {
				return false
			}
		}
		return true
	})
	s.finish(m)
	first := s.children()[0] // the first process of the namespace; unshare is its parent and passes nothing on
	if err := first.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("it stopped with %v", err)
	}
	s.cmd = nil
}

// children are the processes below the program that was started, the oldest first.
func (s *instance) children() []procs.Process {
	s.t.Helper()
	table, err := procs.List()
	if err != nil {
		s.t.Fatal(err)
	}
	return procs.Descendants(table, s.cmd.Process.Pid)
}

// cmdline is the n-th word of a process's command line.
func cmdline(pid, n int) string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	words := strings.Split(string(text), "\x00")
	if n >= len(words) {
		return ""
	}
	return words[n]
}

// TestProgramIsReplaced: the file of the program is replaced by one that does nothing, then removed, while it runs. Desktops are
// started with the version that runs.
func TestProgramIsReplaced(t *testing.T) {
	t.Parallel()
	s := newInstance(t)
	s.built = filepath.Join(t.TempDir(), "greenroom")
	if out, err := exec.Command("cp", binary, s.built).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s.start()
	next := s.built + ".next"
	write(t, next, "#!/bin/sh\nexit 1\n")
	if err := os.Chmod(next, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, s.built); err != nil {
		t.Fatal(err)
	}
	s.finish(s.held("Replaced"))
	if err := os.Remove(s.built); err != nil {
		t.Fatal(err)
	}
	s.finish(s.held("Removed"))
	s.within(2*patience, "the log to say so", func(context.Context) bool { return s.logged("program's file was replaced", s.built, "version=") })
}

// TestAuthorityOutOfTime: the local authority of a clock that was ahead, and one that ends soon, taken up by a start and by a
// running server. Desktops become ready, the log and doctor say what happened.
func TestAuthorityOutOfTime(t *testing.T) {
	t.Parallel()
	s := newInstance(t)
	s.start()
	s.stop()
	doctor := func() string {
		out, _ := exec.Command(binary, "doctor", "--data-dir", s.data, "--listen", s.ports[0], "--desktop-listen", s.ports[1], "--dns-listen", s.ports[2]).CombinedOutput()
		return string(out)
	}
	s.resign(time.Now().Add(24*time.Hour), time.Now().Add(8760*time.Hour))
	if out := doctor(); !strings.Contains(out, "valid only from") {
		t.Errorf("doctor does not find an authority of tomorrow:\n%s", out)
	}
	s.start()
	m := s.held("Tomorrow")
	s.resign(time.Now().Add(-time.Hour), time.Now().Add(time.Hour)) // while it runs
	if out := doctor(); !strings.Contains(out, "ends soon") || !strings.Contains(out, "greenroom trust") {
		t.Errorf("doctor does not find an authority that ends soon:\n%s", out)
	}
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	s.until("the authority to be renewed", func(context.Context) bool { return time.Until(s.localRoot().NotAfter) > 8760*time.Hour })
	s.until("the log to say so", func(context.Context) bool { return s.logged("authority has a new certificate", "greenroom trust") })
	if text := get(t, http.DefaultClient, "http://"+s.ports[0]+"/ca.pem"); !strings.Contains(text, string(must(os.ReadFile(filepath.Join(s.data, "ca.pem"))))) {
		t.Error("/ca.pem is not the new one")
	}
	if text := get(t, http.DefaultClient, "http://"+s.ports[0]+"/metrics"); !strings.Contains(text, `greenroom_certificate_expiry_seconds{certificate="authority"}`) {
		t.Error("no metric tells when the authority ends")
	}
	s.finish(s.held("Renewed"))
	s.finish(m)
}

func must(text []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return text
}

func (s *instance) localRoot() *x509.Certificate {
	s.t.Helper()
	block, _ := pem.Decode(must(os.ReadFile(filepath.Join(s.data, "ca.pem"))))
	root, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		s.t.Fatal(err)
	}
	return root
}

// resign gives the server's authority other times.
func (s *instance) resign(from, until time.Time) {
	s.t.Helper()
	block, _ := pem.Decode(must(os.ReadFile(filepath.Join(s.data, "ca.key"))))
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		s.t.Fatal(err)
	}
	fresh := *s.localRoot()
	fresh.NotBefore, fresh.NotAfter, fresh.SerialNumber = from, until, big.NewInt(time.Now().UnixNano())
	der, err := x509.CreateCertificate(rand.Reader, &fresh, &fresh, key.(*ecdsa.PrivateKey).Public(), key)
	if err != nil {
		s.t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.WriteFile(filepath.Join(s.data, "ca.pem"), text, 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// TestFewOpenFiles: a soft limit is raised; a hard one is raised where that is allowed, and else the server does not start and says
// what is too low.
func TestFewOpenFiles(t *testing.T) {
	t.Parallel()
	few := func(option string) []string {
		return []string{"sh", "-c", "ulimit " + option + " 64; exec \"$@\"", "few"}
	}
	t.Run("Soft", func(t *testing.T) {
		t.Parallel()
		s := newInstance(t)
		s.under = few("-S -n")
		s.start()
		first, second := s.held("Few files"), s.held("More")
		for _, p := range s.desktopProcesses() {
			text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/limits", p.PID))
			if strings.Contains(string(text), "Max open files            64 ") {
				t.Errorf("%s inherited the low limit", cmdline(p.PID, 0))
			}
		}
		s.finish(first)
		s.finish(second)
	})
	t.Run("Hard", func(t *testing.T) {
		t.Parallel()
		bound := []string{"setpriv", "--bounding-set=-sys_resource", "--inh-caps=-sys_resource"}
		if os.Geteuid() != 0 {
			bound = nil
		}
		s := newInstance(t)
		line := append(append(bound, few("-n")...), s.built, "serve", "--data-dir", s.data, "--listen", s.ports[0], "--desktop-listen", s.ports[1], "--dns-listen", s.ports[2])
		out, err := exec.CommandContext(t.Context(), line[0], line[1:]...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "The limit of open files is 64, and greenroom needs 4096. To have it start, raise it: ulimit -n") {
			t.Errorf("it says %q, %v", out, err)
		}
	})
}

// withoutTmp runs what follows where only the directory $0 below /tmp can be written.
const withoutTmp = `mount --bind /tmp /tmp && cd / && mount --bind "$0" "$0" && mount -o remount,bind,ro /tmp && exec "$@"`

// TestTmpCannotBeWritten: the seat is given up once, with a sentence that names the directory.
func TestTmpCannotBeWritten(t *testing.T) {
	t.Parallel()
	s := newInstance(t)
	if !strings.HasPrefix(s.data, "/tmp/") {
		t.Skipf("SKIPPED: the test's directory %s is not below /tmp. Run it without TMPDIR.", s.data)
	}
	s.under = []string{"unshare", "--mount", "--map-root-user", "--", "sh", "-c", withoutTmp, s.data}
	if out, err := exec.Command(s.under[0], append(s.under[1:], "true")...).CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: this user may mount nothing, not even in a namespace of its own (%v: %s). As root it can be run.", err, out)
	}
	s.start()
	s.givenUp("/tmp", "need to write in /tmp", "Make it writable")
}

// givenUp schedules a meeting whose seats cannot get a desktop, and wants each to be tried once, with the words.
func (s *instance) givenUp(title string, words ...string) {
	s.t.Helper()
	m, err := s.api.Schedule(s.t.Context(), wire.Schedule{Title: title, StartsAt: "now", Duration: "30m"}, "")
	if err != nil {
		s.t.Fatal(err)
	}
	s.until("the end", func(ctx context.Context) bool {
		now, ok := s.meeting(ctx, m.ID)
		return ok && now.State == greenroom.Ended
	})
	events, err := s.api.Events(s.t.Context(), m.ID, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	failed := 0
	for _, e := range events.Events {
		if e.Kind != string(greenroom.EventFailed) {
			continue
		}
		failed++
		for _, w := range words {
			if !strings.Contains(e.Message, w) {
				s.t.Errorf("the timeline says %q, without %q", e.Message, w)
			}
		}
	}
	if failed != len(m.Seats) {
		s.t.Errorf("%d failures for %d seats", failed, len(m.Seats))
	}
}

// TestProgramIsUninstalled: the X server is removed under a running greenroom. Each seat is given up once, and desktops that run go on.
func TestProgramIsUninstalled(t *testing.T) {
	t.Parallel()
	s := newInstance(t)
	bin := filepath.Join(t.TempDir(), "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, program := range []string{"Xtigervnc", "openbox", "xterm", "sh"} {
		path, err := exec.LookPath(program)
		if err != nil {
			t.Skipf("SKIPPED: desktops need %s, which is not installed", program)
		}
		if err := os.Symlink(path, filepath.Join(bin, program)); err != nil {
			t.Fatal(err)
		}
	}
	env, err := exec.LookPath("env")
	if err != nil {
		t.Fatal(err)
	}
	s.under = []string{env, "PATH=" + bin}
	s.start()
	runs := s.held("Before")
	if err := os.Remove(filepath.Join(bin, "Xtigervnc")); err != nil {
		t.Fatal(err)
	}
	s.givenUp("After", "Xtigervnc", "apt-get install tigervnc-standalone-server")
	if now, ok := s.meeting(t.Context(), runs.ID); !ok || !all(now, greenroom.Ready) || now.Seats[0].Desktop.Attempt != 1 {
		t.Error("a running desktop did not go on")
	}
	s.finish(runs)
}
