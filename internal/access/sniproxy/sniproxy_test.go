package sniproxy_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"

	"greenroom/internal/access/sniproxy"
)

const (
	zone    = "example.com" // the name that httptest's certificate is for is below it
	name    = "www.example.com"
	patient = 10 * time.Second // longer than anything takes that works
)

// desktop accepts connections as an agent does: the PROXY header first.
type desktop struct {
	net.Listener
	port int
}

func newDesktop(tb testing.TB) *desktop {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { l.Close() })
	return &desktop{Listener: &proxyproto.Listener{Listener: l, ReadHeaderTimeout: patient}, port: l.Addr().(*net.TCPAddr).Port}
}

// next returns the next connection after its PROXY header.
func (d *desktop) next(tb testing.TB) *proxyproto.Conn {
	tb.Helper()
	c, err := d.Accept()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { c.Close() })
	return c.(*proxyproto.Conn)
}

// start serves a gateway to port on a free one and returns its address. stop ends it and waits for it; the test's
// end does so too.
func start(tb testing.TB, o sniproxy.Options) (g *sniproxy.Proxy, address string, stop func()) {
	tb.Helper()
	if o.Lookup == nil {
		o.Lookup = func(n string) []netip.Addr {
			if n != name {
				return nil
			}
			return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}
		}
	}
	o.Zone = zone
	o.Logger = slog.New(slog.DiscardHandler)
	g = sniproxy.New(o)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(tb.Context())
	done := make(chan error, 1)
	go func() { done <- g.Serve(ctx, l) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				tb.Errorf("serve: %v", err)
			}
		case <-time.After(patient):
			tb.Error("it does not stop")
		}
	})
	tb.Cleanup(stop)
	return g, l.Addr().String(), stop
}

func dial(tb testing.TB, address string) *net.TCPConn {
	tb.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(patient))
	return c.(*net.TCPConn)
}

// hello returns the first message that a TLS client says for that server.
func hello(tb testing.TB, server string) []byte {
	tb.Helper()
	client, wire := net.Pipe()
	defer wire.Close()
	go func() {
		_ = tls.Client(client, &tls.Config{ServerName: server, InsecureSkipVerify: server == ""}).Handshake()
	}()
	record := make([]byte, 5)
	if _, err := io.ReadFull(wire, record); err != nil {
		tb.Fatal(err)
	}
	record = append(record, make([]byte, int(record[3])<<8|int(record[4]))...)
	if _, err := io.ReadFull(wire, record[5:]); err != nil {
		tb.Fatal(err)
	}
	return record
}

// joined says hello on a connection through the gateway and returns both ends, with the hello read.
func joined(t *testing.T, address string, d *desktop) (*net.TCPConn, *proxyproto.Conn) {
	t.Helper()
	client, said := dial(t, address), hello(t, name)
	if _, err := client.Write(said); err != nil {
		t.Fatal(err)
	}
	server := d.next(t)
	heard := make([]byte, len(said))
	if _, err := io.ReadFull(server, heard); err != nil || !bytes.Equal(heard, said) {
		t.Fatalf("the desktop did not hear what the client said: %v", err)
	}
	return client, server
}

// poll waits until ok.
func poll(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	for end := time.Now().Add(patient); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatalf("never: %s", what)
		}
	}
}

// wantClosed checks that nothing but the end comes, within the patience of a test.
func wantClosed(t *testing.T, c net.Conn) {
	t.Helper()
	n, err := c.Read(make([]byte, 1))
	if ne, ok := errors.AsType[net.Error](err); n > 0 || err == nil || ok && ne.Timeout() {
		t.Errorf("still open: read %d, %v", n, err)
	}
}

func TestPassesTLSThrough(t *testing.T) {
	t.Parallel()
	d := newDesktop(t)
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS() // for its certificate alone
	defer s.Close()
	l := tls.NewListener(d, s.TLS)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	_, address, _ := start(t, sniproxy.Options{Port: d.port})
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	for _, server := range []string{name, strings.ToUpper(name)} {
		c, err := tls.Dial("tcp", address, &tls.Config{RootCAs: roots, ServerName: server})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(patient))
		said := bytes.Repeat([]byte("greenroom"), 100_000)
		go func() {
			_, _ = c.Write(said)
			_ = c.CloseWrite()
		}()
		if heard, err := io.ReadAll(c); err != nil || !bytes.Equal(heard, said) {
			t.Errorf("%d bytes came back of %d: %v", len(heard), len(said), err)
		}
	}
}

func TestTellsTheDesktopWhoComes(t *testing.T) {
	t.Parallel()
	d := newDesktop(t)
	_, address, _ := start(t, sniproxy.Options{Port: d.port})
	from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 77)}}
	client, err := from.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Write(hello(t, name)); err != nil {
		t.Fatal(err)
	}
	h := d.next(t).ProxyHeader()
	if h == nil || h.Version != 2 || h.SourceAddr.String() != client.LocalAddr().String() || h.DestinationAddr.String() != address {
		t.Errorf("the desktop was told %+v, want version 2, %v to %s", h, client.LocalAddr(), address)
	}
}

func TestEachSideMayEndFirst(t *testing.T) {
	t.Parallel()
	d := newDesktop(t)
	g, address, _ := start(t, sniproxy.Options{Port: d.port})
	for who, swap := range map[string]bool{"client": false, "desktop": true} {
		client, server := joined(t, address, d)
		first, second := net.Conn(client), net.Conn(server)
		closeFirst, closeSecond := client.CloseWrite, server.Raw().(*net.TCPConn).CloseWrite
		if swap {
			first, second, closeFirst, closeSecond = second, first, closeSecond, closeFirst
		}
		if err := closeFirst(); err != nil {
			t.Fatal(err)
		}
		if _, err := second.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("the %s ended, and the other side got %v", who, err)
		}
		if _, err := second.Write([]byte("answer")); err != nil {
			t.Fatal(err)
		}
		if err := closeSecond(); err != nil {
			t.Fatal(err)
		}
		if answer, err := io.ReadAll(first); err != nil || string(answer) != "answer" {
			t.Errorf("the %s ended, and then got %q, %v", who, answer, err)
		}
	}
	poll(t, "no connection is open", func() bool { return g.Stats().Open == 0 })
}

func TestAResetCutsBoth(t *testing.T) {
	t.Parallel()
	d := newDesktop(t)
	_, address, _ := start(t, sniproxy.Options{Port: d.port})
	client, server := joined(t, address, d)
	_ = server.Raw().(*net.TCPConn).SetLinger(0)
	server.Close()
	wantClosed(t, client)
}

func TestRefusesNamesWithAnAlert(t *testing.T) {
	t.Parallel()
	g, address, _ := start(t, sniproxy.Options{})
	for i, server := range []string{"nobody.example.com", "example.com", "www.example.org", "wwwexample.com", ""} {
		_, err := tls.Dial("tcp", address, &tls.Config{ServerName: server, InsecureSkipVerify: true})
		if err == nil || !strings.Contains(err.Error(), "unrecognized name") {
			t.Errorf("%q: got %v, want the alert unrecognized_name", server, err)
		}
		poll(t, "it is counted", func() bool { return g.Stats().Refused["unknown_name"] == int64(i+1) })
	}
}

func TestClosesWhatIsNoTLS(t *testing.T) {
	t.Parallel()
	g, address, _ := start(t, sniproxy.Options{HelloTimeout: 200 * time.Millisecond})
	endless := append([]byte{22, 3, 1, 0x40, 0, 1, 0, 0xff, 0xff}, bytes.Repeat([]byte{1}, 1<<20)...)
	for what, says := range map[string][]byte{
		"HTTP":               []byte("GET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n"),
		"zeros":              make([]byte, 1000),
		"half a hello":       hello(t, name)[:100],
		"nothing":            nil,
		"an endless message": endless,
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			c := dial(t, address)
			_, _ = c.Write(says) // it may be closed before all is written
			wantClosed(t, c)
		})
	}
	t.Run("slowly", func(t *testing.T) {
		t.Parallel()
		c := dial(t, address)
		closed := make(chan struct{})
		go func() {
			defer close(closed)
			wantClosed(t, c)
		}()
		for _, b := range hello(t, name) { // a byte at a time is slower than the whole is allowed to be
			if _, err := c.Write([]byte{b}); err != nil {
				break
			}
			select {
			case <-closed:
			case <-time.After(10 * time.Millisecond):
			}
		}
		<-closed
	})
	t.Cleanup(func() {
		if s := g.Stats(); s.Refused["unreadable"] != 6 || s.Passed+s.Refused["unknown_name"] > 0 {
			t.Errorf("counted %+v, want 6 unreadable", s)
		}
	})
}

func TestUnreachableDesktopClosesTheConnection(t *testing.T) {
	t.Parallel()
	d := newDesktop(t)
	d.Close()
	g, address, _ := start(t, sniproxy.Options{Port: d.port})
	c := dial(t, address)
	if _, err := c.Write(hello(t, name)); err != nil {
		t.Fatal(err)
	}
	wantClosed(t, c)
	if g.Stats().Refused["desktop_unreachable"] != 1 {
		t.Errorf("counted %+v", g.Stats())
	}
}

// TestWhoMakesWay: connections that a desktop keeps are never closed for others; those that have not asked for a desktop, or that
// it has only just been given, make way for newer ones, the oldest first.
func TestWhoMakesWay(t *testing.T) {
	t.Parallel()
	for what, o := range map[string]sniproxy.Options{"PerClient": {MaxPerClient: 2}, "InAll": {MaxConns: 2}} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			d, o := newDesktop(t), o // the other subtest has its own
			o.Port, o.HelloTimeout = d.port, time.Minute
			_, address, _ := start(t, o)
			silent := dial(t, address)
			joined(t, address, d)
			newest, _ := joined(t, address, d)
			wantClosed(t, silent)
			joined(t, address, d) // a desktop that has them for a moment only cannot have judged them
			_, _ = newest.Write(nil)
		})
		t.Run(what+"Kept", func(t *testing.T) {
			t.Parallel()
			d, o := newDesktop(t), o
			o.Port, o.ProofTime = d.port, time.Millisecond
			g, address, _ := start(t, o)
			first, _ := joined(t, address, d)
			joined(t, address, d)
			poll(t, "the desktop has kept both", func() bool { return g.Stats().Proved == 2 })
			wantClosed(t, dial(t, address))
			poll(t, "one too many", func() bool { s := g.Stats(); return s.Refused["no_room"] == 1 && s.Open == 2 && s.Passed == 2 })
			_ = first.SetLinger(0)
			first.Close()
			poll(t, "there is room again", func() bool { return g.Stats().Open == 1 })
			joined(t, address, d)
		})
	}
}

// TestHalfHellosShutNobodyOut: more half-sent hellos than there is room for, from 20 addresses, renewed as they are closed.
func TestHalfHellosShutNobodyOut(t *testing.T) {
	t.Parallel()
	d := newDesktop(t)
	_, address, _ := start(t, sniproxy.Options{Port: d.port, MaxConns: 200, MaxPerClient: 50})
	half := hello(t, name)[:100]
	for i := range 400 {
		from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 9, 0, byte(1+i%20))}}
		c, err := from.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, _ = c.Write(half) // it may have made way already
		if i%20 == 0 {
			joined(t, address, d)
		}
	}
}

func TestStops(t *testing.T) {
	t.Parallel()
	t.Run("OpenConnectionsMayEnd", func(t *testing.T) {
		t.Parallel()
		d := newDesktop(t)
		_, address, stop := start(t, sniproxy.Options{Port: d.port, Drain: time.Minute})
		client, server := joined(t, address, d)
		stopped := make(chan struct{})
		go func() { stop(); close(stopped) }()
		poll(t, "nobody is let in any more", func() bool {
			c, err := net.Dial("tcp", address)
			if err == nil {
				c.Close()
			}
			return err != nil
		})
		if _, err := server.Write([]byte("still here")); err != nil {
			t.Fatal(err)
		}
		server.Close()
		if heard, err := io.ReadAll(client); err != nil || string(heard) != "still here" {
			t.Errorf("got %q, %v", heard, err)
		}
		client.Close()
		<-stopped
	})
	t.Run("TheRestIsCut", func(t *testing.T) {
		t.Parallel()
		d := newDesktop(t)
		_, address, stop := start(t, sniproxy.Options{Port: d.port, Drain: 50 * time.Millisecond})
		client, server := joined(t, address, d)
		silent := dial(t, address)
		stop()
		wantClosed(t, client)
		wantClosed(t, server)
		wantClosed(t, silent)
	})
	t.Run("AFailedListenerIsAnError", func(t *testing.T) {
		t.Parallel()
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		if err := sniproxy.New(sniproxy.Options{Logger: slog.New(slog.DiscardHandler)}).Serve(t.Context(), l); !errors.Is(err, net.ErrClosed) {
			t.Errorf("got %v", err)
		}
	})
}

// TestLeavesNoGoroutine is not parallel: it counts those of the package.
func TestLeavesNoGoroutine(t *testing.T) {
	before := gatewayGoroutines()
	d := newDesktop(t)
	_, address, stop := start(t, sniproxy.Options{Port: d.port, Drain: time.Millisecond})
	for range 20 {
		joined(t, address, d)
		dial(t, address)
	}
	stop()
	poll(t, "the goroutines of before", func() bool { return gatewayGoroutines() <= before })
}

// gatewayGoroutines counts the goroutines that run the package's code.
func gatewayGoroutines() int {
	buf := make([]byte, 1<<20)
	buf = buf[:runtime.Stack(buf, true)]
	n := 0
	for stack := range bytes.SplitSeq(buf, []byte("\n\n")) {
		if bytes.Contains(stack, []byte("internal/access/sniproxy.")) {
			n++
		}
	}
	return n
}

// way is how a benchmark reaches the desktop, and what has to be said first.
type way struct {
	name, address string
	first         []byte
}

// ways are the direct one, on which the client says what the gateway would, and the gateway's.
func ways(b *testing.B, d *desktop, address string, said []byte) []way {
	b.Helper()
	nobody := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}
	head, err := proxyproto.HeaderProxyFromAddrs(2, nobody, nobody).Format()
	if err != nil {
		b.Fatal(err)
	}
	return []way{{"direct", "127.0.0.1:" + strconv.Itoa(d.port), append(head, said...)}, {"gateway", address, said}}
}

// BenchmarkThroughput compares bytes through the gateway with a direct connection to the desktop.
func BenchmarkThroughput(b *testing.B) {
	const chunk = 1 << 20
	d := newDesktop(b)
	_, address, _ := start(b, sniproxy.Options{Port: d.port})
	said := hello(b, name)
	for _, c := range ways(b, d, address, said) {
		b.Run(c.name, func(b *testing.B) {
			client := dial(b, c.address)
			_ = client.SetDeadline(time.Time{})
			if _, err := client.Write(c.first); err != nil {
				b.Fatal(err)
			}
			server := d.next(b)
			_ = server.ProxyHeader() // read it, so that the rest can be read from the socket itself
			r := bufio.NewReader(server)
			if _, err := r.Discard(len(said)); err != nil {
				b.Fatal(err)
			}
			raw := server.Raw().(*net.TCPConn)
			out, in := bytes.Repeat([]byte{7}, chunk), make([]byte, chunk)
			b.SetBytes(chunk)
			for b.Loop() {
				go func() { _, _ = raw.Write(out) }()
				if _, err := io.ReadFull(client, in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkConnect compares the time to the first byte from the desktop.
func BenchmarkConnect(b *testing.B) {
	d := newDesktop(b)
	_, address, _ := start(b, sniproxy.Options{Port: d.port})
	go func() {
		for {
			c, err := d.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	said := hello(b, name)
	for _, c := range ways(b, d, address, said) {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				client, err := net.Dial("tcp", c.address)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := client.Write(c.first); err != nil {
					b.Fatal(err)
				}
				if _, err := client.Read(make([]byte, 1)); err != nil {
					b.Fatal(err)
				}
				_ = client.(*net.TCPConn).SetLinger(0) // no port waits for stragglers
				client.Close()
			}
		})
	}
}
