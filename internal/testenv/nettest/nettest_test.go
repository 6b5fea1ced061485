package nettest_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"greenroom/internal/testenv/nettest"
)

// silence is how long nothing may be heard over a cut cable, and patience how long a mended one may take: TCP asks again at
// growing intervals.
const (
	silence  = time.Second
	patience = time.Minute
)

// machine makes one with a server that sends back what it gets, and lays cables to it.
func machine(t *testing.T, cables int) (targets []string, laid []*nettest.Cable) {
	t.Helper()
	m, err := nettest.NewMachine(t)
	if err != nil {
		t.Skipf("SKIPPED: no network can be cut here (%v). As root it can.", err)
	}
	var server net.Listener
	if err := m.Enter(func() (err error) {
		server, err = net.Listen("tcp", "[::]:0")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	go echo(server)
	_, port, _ := net.SplitHostPort(server.Addr().String())
	for range cables {
		c, err := m.NewCable()
		if err != nil {
			t.Fatal(err)
		}
		laid, targets = append(laid, c), append(targets, net.JoinHostPort(c.Address(), port))
	}
	return targets, laid
}

func echo(server net.Listener) {
	for {
		conn, err := server.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			buffer := make([]byte, 64)
			for {
				n, err := conn.Read(buffer)
				if err != nil {
					return
				}
				_, _ = conn.Write(buffer[:n])
			}
		}()
	}
}

func dial(t *testing.T, target string) net.Conn {
	t.Helper()
	conn, err := net.DialTimeout("tcp", target, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// hear waits for the echo of what was said.
func hear(conn net.Conn, within time.Duration) error {
	_ = conn.SetReadDeadline(time.Now().Add(within))
	_, err := conn.Read(make([]byte, 64))
	return err
}

func say(t *testing.T, conn net.Conn) {
	t.Helper()
	if _, err := conn.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
}

// TestCutCableSwallowsPackets wants silence, not an error, from a cut cable; nothing of that on the other cable; and the old
// connection to go on once it is mended.
func TestCutCableSwallowsPackets(t *testing.T) {
	t.Parallel()
	targets, cables := machine(t, 2)
	cut, whole := dial(t, targets[0]), dial(t, targets[1])
	cables[0].Cut(t)
	say(t, cut)
	say(t, whole)
	if err := hear(cut, silence); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("over the cut cable came %v", err)
	}
	if err := hear(whole, patience); err != nil {
		t.Errorf("over the whole cable came %v", err)
	}
	var timeout net.Error
	if _, err := net.DialTimeout("tcp", targets[0], silence); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("a call over the cut cable was answered with %v", err)
	}
	cables[0].Mend(t)
	if err := hear(cut, patience); err != nil {
		t.Errorf("over the mended cable came %v", err)
	}
	say(t, dial(t, targets[0]))
}

// TestAMachineHasANetworkOfItsOwn looks from inside for what only we have.
func TestAMachineHasANetworkOfItsOwn(t *testing.T) {
	t.Parallel()
	m, err := nettest.NewMachine(t)
	if err != nil {
		t.Skipf("SKIPPED: no network can be cut here (%v). As root it can.", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := m.Enter(func() error {
		_, err := net.DialTimeout("tcp", l.Addr().String(), silence)
		return err
	}); err == nil {
		t.Error("our loopback is reached from inside")
	}
}

// dies is the environment variable, and the exit code, of a test process that ends without cleaning up.
const (
	dies = "NETTEST_DIES"
	died = 7
)

// TestNothingIsLeft runs a test that is killed in the middle, and begins another after it.
func TestNothingIsLeft(t *testing.T) {
	t.Parallel()
	if os.Getenv(dies) != "" {
		machine(t, 1)
		os.Exit(died)
	}
	dying := exec.Command(os.Args[0], "-test.v", "-test.run", "^TestNothingIsLeft$")
	dying.Env = append(os.Environ(), dies+"=1")
	out, err := dying.CombinedOutput()
	if err == nil {
		t.Skipf("SKIPPED: no network can be cut here: %s", out)
	}
	if dying.ProcessState.ExitCode() != died {
		t.Fatalf("%v: %s", err, out)
	}
	pid := dying.Process.Pid
	machine(t, 0)
	for _, pattern := range []string{"/run/netns/greenroom-test-%d-*", "/sys/class/net/gr%d-*"} {
		left, err := filepath.Glob(fmt.Sprintf(pattern, pid))
		if err != nil || len(left) > 0 {
			t.Errorf("left of a test that was killed: %v, %v", left, err)
		}
	}
}
