package logsink_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"greenroom/internal/logsink"
)

// reader takes lines as the test wants: it may stop, and go away.
type reader struct {
	mu   sync.Mutex // held: it does not read
	gone bool
	got  bytes.Buffer
}

func (r *reader) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone {
		return 0, errors.New("broken pipe")
	}
	return r.got.Write(p)
}

func TestLinesArriveInOrder(t *testing.T) {
	t.Parallel()
	var r reader
	s := logsink.New(&r)
	var want strings.Builder
	for i := range 1000 {
		fmt.Fprintf(s, "line %d\n", i)
		fmt.Fprintf(&want, "line %d\n", i)
	}
	s.Close()
	s.Close()
	if r.got.String() != want.String() || s.Lost() != 0 {
		t.Errorf("%d bytes of %d, %d lost", r.got.Len(), want.Len(), s.Lost())
	}
}

// TestAReaderThatStops costs lines, and the log says how many when it goes on.
func TestAReaderThatStops(t *testing.T) {
	t.Parallel()
	var r reader
	s := logsink.New(&r)
	r.mu.Lock()
	line := []byte(strings.Repeat("x", 999) + "\n")
	const sent = 4000 // 4 MB, more than waits
	for range sent {
		if n, err := s.Write(line); n != len(line) || err != nil {
			t.Fatal(n, err)
		}
	}
	lost := s.Lost()
	if lost == 0 {
		t.Error("everything waits")
	}
	r.mu.Unlock()
	s.Close()
	text := r.got.String()
	if arrived := uint64(strings.Count(text, "x\n")); arrived+lost != sent {
		t.Errorf("%d arrived and %d were lost of %d", arrived, lost, sent)
	}
	if !strings.Contains(text, fmt.Sprintf("lost=%d\n", lost)) {
		t.Errorf("the log does not say that %d lines were lost", lost)
	}
}

func TestAReaderThatWentAway(t *testing.T) {
	t.Parallel()
	r := reader{gone: true}
	s := logsink.New(&r)
	if _, err := s.Write([]byte("nobody reads this\n")); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if s.Lost() != 1 {
		t.Errorf("%d lines lost, want 1", s.Lost())
	}
}
