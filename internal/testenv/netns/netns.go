// Package netns gives tests a machine's network of its own: a network namespace with cables to that of the test, which can be
// pulled. What is sent then vanishes, and nobody is told. It takes root on Linux, or the capabilities
// CAP_NET_ADMIN and CAP_SYS_ADMIN, and the program ip. The kernel takes everything away when the test's process ends, however
// that happens.
package netns

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Space is the namespace of one machine.
type Space struct {
	ip      string // the program
	machine *os.File
	cables  int
}

// New makes a namespace for the length of a test, without any cable. An error means that it cannot be had here.
func New(t testing.TB) (*Space, error) {
	t.Helper()
	path, err := program()
	if err != nil {
		return nil, err
	}
	s := &Space{ip: path}
	if s.machine, err = unshare(); err != nil {
		return nil, err
	}
	t.Cleanup(func() { s.machine.Close() })
	return s, within(s.machine, func() error { return s.call("link", "set", "lo", "up") })
}

// Cable leads from the test to a machine. Between the two stands a switch, in a namespace of its own: a cable that is pulled
// there is not seen on the machine, whose own end stays as it was.
type Cable struct {
	Outside netip.Addr // the test's end
	Inside  netip.Addr // the machine's

	space   *Space
	between *os.File
}

// tries bounds how often a pair of addresses is drawn that somebody else has.
const tries = 16

// Lay lays another cable to the machine, for the length of the test.
func (s *Space) Lay(t testing.TB) (*Cable, error) {
	t.Helper()
	c := &Cable{space: s}
	var err error
	if c.between, err = unshare(); err != nil {
		return nil, err
	}
	t.Cleanup(func() { c.between.Close() })
	if err := c.draw(); err != nil {
		return nil, err
	}
	outer, plug := fmt.Sprintf("gr%08x", rand.Uint32()), fmt.Sprintf("eth%d", s.cables)
	s.cables++
	if err := s.call("link", "add", outer, "type", "veth", "peer", "name", "out", "netns", name(c.between)); err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = s.call("link", "del", outer) }) // a namespace may have taken it along
	// Without its cable nothing for the machine may leave by another way.
	nowhere := []string{"blackhole", netip.PrefixFrom(c.Inside, 30).Masked().String(), "metric", "4096"} // the cable's own way is preferred
	t.Cleanup(func() { _ = s.call(append([]string{"route", "del"}, nowhere...)...) })
	return c, errors.Join(
		s.call(append([]string{"route", "add"}, nowhere...)...),
		s.call("address", "add", c.Outside.String()+"/30", "dev", outer),
		s.call("link", "set", outer, "up"),
		within(c.between, func() error { return c.connect(plug) }),
		within(s.machine, func() error { return c.plugIn(plug) }),
	)
}

// connect makes the switch between the end to the test and the one to the machine.
func (c *Cable) connect(plug string) error {
	s := c.space
	return errors.Join(
		s.call("link", "add", "switch", "type", "bridge"),
		s.call("link", "add", "in", "type", "veth", "peer", "name", plug, "netns", name(s.machine)),
		s.call("link", "set", "in", "master", "switch", "up"),
		s.call("link", "set", "out", "master", "switch", "up"),
		s.call("link", "set", "switch", "up"),
	)
}

// plugIn gives the machine its address on the cable.
func (c *Cable) plugIn(plug string) error {
	return errors.Join(
		c.space.call("address", "add", c.Inside.String()+"/30", "dev", plug),
		c.space.call("link", "set", plug, "up"),
	)
}

// unshare makes a namespace and keeps it by an open file.
func unshare() (file *os.File, err error) {
	err = onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("make a network namespace: %w", err)
		}
		var err error
		file, err = os.Open("/proc/thread-self/ns/net")
		return err
	})
	return file, err
}

// name is what ip knows a namespace by: the file that keeps it, for it has no name of its own that could outlive us.
func name(space *os.File) string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), space.Fd()) }

// draw chooses addresses that nobody on this machine has, of those that are set aside for tests of networks.
func (c *Cable) draw() error {
	taken, err := net.InterfaceAddrs()
	if err != nil {
		return err
	}
	for range tries {
		block := rand.Uint32N(1<<15) * 4
		at := func(n uint32) netip.Addr {
			return netip.AddrFrom4([4]byte{198, 18 + byte(block>>16), byte(block >> 8), byte(block) + byte(n)})
		}
		c.Outside, c.Inside = at(1), at(2)
		free := true
		for _, a := range taken {
			if n, ok := a.(*net.IPNet); ok && n.Contains(c.Outside.AsSlice()) {
				free = false
			}
		}
		if free {
			return nil
		}
	}
	return errors.New("no free addresses of 198.18.0.0/15 were found")
}

// program is ip, which may be where only root looks.
func program() (string, error) {
	for _, name := range []string{"ip", "/usr/sbin/ip"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("the program ip is not installed: scripts/setup.sh test installs it")
}

func (s *Space) call(args ...string) error {
	if out, err := exec.Command(s.ip, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

// Do runs f in the namespace. Sockets that f makes, and programs that it starts, stay there; so does nothing else.
func (s *Space) Do(f func() error) error { return within(s.machine, f) }

func within(space *os.File, f func() error) error {
	return onThread(func() error {
		if err := unix.Setns(int(space.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter the network namespace: %w", err)
		}
		return f()
	})
}

// onThread runs f on a thread that ends with it, so that nothing else is ever run where f went.
func onThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked
		done <- f()
	}()
	return <-done
}

// Cut pulls the cable, or puts it back in.
func (c *Cable) Cut(t testing.TB, cut bool) {
	t.Helper()
	state := "up"
	if cut {
		state = "down"
	}
	if err := within(c.between, func() error { return c.space.call("link", "set", "out", state) }); err != nil {
		t.Fatal(err)
	}
}
