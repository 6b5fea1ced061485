package web_test

import (
	"bufio"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"
)

// listen opens a meeting's stream and returns its events' names as they come.
func (s *site) listen(t *testing.T, id string) <-chan string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/meetings/"+id+"/live", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := s.browser.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("status %d, %s", res.StatusCode, res.Header.Get("Content-Type"))
	}
	names := make(chan string)
	go func() {
		defer close(names)
		for lines := bufio.NewScanner(res.Body); lines.Scan(); {
			if name, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
				select {
				case names <- name:
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return names
}

func TestLive(t *testing.T) {
	t.Parallel()

	t.Run("TellsOfEveryChangeAndEndsWithTheJournal", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		m := s.scheduled(t)
		names := s.listen(t, m.ID)
		if got := <-names; got != "changed" {
			t.Fatalf("first %q, want changed: something may have happened before the stream was open", got)
		}
		s.hub.Publish(m.ID)
		if got := <-names; got != "changed" {
			t.Fatalf("got %q, want changed", got)
		}
		s.hub.Close()
		if got, ok := <-names; ok {
			t.Fatalf("got %q, want the end", got)
		}
	})
	t.Run("AnUnknownMeetingIsNotFound", func(t *testing.T) {
		t.Parallel()
		open(t).get(t, "/meetings/zzzzzzzzzzzzzzzz/live").want(t, http.StatusNotFound)
	})
}
