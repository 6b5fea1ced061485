package pgtest

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"greenroom/internal/procs"
)

// Server is a running PostgreSQL.
type Server struct {
	dir    string // data, log and the keeper's script are below it
	bin    string
	place  Place
	port   string
	owner  *syscall.Credential
	keeper *exec.Cmd
	leash  io.Closer // the keeper acts when this is closed

	mu         sync.Mutex
	postmaster *exec.Cmd
}

// patience bounds the server's own steps, on a machine with much else to do.
const patience = time.Minute

// Where packages put the programs that are not in PATH; the newest version is taken.
var places = []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/pgsql/bin"}

func programs() (string, error) {
	if path, err := exec.LookPath("postgres"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil && isProgram(filepath.Join(filepath.Dir(path), "initdb")) {
			return filepath.Dir(path), nil
		}
	}
	best, newest := "", -1
	for _, place := range places {
		dirs, _ := filepath.Glob(place)
		for _, dir := range dirs {
			digits := strings.TrimLeft(strings.TrimPrefix(filepath.Base(filepath.Dir(dir)), "pgsql"), "-")
			version, _ := strconv.Atoi(digits)
			if version > newest && isProgram(filepath.Join(dir, "postgres")) && isProgram(filepath.Join(dir, "initdb")) {
				best, newest = dir, version
			}
		}
	}
	if best == "" {
		return "", errors.New("these tests need PostgreSQL, which is not installed: install the package postgresql (scripts/setup.sh test does)")
	}
	return best, nil
}

func isProgram(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// unprivileged is who runs the server when root runs the tests: PostgreSQL refuses root. Nil is ourselves.
func unprivileged() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		if u, err = user.Lookup("nobody"); err != nil {
			return nil, fmt.Errorf("root cannot run PostgreSQL, and there is neither a user postgres nor nobody: %w", err)
		}
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, errors.Join(err1, err2)
}

// hba lets in everybody without a password but one role, for tests of passwords.
const hba = `host all guarded 127.0.0.1/32 scram-sha-256
host all guarded 198.18.0.0/15 scram-sha-256
host all all 127.0.0.1/32 trust
host all all 198.18.0.0/15 trust
host replication all 127.0.0.1/32 trust
`

// settings leave fsync on, since benchmarks compare durable writes.
const settings = `unix_socket_directories = ''
max_connections = 500
password_encryption = 'scram-sha-256'
log_min_messages = warning
`

// start makes a server of its own with initdb. It ends when leash has nothing more to read, or, if that is nil, with this process.
func start(place Place, leash *os.File) (*Server, error) {
	return begin(place, leash, func(s *Server) error {
		initdb := s.command("initdb", "--pgdata", s.data(), "--auth", "trust", "--username", Superuser, "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-instructions", "--no-sync")
		if err := quietly(initdb); err != nil {
			return err
		}
		for name, text := range map[string]string{"pg_hba.conf": hba, "postgresql.auto.conf": settings} {
			if err := os.WriteFile(filepath.Join(s.data(), name), []byte(text), 0o600); err != nil {
				return err
			}
		}
		if err := s.run(); err != nil {
			return err
		}
		return run(s.URL(Superuser, "postgres"), "create role "+Plain+" login", "create role "+Guarded+" login password '"+Password+"'")
	})
}

// NewStandby starts a server that follows s and is read-only. It ends with the test.
func (s *Server) NewStandby(tb testing.TB) *Server {
	tb.Helper()
	standby, err := begin(loopback, nil, func(n *Server) error {
		if err := quietly(n.command("pg_basebackup", "--host", s.place.Address, "--port", s.port, "--username", Superuser, "--pgdata", n.data(), "--write-recovery-conf", "--checkpoint", "fast")); err != nil {
			return err
		}
		return n.run()
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(standby.release)
	return standby
}

func quietly(cmd *exec.Cmd) error {
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", filepath.Base(cmd.Path), err, out)
	}
	return nil
}

// begin makes a directory with a keeper and sets up a server in it.
func begin(place Place, leash *os.File, setUp func(s *Server) error) (*Server, error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	owner, err := unprivileged()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "greenroom-pg-")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, bin: bin, owner: owner, place: place}
	if err = s.prepare(leash); err == nil {
		err = setUp(s)
	}
	if err != nil {
		s.end(syscall.SIGKILL)
		s.release()
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	return s, nil
}

func (s *Server) prepare(leash *os.File) error {
	if s.owner != nil {
		if err := os.Chown(s.dir, int(s.owner.Uid), int(s.owner.Gid)); err != nil {
			return err
		}
	}
	var err error
	if s.port, err = freePort(); err != nil {
		return err
	}
	return s.startKeeper(leash)
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

func (s *Server) command(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, program), args...)
	cmd.Dir = s.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.owner, Setpgid: true}
	return cmd
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

// run starts the postmaster and waits until it answers.
func (s *Server) run() error {
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := s.command("postgres", "-D", s.data(), "-p", s.port, "-h", s.place.listens())
	cmd.Stdout, cmd.Stderr = log, log
	if err := s.place.begin(cmd.Start); err != nil {
		return err
	}
	s.postmaster = cmd
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		select {
		case err := <-ended:
			s.postmaster = nil
			return fmt.Errorf("it ended: %w\n%s", err, s.log())
		default:
		}
		err := run(s.URL(Superuser, "postgres"), "select 1")
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("it does not answer: %w\n%s", err, s.log())
		}
	}
}

func (s *Server) log() []byte {
	text, _ := os.ReadFile(filepath.Join(s.dir, "log"))
	return text[max(0, len(text)-4096):]
}

// Restart ends all connections, stops the server cleanly and starts it again.
func (s *Server) Restart(tb testing.TB) {
	tb.Helper()
	s.end(syscall.SIGINT)
	s.Run(tb)
}

// Stop kills the server and all that serve connections, as a power loss would.
func (s *Server) Stop() { s.end(syscall.SIGKILL) }

// Run starts a server that was stopped.
func (s *Server) Run(tb testing.TB) {
	tb.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.run(); err != nil {
		tb.Fatal(err)
	}
}

// Pause freezes the server: connections stay open and nobody answers.
func (s *Server) Pause() { s.signal(syscall.SIGSTOP) }

// Continue ends a pause.
func (s *Server) Continue() { s.signal(syscall.SIGCONT) }

// end sends a signal that ends the server, and waits until all of its processes are gone.
func (s *Server) end(sig syscall.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.postmaster == nil {
		return
	}
	if sig == syscall.SIGKILL {
		s.standStill()
	}
	pids := s.processes()
	if sig != syscall.SIGKILL {
		pids = pids[:1]
	}
	family := s.processes()
	for _, pid := range pids {
		_ = syscall.Kill(pid, sig)
	}
	for deadline := time.Now().Add(patience); slices.ContainsFunc(family, alive) && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	s.postmaster = nil
}

// standStill stops the postmaster, so that it forks no more: a child that nobody kills keeps the next server from starting.
func (s *Server) standStill() {
	pid := s.postmaster.Process.Pid
	_ = syscall.Kill(pid, syscall.SIGSTOP)
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if p, ok := procs.Find(pid); !ok || p.Ended() || p.State == 'T' {
			return
		}
	}
}

// alive is false for one that has ended and that nobody has asked about yet. Its program's name is gone before its memory is.
func alive(pid int) bool {
	p, ok := procs.Find(pid)
	return ok && !p.Ended()
}

func (s *Server) signal(sig syscall.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.postmaster == nil {
		return
	}
	for _, pid := range s.processes() {
		_ = syscall.Kill(pid, sig)
	}
}

// processes are the postmaster, first, and its children, each of which is a process group of its own.
func (s *Server) processes() []int {
	parent := s.postmaster.Process.Pid
	pids := []int{parent}
	entries, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range entries {
		text, _ := os.ReadFile(path)
		pid, rest, _ := strings.Cut(string(text), " ")
		_, rest, _ = strings.Cut(rest, ") ") // the name may hold anything but ends so
		if f := strings.Fields(rest); len(f) > 1 && f[1] == strconv.Itoa(parent) {
			n, _ := strconv.Atoi(pid)
			pids = append(pids, n)
		}
	}
	return pids
}
