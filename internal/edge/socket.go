package edge

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// socket is the desktop's end of an upgraded connection. Both directions are copied through a small buffer as long as
// little comes, and through a large one, borrowed for the time, when more does: a thousand silent screens hold no
// large buffers. A side that does not read stops the other.
type socket struct {
	io.ReadWriteCloser

	mu     sync.Mutex
	user   net.Conn // the participant's end, once it is copied from
	closed bool
}

const (
	smallBuffer = 2 << 10
	lastWords   = 10 * time.Second // that a participant has to end a connection that the desktop has ended
	fullRecord  = 16 << 10         // of TLS: what is as large is part of something larger
)

var large buffers

// WriteTo copies from the desktop to its end.
func (s *socket) WriteTo(w io.Writer) (int64, error) {
	n, err := relay(w, s.ReadWriteCloser)
	if user, ok := w.(net.Conn); ok {
		_ = user.SetReadDeadline(time.Now().Add(lastWords)) // the connection is broken then
	}
	return n, err
}

// ReadFrom copies to the desktop until r, the participant's connection, ends.
func (s *socket) ReadFrom(r io.Reader) (int64, error) {
	if user, ok := r.(net.Conn); ok && !s.meet(user) {
		return 0, net.ErrClosed
	}
	return relay(s.ReadWriteCloser, r)
}

func (s *socket) meet(user net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.user = user
	return !s.closed
}

// Close ends both sides: the proxy closes the desktop's when the request is cut, and would wait for the other.
func (s *socket) Close() error {
	s.mu.Lock()
	s.closed = true
	user := s.user
	s.mu.Unlock()
	if user != nil {
		user.Close()
	}
	return s.ReadWriteCloser.Close()
}

// CloseWrite says to the desktop that no more will come.
func (s *socket) CloseWrite() error {
	if half, ok := s.ReadWriteCloser.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return http.ErrNotSupported
}

func relay(to io.Writer, from io.Reader) (total int64, err error) {
	small := make([]byte, smallBuffer)
	for {
		n, err := pass(to, from, small)
		total += int64(n)
		if err == nil && n == len(small) {
			var more int64
			more, err = burst(to, from, n)
			total += more
		}
		if errors.Is(err, io.EOF) {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

// burst passes on through a large buffer until a record ends short; before of the first one are passed already.
func burst(to io.Writer, from io.Reader, before int) (total int64, err error) {
	buffer := large.Get()
	defer large.Put(buffer)
	for {
		n, err := pass(to, from, buffer)
		total += int64(n)
		if err != nil || before+n < fullRecord {
			return total, err
		}
		before = 0
	}
}

// pass reads once and writes what it got. io.EOF is the reader's alone.
func pass(to io.Writer, from io.Reader, buffer []byte) (int, error) {
	n, readErr := from.Read(buffer)
	if n == 0 {
		return 0, readErr
	}
	written, err := to.Write(buffer[:n])
	if err != nil {
		return written, fmt.Errorf("pass on: %w", err)
	}
	return written, readErr
}
