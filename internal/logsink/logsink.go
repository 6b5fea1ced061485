// Package logsink keeps a program going whatever becomes of those who read its log. A reader that went away, or that no longer
// reads, costs lines and nothing else.
package logsink

import (
	"bytes"
	"fmt"
	"io"
	"sync"
	"time"

	"greenroom/internal/logkey"
)

// Bounds of what waits for a slow reader, and of how long the end waits for it.
const (
	maxWaiting = 1 << 20 // bytes
	closeTime  = time.Second
)

// Sink is a writer of lines that never fails and never waits. Lines are written in order by a goroutine of its own.
type Sink struct {
	mu      sync.Mutex
	out     io.Writer
	waiting bytes.Buffer
	lost    uint64 // lines since the last one that was written
	total   uint64
	closed  bool
	more    chan struct{} // holds a token when something waits, closed at the end
	done    chan struct{}
}

// New returns a sink before out. Close it to write what waits.
func New(out io.Writer) *Sink {
	s := &Sink{out: out, more: make(chan struct{}, 1), done: make(chan struct{})}
	go s.run()
	return s
}

// Write takes one line, or drops it if too much waits already. It returns no error.
func (s *Sink) Write(line []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.waiting.Len()+len(line) > maxWaiting {
		s.lose(1)
		return len(line), nil
	}
	s.waiting.Write(line)
	s.wake()
	return len(line), nil
}

// Lost counts the lines that were dropped or could not be written since the start.
func (s *Sink) Lost() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total
}

func (s *Sink) lose(lines uint64) { s.lost, s.total = s.lost+lines, s.total+lines }

func (s *Sink) wake() {
	select {
	case s.more <- struct{}{}:
	default:
	}
}

func (s *Sink) run() {
	defer close(s.done)
	for range s.more {
		for s.flush() {
		}
	}
	s.flush()
}

// flush writes what waits, and reports whether there was anything.
func (s *Sink) flush() bool {
	s.mu.Lock()
	lines, lost := bytes.Clone(s.waiting.Bytes()), s.lost
	s.waiting.Reset()
	s.lost = 0
	s.mu.Unlock()
	if len(lines) == 0 {
		return false
	}
	count := uint64(bytes.Count(lines, []byte("\n")))
	if lost > 0 {
		lines = fmt.Appendf(lines, "time=%s level=WARN msg=\"lines of the log were lost: its reader did not take them\" %s=%d\n",
			time.Now().Format(time.RFC3339Nano), logkey.Lost, lost)
	}
	if _, err := s.out.Write(lines); err != nil {
		s.mu.Lock()
		s.lost += lost
		s.lose(count)
		s.mu.Unlock()
	}
	return true
}

// Close writes what waits, for a second at most. Lines that come later are lost.
func (s *Sink) Close() {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.closed = true
	close(s.more)
	s.mu.Unlock()
	late := time.NewTimer(closeTime)
	defer late.Stop()
	select {
	case <-s.done:
	case <-late.C:
	}
}
