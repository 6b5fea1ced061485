package access_test

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"

	"greenroom/internal/access"
	"greenroom/internal/testenv/ipv6"
)

func TestDialTakesTheFirstThatAccepts(t *testing.T) {
	t.Parallel()
	ipv6.Loopback(t)
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	conn, err := access.Dial(ctx, []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()}, port)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got := conn.RemoteAddr().(*net.TCPAddr).IP; !got.Equal(net.IPv6loopback) {
		t.Errorf("connected to %s", got)
	}
	if _, err := access.Dial(ctx, []netip.Addr{netip.MustParseAddr("127.0.0.1")}, port); err == nil {
		t.Error("nobody listens there")
	}
	if _, err := access.Dial(ctx, nil, port); err == nil {
		t.Error("there is no address")
	}
}

// TestHeaderOfEachFamily: PROXY headers carry addresses of either family, and of both at once.
func TestHeaderOfEachFamily(t *testing.T) {
	t.Parallel()
	four, six := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1).To4(), Port: 5000}, &net.TCPAddr{IP: net.ParseIP("2001:db8::1"), Port: 5001}
	for _, pair := range [][2]*net.TCPAddr{{four, four}, {six, six}, {six, four}, {four, six}} {
		raw, err := access.Header(pair[0], pair[1])
		if err != nil {
			t.Errorf("%v: %v", pair, err)
			continue
		}
		a, b := net.Pipe()
		go func() { _, _ = a.Write(append(raw, 'x')) }()
		conn := proxyproto.NewConn(b)
		if got := conn.RemoteAddr().(*net.TCPAddr); !got.IP.Equal(pair[0].IP) || got.Port != pair[0].Port {
			t.Errorf("%v: the client is %v", pair, got)
		}
		a.Close()
		b.Close()
	}
}
