package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"greenroom/internal/testenv/ipv6"
	"greenroom/internal/testenv/locked"
	"greenroom/internal/testenv/pgtest"
)

// longEnough bounds every wait of these tests.
const longEnough = 40 * time.Second

// TestCommandLine runs the scripts in testdata/cli. Beside testscript's own commands they have:
//
//	serve [args]              start a server on free ports and wait until it is ready; GREENROOM_SERVER leads to it
//	stop                      stop it as an operator would, and want exit code 0
//	exits N program [args]    run it and want that exit code
//	until REGEXP program …    run it again and again until its output matches
//	capture NAME REGEXP       set NAME to the first group of REGEXP in the last output
//	taken NAME                set NAME to an address whose port is in use
//	database NAME ROLE        set NAME to the URL of a fresh PostgreSQL database, where ROLE may make tables
func TestCommandLine(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata/cli",
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", filepath.Dir(binary)+string(os.PathListSeparator)+env.Getenv("PATH"))
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("TZ", "UTC")
			env.Setenv("GREENROOM_SERVER", "http://127.0.0.1:1") // nobody, where the default may be a server that somebody uses
			env.Values["server"] = &server{}
			return nil
		},
		Condition: func(name string) (bool, error) {
			if name != "ipv6" {
				return false, fmt.Errorf("there is no condition %s", name)
			}
			return ipv6.Works(), nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"serve": serve, "stop": stop, "exits": exits, "until": until, "capture": capture, "taken": taken,
			"database": func(ts *testscript.TestScript, _ bool, args []string) {
				url := pgtest.Start(t)
				pgtest.Exec(t, url, "grant create on schema public to "+args[1])
				ts.Setenv(args[0], pgtest.As(t, url, args[1]))
			},
		},
	})
}

// server is the one that a script has started.
type server struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when its output has ended
	log  locked.Buffer
}

func serve(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("use exits for a serve that should fail")
	}
	s := ts.Value("server").(*server)
	*s = server{done: make(chan struct{})}
	all := append([]string{"serve", "--data-dir", ts.MkAbs("data"), "--listen", "127.0.0.1:0", "--desktop-listen", "127.0.0.1:0", "--dns-listen", "127.0.0.1:0"}, args...)
	s.cmd = exec.Command(binary, all...)
	s.cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "TZ"} {
		s.cmd.Env = append(s.cmd.Env, name+"="+ts.Getenv(name))
	}
	s.cmd.Stderr = &s.log
	stdout, err := s.cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(s.cmd.Start())
	ts.Defer(func() {
		_ = s.cmd.Process.Kill() // it has ended already if all went well
		_ = s.cmd.Wait()
	})
	ready := make(chan string, 1)
	go func() {
		defer close(s.done)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			if url, ok := strings.CutPrefix(lines.Text(), "greenroom is ready: "); ok {
				ready <- url
			}
		}
	}()
	select {
	case url := <-ready:
		ts.Setenv("GREENROOM_SERVER", url)
	case <-s.done:
		ts.Fatalf("the server ended before it was ready:\n%s", s.log.String())
	case <-time.After(longEnough):
		ts.Fatalf("the server is not ready:\n%s", s.log.String())
	}
}

func stop(ts *testscript.TestScript, _ bool, _ []string) {
	s := ts.Value("server").(*server)
	ts.Check(s.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case <-s.done:
	case <-time.After(longEnough):
		ts.Fatalf("the server does not stop:\n%s", s.log.String())
	}
	if err := s.cmd.Wait(); err != nil {
		ts.Fatalf("the server stopped with %v:\n%s", err, s.log.String())
	}
	ts.Check(os.WriteFile(ts.MkAbs("serve.log"), []byte(s.log.String()), 0o600))
}

func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d\n%s%s", got, want, ts.ReadFile("stdout"), ts.ReadFile("stderr"))
	}
}

func until(ts *testscript.TestScript, _ bool, args []string) {
	want := regexp.MustCompile(args[0])
	for end := time.Now().Add(longEnough); ; {
		err := ts.Exec(args[1], args[2:]...)
		if err == nil && want.MatchString(ts.ReadFile("stdout")) {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("%v: never matched %s:\n%s", args[1:], want, ts.ReadFile("stdout"))
		}
		time.Sleep(100 * time.Millisecond) // between two looks
	}
}

func capture(ts *testscript.TestScript, _ bool, args []string) {
	found := regexp.MustCompile(args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if len(found) < 2 {
		ts.Fatalf("%s is not in\n%s", args[1], ts.ReadFile("stdout"))
	}
	ts.Setenv(args[0], found[1])
}

func taken(ts *testscript.TestScript, _ bool, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { _ = l.Close() })
	ts.Setenv(args[0], fmt.Sprint(l.Addr()))
}
