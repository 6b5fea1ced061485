package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"greenroom/internal/httpapi/wire"
	"greenroom/internal/httpx"
)

// Watcher is told what happens to a meeting. Either function may be nil; an error of one ends the watch.
type Watcher struct {
	Meeting func(wire.Meeting) error // at once and after every change
	Event   func(wire.Event) error   // each entry of the timeline, once
}

// maxLine bounds one line of a stream: a meeting with 64 seats fits.
const maxLine = 4 << 20

// silence is how long a stream may be without data: the server says "still here" three times in it.
const silence = 50 * time.Second

// Watch follows a meeting until nothing of it remains. A stream that breaks is taken up again where it was,
// for as long as the server is unreachable at most giveUp on end.
func (c *Client) Watch(ctx context.Context, id string, w Watcher, giveUp time.Duration) error {
	var at place // unheard of: a server that is not there at first is an error at once
	at.again = usualAgain
	for {
		over, err := c.stream(ctx, id, &at, w)
		if over || ctx.Err() != nil {
			return ctx.Err()
		}
		var told *callbackError
		if errors.As(err, &told) {
			return told.error
		}
		if p, ok := errors.AsType[*httpx.Problem](err); ok && p.Status < http.StatusInternalServerError {
			return err
		}
		if err != nil && time.Since(at.heard) > giveUp {
			return err
		}
		t := time.NewTimer(at.again)
		select {
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		case <-t.C:
		}
	}
}

type callbackError struct{ error }

// place is how far a watch has come.
type place struct {
	seq   int64         // of the last timeline entry
	heard time.Time     // when the server was last heard
	again time.Duration // how long after a stream's end the server wants to be asked again
}

const (
	usualAgain   = time.Second
	longestAgain = 30 * time.Second
)

// stream reads one stream and reports whether the meeting is over.
func (c *Client) stream(ctx context.Context, id string, at *place, w Watcher) (bool, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	quiet := time.AfterFunc(silence, cancel)
	defer quiet.Stop()
	h := http.Header{"Accept": {"text/event-stream"}}
	if at.seq > 0 {
		h.Set("Last-Event-ID", strconv.FormatInt(at.seq, 10))
	}
	resp, err := c.do(ctx, http.MethodGet, meeting(id, "/watch"), nil, h)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	at.heard = time.Now()
	if resp.StatusCode == http.StatusNoContent {
		return true, nil
	}
	over := false
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, maxLine)
	kind, data := "", ""
	for lines.Scan() {
		quiet.Reset(silence)
		at.heard = time.Now()
		switch field, value, _ := strings.Cut(lines.Text(), ": "); field {
		case "event":
			kind = value
		case "data":
			data = value
		case "retry":
			if ms, err := strconv.Atoi(value); err == nil && ms > 0 {
				at.again = min(time.Duration(ms)*time.Millisecond, longestAgain)
			}
		case "":
			if data != "" {
				if err := w.tell(kind, data, &at.seq, &over); err != nil {
					return false, err
				}
			}
			kind, data = "", ""
		}
	}
	if err := lines.Err(); err != nil && !errors.Is(err, io.EOF) {
		return false, &UnreachableError{URL: c.URL(), Cause: err}
	}
	return over, nil
}

// tell hands one event on. A meeting without desktops left that has ended is over when the stream ends.
func (w Watcher) tell(kind, data string, seq *int64, over *bool) error {
	switch kind {
	case "meeting":
		var m wire.Meeting
		if err := json.Unmarshal([]byte(data), &m); err != nil {
			return fmt.Errorf("read stream: %w", err)
		}
		*over = m.State == "ended"
		if w.Meeting != nil {
			if err := w.Meeting(m); err != nil {
				return &callbackError{err}
			}
		}
	case "timeline":
		var e wire.Event
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			return fmt.Errorf("read stream: %w", err)
		}
		*seq = e.Seq
		if w.Event != nil {
			if err := w.Event(e); err != nil {
				return &callbackError{err}
			}
		}
	}
	return nil
}
