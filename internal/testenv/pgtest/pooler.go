package pgtest

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"greenroom/internal/testenv/child"
)

// Pooler is a running PgBouncer in front of a server.
type Pooler struct{ port string }

const poolerConfig = `[databases]
* = host=%s port=%s
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %s
unix_socket_dir =
auth_type = trust
auth_file = %s
pool_mode = %s
logfile = %s
%s
`

// NewPooler starts a pooler in front of the server, in a mode: session, transaction or statement. more are lines of its
// configuration. It ends with the test.
func (s *Server) NewPooler(tb testing.TB, mode, more string) *Pooler {
	tb.Helper()
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		program = "/usr/sbin/pgbouncer" // the package keeps it out of an ordinary user's PATH
	}
	if !isProgram(program) {
		tb.Fatal("these tests need PgBouncer, which is not installed: install the package pgbouncer (scripts/setup.sh test does)")
	}
	port, err := freePort()
	if err != nil {
		tb.Fatal(err)
	}
	dir := filepath.Join(s.dir, "pooler-"+port)
	users, config, log := filepath.Join(dir, "users"), filepath.Join(dir, "pgbouncer.ini"), filepath.Join(dir, "log")
	if err := os.Mkdir(dir, 0o700); err != nil {
		tb.Fatal(err)
	}
	for path, text := range map[string]string{
		users:  fmt.Sprintf("%q \"\"\n%q \"\"\n", Superuser, Plain),
		config: fmt.Sprintf(poolerConfig, s.place.Address, s.port, port, users, mode, log, more),
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			tb.Fatal(err)
		}
		s.give(tb, path)
	}
	s.give(tb, dir)
	cmd := exec.Command(program, config) // its parent is this process: it is ended below, or by the signal
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.owner}
	ended, err := child.Start(cmd)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })
	p := &Pooler{port: port}
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", port))
		if err == nil {
			conn.Close()
			return p
		}
		if time.Now().After(deadline) {
			text, _ := os.ReadFile(log)
			tb.Fatalf("PgBouncer does not answer: %v\n%s", err, text)
		}
	}
}

// give lets the server's user own a file.
func (s *Server) give(tb testing.TB, path string) {
	tb.Helper()
	if s.owner == nil {
		return
	}
	if err := os.Chown(path, int(s.owner.Uid), int(s.owner.Gid)); err != nil {
		tb.Fatal(err)
	}
}

// Before names the same database by way of the pooler.
func (p *Pooler) Before(tb testing.TB, databaseURL string) string {
	tb.Helper()
	u, err := url.Parse(databaseURL)
	if err != nil {
		tb.Fatal(err)
	}
	u.Host = net.JoinHostPort("127.0.0.1", p.port)
	return u.String()
}
