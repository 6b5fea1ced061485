package sse_test

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"greenroom/internal/sse"
)

func TestStream(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	s, err := sse.Start(w, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []sse.Event{{Kind: "timeline", ID: "7", Data: map[string]string{"message": "two\nlines"}}, {Kind: "changed"}} {
		if err := s.Send(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Beat(); err != nil {
		t.Fatal(err)
	}
	const want = "retry: 5000\n\nevent: timeline\nid: 7\ndata: {\"message\":\"two\\nlines\"}\n\nevent: changed\ndata: \n\n: still here\n\n"
	if got := w.Body.String(); got != want {
		t.Errorf("the stream is %q, want %q", got, want)
	}
	if h := w.Header(); h.Get("Content-Type") != "text/event-stream" || h.Get("Cache-Control") != "no-store" || h.Get("X-Accel-Buffering") != "no" || !w.Flushed {
		t.Errorf("header %v, flushed %t", h, w.Flushed)
	}
}

func TestStreamThatCannotBeFlushed(t *testing.T) {
	t.Parallel()
	if _, err := sse.Start(struct{ http.ResponseWriter }{httptest.NewRecorder()}, 0); !errors.Is(err, sse.ErrGone) {
		t.Errorf("a stream that is kept back: %v", err)
	}
}

func TestDataThatIsNotJSON(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	s, err := sse.Start(w, 0)
	if err != nil {
		t.Fatal(err)
	}
	before := w.Body.String()
	if err := s.Send(sse.Event{Kind: "bad", Data: func() {}}); err == nil || errors.Is(err, sse.ErrGone) || w.Body.String() != before {
		t.Errorf("error %v, and %q was written", err, w.Body.String())
	}
}

// TestClientGone: a real client that goes is noticed, and everything it was sent before arrived.
func TestClientGone(t *testing.T) {
	t.Parallel()
	first, gone := make(chan struct{}), make(chan error, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, err := sse.Start(w, time.Second)
		for ; err == nil; err = s.Send(sse.Event{Kind: "more", Data: strings.Repeat("x", 1<<16)}) {
			select {
			case <-first:
			case <-r.Context().Done():
			}
		}
		gone <- err
	}))
	t.Cleanup(server.Close)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(resp.Body).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) || line != "retry: 1000\n" {
		t.Errorf("first line %q, %v", line, err)
	}
	close(first)
	_ = resp.Body.Close()
	if err := <-gone; !errors.Is(err, sse.ErrGone) {
		t.Errorf("it ended with %v", err)
	}
}
