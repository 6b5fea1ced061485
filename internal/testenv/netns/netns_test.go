package netns_test

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"greenroom/internal/testenv/netns"
)

// TestSpace passes bytes into a namespace, loses them while the cable is pulled, and gets them through afterwards.
func TestSpace(t *testing.T) {
	t.Parallel()
	s, err := netns.New(t)
	if err != nil {
		t.Skipf("no network namespace can be had here: %v", err)
	}
	cables := make([]*netns.Cable, 2)
	for i := range cables {
		if cables[i], err = s.Lay(t); err != nil {
			t.Fatal(err)
		}
	}
	cut, whole := cables[0], cables[1]
	var inside net.Listener
	if err := s.Do(func() (err error) {
		inside, err = net.Listen("tcp", ":0")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer inside.Close()
	_, port, _ := net.SplitHostPort(inside.Addr().String())
	by := func(c *netns.Cable) string { return net.JoinHostPort(c.Inside.String(), port) }
	if _, err := net.Listen("tcp", by(cut)); err == nil {
		t.Error("the machine's address is one of ours")
	}
	conn, err := net.DialTimeout("tcp", by(cut), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	there, err := inside.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer there.Close()
	cut.Cut(t, true)
	if _, err := there.Write([]byte("lost?")); err != nil {
		t.Errorf("the sender is told that the cable is pulled: %v", err)
	}
	got := make([]byte, 5)
	_ = conn.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	if n, err := conn.Read(got); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%q came through a pulled cable: %v", got[:n], err)
	}
	if other, err := net.DialTimeout("tcp", by(whole), time.Minute); err != nil {
		t.Errorf("the other cable was pulled, too: %v", err)
	} else {
		other.Close()
	}
	cut.Cut(t, false)
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != "lost?" {
		t.Errorf("%q came through afterwards: %v", got, err)
	}
}
