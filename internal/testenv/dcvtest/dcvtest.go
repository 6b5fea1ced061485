// Package dcvtest is a stand-in for Amazon DCV on Linux, for tests: a server with a console session, and the command lines
// that an agent uses. It behaves as the documentation says: configuration read at its start, certificates taken up while it
// runs, a session that comes some time after the server, external authentication over TLS with a CA file, a permissions file.
package dcvtest

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"greenroom/internal/dcv"
)

// Version is how one release differs from others.
type Version struct {
	ReloadsCertificates bool // since 2022.0
	Terse               bool // fewer fields, in capitals, with underscores
	Chatty              bool // fields that nobody knows, numbers as texts
	Licence             string
}

// Server is the stand-in. Its fields may be changed under its lock.
type Server struct {
	sync.Mutex
	Version
	SessionAfter time.Duration // a start, until there is a session
	Silent       bool          // the command line hangs
	Garbled      bool          // it prints nonsense
	Restarts     int
	PoweredOff   chan struct{} // closed when the machine was told to go
	Told         []string      // notices shown on the screen
	Dir          string        // with dcv.conf, dcv.pem, dcv.key
	Bin          string        // with dcv, systemctl, notify-send: to be first in PATH

	t        testing.TB
	network  Network
	listener net.Listener
	started  time.Time
	conf     map[string]string // as at the start
	cert     *tls.Certificate  // as at the start
	next     int
	clients  map[int]*Client
	power    sync.Once
}

// socketVariable tells the command lines where the server is.
const socketVariable = "DCVTEST_SOCKET"

// Main is the command lines: a test binary whose TestMain calls it, and is started by one of their names, is one of them.
// It reports whether it was.
func Main() (code int, ok bool) {
	socket := os.Getenv(socketVariable)
	if socket == "" || len(os.Args) < 2 {
		return 0, false
	}
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}}
	body, _ := json.Marshal(os.Args[1:])
	resp, err := client.Post("http://dcvtest/", "application/json", strings.NewReader(string(body)))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1, true
	}
	defer resp.Body.Close()
	var a reply
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1, true
	}
	fmt.Fprint(os.Stdout, a.Out)
	fmt.Fprint(os.Stderr, a.Err)
	return a.Code, true
}

type reply struct {
	Out, Err string
	Code     int
}

// Network is that of the machine: how it listens and reaches others.
type Network struct {
	Listen func() (net.Listener, error)
	Dial   func(ctx context.Context, network, address string) (net.Conn, error)
}

// Loopback is the network of this machine alone.
func Loopback() Network {
	return Network{
		Listen: func() (net.Listener, error) { return Listen("127.0.0.1:0") },
		Dial:   (&net.Dialer{}).DialContext,
	}
}

// Listen listens as DCV does: clients that have silently gone are noticed soon.
func Listen(address string) (net.Listener, error) {
	l := net.ListenConfig{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: time.Second, Interval: time.Second, Count: 2},
		Control: func(_, _ string, c syscall.RawConn) error { // what a client has not acknowledged holds the others up
			var bad error
			err := c.Control(func(fd uintptr) { bad = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 3000) })
			return errors.Join(err, bad)
		},
	}
	return l.Listen(context.Background(), "tcp", address)
}

// Start starts the server with the machine, as systemd does; it ends with the test.
func Start(t testing.TB, v Version) *Server {
	t.Helper()
	return StartOn(t, v, Loopback())
}

// StartOn is Start on a machine with a network of its own.
func StartOn(t testing.TB, v Version, network Network) *Server {
	t.Helper()
	root, err := os.MkdirTemp("", "dcvtest") //nolint:usetesting // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Version: v, t: t, network: network, Dir: filepath.Join(root, "etc"), Bin: filepath.Join(root, "bin"), PoweredOff: make(chan struct{}), clients: map[int]*Client{}}
	socket := filepath.Join(root, "s")
	if err := errors.Join(os.Mkdir(s.Dir, 0o755), os.Mkdir(s.Bin, 0o755)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"dcv", "systemctl", "notify-send"} {
		script := fmt.Sprintf("#!/bin/sh\nexport %s=%s\nexec %s %s \"$@\"\n", socketVariable, socket, os.Args[0], name)
		if err := os.WriteFile(filepath.Join(s.Bin, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	lines, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(s.serveCommand)}
	go server.Serve(lines)
	plain, err := network.Listen()
	if err != nil {
		t.Fatal(err)
	}
	s.listener = tls.NewListener(plain, &tls.Config{GetCertificate: s.certificate})
	go s.accept()
	s.Lock()
	s.restart()
	s.Unlock()
	t.Cleanup(func() {
		server.Close()
		s.listener.Close()
		os.RemoveAll(root)
	})
	return s
}

// Address is where it serves.
func (s *Server) Address() string { return s.listener.Addr().String() }

// restart reads what is read at a start. Everybody is thrown out. The caller holds the lock.
func (s *Server) restart() {
	for _, c := range s.clients {
		c.conn.Close()
	}
	s.started, s.clients = time.Now(), map[int]*Client{}
	s.conf = readConf(filepath.Join(s.Dir, "dcv.conf"))
	pem, key := filepath.Join(s.Dir, "dcv.pem"), filepath.Join(s.Dir, "dcv.key")
	if _, err := os.Stat(pem); err != nil {
		selfSigned(s.t, pem, key)
	}
	cert, err := tls.LoadX509KeyPair(pem, key)
	if err != nil {
		s.t.Logf("dcvtest: %v", err)
		return
	}
	s.cert = &cert
}

// certificate is the pair on the disk, or in versions of long ago that of the start. A pair that does not fit leaves the old one.
func (s *Server) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	s.Lock()
	defer s.Unlock()
	if s.ReloadsCertificates {
		if cert, err := tls.LoadX509KeyPair(filepath.Join(s.Dir, "dcv.pem"), filepath.Join(s.Dir, "dcv.key")); err == nil {
			s.cert = &cert
		}
	}
	return s.cert, nil
}

// session reports whether there is one. The caller holds the lock.
func (s *Server) session() bool {
	return s.conf["session-management.create-session"] == "true" && time.Since(s.started) >= s.SessionAfter
}

func (s *Server) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		go s.serve(conn)
	}
}

// serve lets a client in, if the verifier says so and the permissions allow it: the line "token\n" is answered "yes user\n" or "no why\n".
func (s *Server) serve(conn net.Conn) {
	defer conn.Close()
	token, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return
	}
	user, err := s.verify(strings.TrimSpace(token), conn)
	if err != nil {
		fmt.Fprintf(conn, "no %v\n", err)
		return
	}
	s.Lock()
	s.next++
	id := s.next
	s.clients[id] = &Client{conn: conn, user: user, since: time.Now()}
	s.Unlock()
	fmt.Fprintf(conn, "yes %s\n", user)
	_, _ = conn.Read(make([]byte, 1)) // until it goes
	s.Lock()
	delete(s.clients, id)
	s.Unlock()
}

// verify asks the verifier as DCV does: it trusts the CA file alone, if there is one.
func (s *Server) verify(token string, conn net.Conn) (string, error) {
	s.Lock()
	conf := s.conf
	ok := s.session()
	s.Unlock()
	if !ok {
		return "", errors.New("unknown session")
	}
	config := &tls.Config{}
	if ca := conf["security.ca-file"]; ca != "" {
		text, err := os.ReadFile(ca)
		if err != nil {
			return "", err
		}
		config.RootCAs = x509.NewCertPool()
		config.RootCAs.AppendCertsFromPEM(text)
	}
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DialContext: s.network.Dial, TLSClientConfig: config, DisableKeepAlives: true}}
	host, _, _ := net.SplitHostPort(conn.RemoteAddr().String())
	user, ok, why, err := dcv.Verify(context.Background(), client, conf["security.auth-token-verifier"], "console", token, host)
	switch {
	case err != nil:
		return "", err
	case !ok:
		return "", errors.New(why)
	case user != conf[console+".owner"] && !permitted(conf[console+".permissions-file"], user):
		return "", errors.New("not allowed to enter the session")
	}
	return user, nil
}

const console = "session-management/automatic-console-session"

// permitted looks the user up in a permissions file.
func permitted(file, user string) bool {
	text, err := os.ReadFile(file)
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 2 && f[0] == user && f[1] == "allow" {
			return true
		}
	}
	return false
}

// Client is a participant who is in.
type Client struct {
	conn  net.Conn
	user  string
	since time.Time
}

// Enter connects as a browser does, trusting roots for the desktop's name, and returns the user that the session knows it as.
func (s *Server) Enter(roots *x509.CertPool, hostname, token string) (net.Conn, string, error) {
	conn, err := tls.Dial("tcp", s.Address(), &tls.Config{RootCAs: roots, ServerName: hostname})
	if err != nil {
		return nil, "", err
	}
	fmt.Fprintln(conn, token)
	line, err := bufio.NewReader(conn).ReadString('\n')
	user, ok := strings.CutPrefix(strings.TrimSpace(line), "yes ")
	if err != nil || !ok {
		conn.Close()
		return nil, "", fmt.Errorf("not let in: %s %w", line, err)
	}
	return conn, user, nil
}
