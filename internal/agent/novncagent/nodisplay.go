package novncagent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"greenroom"
)

// maxWords bounds what is read of the programs' output, from its end.
const maxWords = 8 << 10

// noDisplay says why the X server told no display: it has ended, mostly, and its output says why.
func (s *screen) noDisplay(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("wait for Xtigervnc to tell its display (see %s): %w", outputFile, context.Cause(ctx))
	}
	<-s.server.done // its end of the pipe is closed
	cause := errors.Join(err, s.server.err)
	for _, dir := range []string{"/tmp", "/tmp/.X11-unix"} {
		if denied := unix.Access(dir, unix.W_OK|unix.X_OK); denied != nil && !errors.Is(denied, os.ErrNotExist) {
			return &greenroom.UserError{Cause: fmt.Errorf("%w: %w", greenroom.ErrPermanent, cause),
				Message: fmt.Sprintf("The screen could not be started: %s, where it has its socket, cannot be written (%v).", dir, denied)}
		}
	}
	return &greenroom.UserError{Cause: cause, Message: "The screen could not be started. Xtigervnc said: " + lastWords() + "."}
}

// wordsTime is how long the output of a server that has ended may take to its file: it goes there through a pipe.
const wordsTime = 300 * time.Millisecond

// lastWords is what an X server said of its end, in one line.
func lastWords() string {
	text := tail(outputFile)
	for began := time.Now(); !bytes.Contains(text, []byte(fatal)) && time.Since(began) < wordsTime; text = tail(outputFile) {
		<-time.After(wordsTime / 20)
	}
	return inOneLine(text)
}

// fatal is what X servers say before the reason of their end.
const fatal = "Fatal server error:"

// inOneLine makes a part of a sentence of an X server's output.
func inOneLine(text []byte) string {
	if _, after, found := bytes.Cut(text, []byte(fatal)); found {
		text = after
	}
	var words []string
	for line := range strings.Lines(strings.ToValidUTF8(string(text), "?")) {
		line = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "(EE)"))
		if line != "" {
			words = append(words, strings.TrimSuffix(line, "."))
		}
	}
	if len(words) == 0 {
		return "nothing"
	}
	const most = 300
	said := strings.Join(words[:min(len(words), 3)], "; ")
	return strings.ToValidUTF8(said[:min(len(said), most)], "")
}

// tail is the end of a file, as far as it can be read.
func tail(name string) []byte {
	f, err := os.Open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > maxWords {
		_, _ = f.Seek(-maxWords, io.SeekEnd)
	}
	text, _ := io.ReadAll(io.LimitReader(f, maxWords))
	return text
}
