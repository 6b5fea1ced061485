package hooks

import (
	"os"
	"strings"
	"sync"
	"time"
)

// settle is how long output is waited for after its program has ended: what it left running keeps the pipe open.
const settle = 50 * time.Millisecond

// output takes what programs write and keeps the end of it. It goes on reading as long as one of them lives, so that
// none is held up or killed by a full or closed pipe.
type output struct {
	r, w *os.File
	done chan struct{} // closed when the last writer has gone

	mu   sync.Mutex
	kept []byte
}

func newOutput() (*output, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	o := &output{r: r, w: w, done: make(chan struct{})}
	go o.drain()
	return o, nil
}

func (o *output) drain() {
	defer close(o.done)
	defer o.r.Close()
	buf := make([]byte, 4<<10)
	for {
		n, err := o.r.Read(buf)
		o.mu.Lock()
		o.kept = append(o.kept, buf[:n]...)
		o.kept = o.kept[max(0, len(o.kept)-keep):]
		o.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// text is the end of what was written, cleaned.
func (o *output) text() string {
	select {
	case <-o.done:
	case <-time.After(settle):
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return clean(string(o.kept))
}

// clean makes text of whatever was written: no control characters but the line's end, and valid UTF-8.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n':
			return r
		case r == '\r', r == '\t':
			return ' '
		case r < ' ', r >= 0x7f && r < 0xa0, r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
			return -1 // escape sequences, and what turns the direction of writing
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return strings.TrimSpace(text[strings.LastIndexByte(text, '\n')+1:])
}

// lastRunes is the end of text in one line.
func lastRunes(text string, n int) string {
	r := []rune(strings.Join(strings.Fields(text), " "))
	return string(r[max(0, len(r)-n):])
}
