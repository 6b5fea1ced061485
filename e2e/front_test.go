package e2e

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// front is the one address before several others: it passes connections on to whichever takes them, in turn. It
// can be cut, as a network is: nothing passes any more, and nobody is told.
type front struct {
	net.Listener
	next atomic.Uint64

	mu    sync.Mutex
	whole chan struct{} // closed while the network is whole
}

// frontTimeout is how long a backend may take to accept before the next is asked.
const frontTimeout = 2 * time.Second

func newFront(t testing.TB, backends ...string) *front {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &front{Listener: l, whole: make(chan struct{})}
	close(f.whole)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go f.pass(conn, backends)
		}
	}()
	return f
}

func (f *front) address() string { return f.Addr().String() }

func (f *front) pass(conn net.Conn, backends []string) {
	defer conn.Close()
	for range backends {
		n := int(f.next.Add(1) % uint64(len(backends)))
		back, err := net.DialTimeout("tcp", backends[n], frontTimeout)
		if err != nil {
			continue
		}
		defer back.Close()
		go f.copy(back, conn)
		f.copy(conn, back)
		return
	}
}

// copy passes bytes on while the network is whole, and ends both directions when one has ended.
func (f *front) copy(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		f.mu.Lock()
		whole := f.whole
		f.mu.Unlock()
		<-whole
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// cut holds all bytes up until mend is called.
func (f *front) cut() (mend func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	whole := make(chan struct{})
	f.whole = whole
	return sync.OnceFunc(func() { close(whole) })
}

var _ io.Closer = (*front)(nil)
