package netns_test

import (
	"errors"
	"io"
	"net"
	"net/netip"
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
	var inside net.Listener
	if err := s.Do(func() (err error) {
		inside, err = net.Listen("tcp", netip.AddrPortFrom(s.Inside, 0).String())
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer inside.Close()
	if _, err := net.Listen("tcp", inside.Addr().String()); err == nil {
		t.Error("the machine's address is one of ours")
	}
	conn, err := net.DialTimeout("tcp", inside.Addr().String(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	there, err := inside.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer there.Close()
	s.Cut(t, true)
	if _, err := there.Write([]byte("lost?")); err != nil {
		t.Errorf("the sender is told that the cable is pulled: %v", err)
	}
	got := make([]byte, 5)
	_ = conn.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	if n, err := conn.Read(got); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%q came through a pulled cable: %v", got[:n], err)
	}
	s.Cut(t, false)
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != "lost?" {
		t.Errorf("%q came through afterwards: %v", got, err)
	}
}
