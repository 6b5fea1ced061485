package backend

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	smallBuffer = 1280             // a little more than the first records that crypto/tls sends
	fullRecord  = 16 << 10         // of TLS: what is as large is part of something larger
	lastWords   = 10 * time.Second // that a participant has to end a connection that the desktop has ended
)

// session is a WebSocket under way. It outlives its request, so that of a silent one nothing is left but two connections,
// two small buffers, and two goroutines with short stacks.
type session struct {
	client  net.Conn
	desktop io.ReadWriteCloser
	early   []byte // what the client said before it was answered
	left    atomic.Int32
	stop    func() bool
	over    func()
}

// Relay lets client and desktop speak until both have ended, one fails, or base ends; then it calls over. It returns at once.
// early is what the client has said already.
func Relay(base context.Context, client net.Conn, desktop io.ReadWriteCloser, early []byte, over func()) {
	s := &session{client: client, desktop: desktop, early: early, over: over}
	s.left.Store(2)
	s.stop = context.AfterFunc(base, s.close)
	go s.down()
	go s.up()
}

// down copies from the desktop to the client.
func (s *session) down() {
	defer s.ended()
	if relay(s.client, s.desktop) != nil || closeWrite(s.client) != nil || s.client.SetReadDeadline(time.Now().Add(lastWords)) != nil {
		s.close()
	}
}

// up copies from the client to the desktop.
func (s *session) up() {
	defer s.ended()
	_, err := s.desktop.Write(s.early)
	s.early = nil
	if err != nil || relay(s.desktop, s.client) != nil || closeWrite(s.desktop) != nil {
		s.close()
	}
}

// closeWrite says on a connection, or on what it wraps, that no more will come.
func closeWrite(c any) error {
	for {
		switch conn := c.(type) {
		case interface{ CloseWrite() error }:
			return conn.CloseWrite()
		case interface{ NetConn() net.Conn }:
			c = conn.NetConn()
		case interface{ Raw() net.Conn }: // below a PROXY header
			c = conn.Raw()
		default:
			return http.ErrNotSupported
		}
	}
}

func (s *session) close() {
	s.client.Close()
	s.desktop.Close()
}

func (s *session) ended() {
	if s.left.Add(-1) == 0 {
		s.stop()
		s.close()
		s.over()
	}
}

// relay copies until from ends: through a small buffer as long as little comes, and through a large one, borrowed for
// the time, when more does. A side that does not read stops the other.
func relay(to io.Writer, from io.Reader) error {
	small := make([]byte, smallBuffer)
	for {
		n, err := pass(to, from, small)
		if err == nil && n == len(small) {
			err = burst(to, from, n)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

var large Buffers

// burst passes on through a large buffer until a record ends short; before of the first one are passed already.
func burst(to io.Writer, from io.Reader, before int) error {
	buffer := large.Get()
	defer large.Put(buffer)
	for {
		n, err := pass(to, from, buffer)
		if err != nil || before+n < fullRecord {
			return err
		}
		before = 0
	}
}

var errNotTaken = errors.New("the other side takes no more")

// pass reads once and writes what it got. io.EOF is the reader's alone.
func pass(to io.Writer, from io.Reader, buffer []byte) (int, error) {
	n, err := from.Read(buffer)
	if n > 0 {
		if _, failed := to.Write(buffer[:n]); failed != nil {
			return n, errNotTaken
		}
	}
	return n, err
}

// records reads a TLS connection's records one by one. Reading ahead is no faster for large ones, and crypto/tls would keep a
// buffer of more than twice a record for each connection, as long as it is open.
type records struct {
	net.Conn
	head [5]byte
	got  int // bytes of the head
	left int // bytes of the record's body that are to come
}

func (r *records) Read(p []byte) (int, error) {
	if r.left > 0 {
		n, err := r.Conn.Read(p[:min(len(p), r.left)])
		r.left -= n
		return n, err
	}
	n, err := r.Conn.Read(p[:min(len(p), len(r.head)-r.got)])
	r.got += copy(r.head[r.got:], p[:n])
	if r.got == len(r.head) {
		r.got, r.left = 0, int(r.head[3])<<8|int(r.head[4])
	}
	return n, err
}

// Buffers are what bodies are copied through.
type Buffers struct{ pool sync.Pool }

const bufferSize = 32 << 10

// Get returns a buffer.
func (b *Buffers) Get() []byte {
	if p, ok := b.pool.Get().(*[bufferSize]byte); ok {
		return p[:]
	}
	return new([bufferSize]byte)[:]
}

// Put takes back what Get returned.
func (b *Buffers) Put(p []byte) { b.pool.Put((*[bufferSize]byte)(p)) }
