// Package nettest gives tests a network that can be cut for real: a network namespace, which is another machine as far as a
// network can tell, and cables (veth pairs) between it and us. A cut cable swallows packets, and nobody is told.
//
// All addresses are link-local: a packet to one leaves by the cable that the address names or not at all, whatever became of the
// cable, and no other network's addresses are in the way. What a killed test left behind is removed by the next one.
package nettest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// Addresses of the two ends of every cable.
const (
	theirs = "fe80::1"
	ours   = "fe80::2"
)

// Machine is a network namespace. Processes that are started inside it see its network and nothing of ours.
type Machine struct {
	name   owner
	cables atomic.Int64
}

// NewMachine makes one, which is removed with the test. The error says what is missing here: it takes Linux with IPv6, the
// program ip, and root or the capabilities NET_ADMIN and SYS_ADMIN.
func NewMachine(tb testing.TB) (*Machine, error) {
	tb.Helper()
	sweep()
	m := &Machine{name: newOwner()}
	if err := ip("netns", "add", m.name.namespace()); err != nil {
		return nil, err
	}
	tb.Cleanup(m.name.remove)
	if err := m.ip("link", "set", "lo", "up"); err != nil {
		return nil, err
	}
	if err := m.Enter(func() error { return nil }); err != nil {
		return nil, err
	}
	return m, nil
}

// Enter calls f inside the machine. The processes that f starts live there.
func (m *Machine) Enter(f func() error) error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with this goroutine, so that no other gets into the machine
		result <- m.enter(f)
	}()
	return <-result
}

func (m *Machine) enter(f func() error) error {
	namespace, err := os.Open(filepath.Join(namespaces, m.name.namespace()))
	if err != nil {
		return err
	}
	defer namespace.Close()
	if err := unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter a network namespace: %w", err)
	}
	return f()
}

func (m *Machine) ip(args ...string) error {
	return ip(append([]string{"-n", m.name.namespace()}, args...)...)
}

// Cable leads from us to a machine.
type Cable struct {
	m           *Machine
	outer, plug string // the names of its two ends
}

// NewCable lays a cable that is whole.
func (m *Machine) NewCable() (*Cable, error) {
	n := m.cables.Add(1)
	c := &Cable{m: m, outer: m.name.cable(n), plug: fmt.Sprintf("c%d", n)}
	for _, step := range [][]string{
		{"link", "add", c.outer, "type", "veth", "peer", "name", c.plug, "netns", m.name.namespace()},
		{"link", "set", c.outer, "addrgenmode", "none"}, // no address beside ours
		{"-n", m.name.namespace(), "link", "set", c.plug, "addrgenmode", "none"},
		{"addr", "add", ours + "/64", "dev", c.outer, "nodad"}, // nobody else can have it: there is no need to wait and ask
		{"link", "set", c.outer, "up"},
	} {
		if err := ip(step...); err != nil {
			return nil, err
		}
	}
	return c, c.connect()
}

// Address is the machine's own at the end of this cable.
func (c *Cable) Address() string { return theirs + "%" + c.outer }

// connect plugs the cable in. An end that is down forgets its address.
func (c *Cable) connect() error {
	if err := c.m.ip("link", "set", c.plug, "up"); err != nil {
		return err
	}
	return c.m.ip("addr", "replace", theirs+"/64", "dev", c.plug, "nodad")
}

// Cut lets nothing through any more, in both directions, until Mend.
func (c *Cable) Cut(tb testing.TB) {
	tb.Helper()
	if err := c.m.ip("link", "set", c.plug, "down"); err != nil {
		tb.Fatal(err)
	}
}

// Mend makes the cable whole again.
func (c *Cable) Mend(tb testing.TB) {
	tb.Helper()
	if err := c.connect(); err != nil {
		tb.Fatal(err)
	}
}

// ip runs the program of that name.
func ip(args ...string) error {
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
