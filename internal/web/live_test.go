package web_test

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"greenroom/internal/web"
)

// listen opens a page's socket and returns the words that come, each checked to carry the time.
func (s *site) listen(t *testing.T, path string) <-chan string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	c, _, err := websocket.Dial(ctx, s.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.CloseNow() })
	words := make(chan string)
	go func() {
		defer close(words)
		for {
			_, text, err := c.Read(ctx)
			if err != nil {
				return
			}
			word, at, _ := strings.Cut(string(text), " ")
			if ms, err := strconv.ParseInt(at, 10, 64); err != nil || time.Since(time.UnixMilli(ms)).Abs() > 5*time.Second {
				t.Errorf("%q does not carry the time", text)
			}
			select {
			case words <- word:
			case <-ctx.Done():
				return
			}
		}
	}()
	return words
}

// refused opens a socket in vain and returns the status.
func (s *site) refused(t *testing.T, path string, o *websocket.DialOptions) int {
	t.Helper()
	c, res, err := websocket.Dial(t.Context(), s.URL+path, o)
	if err == nil {
		_ = c.CloseNow()
		t.Fatalf("%s was opened", path)
	}
	if res == nil {
		t.Fatal(err)
	}
	return res.StatusCode
}

func TestLive(t *testing.T) {
	t.Parallel()

	for name, path := range map[string]string{"Meeting": "/meetings/ID/live", "Lobby": "/join/ID/student/live?key=KEY"} {
		t.Run(name+"HearsOfEveryChangeAndEndsWithTheHub", func(t *testing.T) {
			t.Parallel()
			s := open(t)
			m := s.scheduled(t)
			words := s.listen(t, strings.NewReplacer("ID", m.ID, "KEY", m.Seats[1].Key).Replace(path))
			if got := <-words; got != "changed" {
				t.Fatalf("first %q, want changed: something may have happened before the socket was open", got)
			}
			s.hub.Publish(m.ID)
			if got := <-words; got != "changed" {
				t.Fatalf("got %q, want changed", got)
			}
			s.hub.Close()
			if got, ok := <-words; ok {
				t.Fatalf("got %q, want the end", got)
			}
		})
	}
	t.Run("WhoMayNotLookMayNotListen", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		m := s.scheduled(t)
		for path, want := range map[string]int{
			"/meetings/zzzzzzzzzzzzzzzz/live":                           http.StatusNotFound,
			"/join/" + m.ID + "/student/live":                           http.StatusForbidden,
			"/join/" + m.ID + "/student/live?key=" + m.Seats[0].Key:     http.StatusForbidden,
			"/join/" + m.ID + "/wizard/live?key=" + m.Seats[0].Key:      http.StatusNotFound,
			"/join/zzzzzzzzzzzzzzzz/student/live?key=" + m.Seats[0].Key: http.StatusNotFound,
		} {
			if got := s.refused(t, path, nil); got != want {
				t.Errorf("%s: status %d, want %d", path, got, want)
			}
		}
	})
	t.Run("APageOfAnotherSiteMayNotListen", func(t *testing.T) {
		t.Parallel()
		s := open(t, func(o *web.Options) { o.PublicURL = "https://lab.example.com" })
		m := s.scheduled(t)
		from := func(origin string) *websocket.DialOptions {
			return &websocket.DialOptions{HTTPHeader: http.Header{"Origin": {origin}}}
		}
		if got := s.refused(t, "/meetings/"+m.ID+"/live", from("https://elsewhere.example")); got != http.StatusForbidden {
			t.Errorf("status %d", got)
		}
		c, _, err := websocket.Dial(t.Context(), s.URL+"/meetings/"+m.ID+"/live", from("https://lab.example.com"))
		if err != nil {
			t.Fatalf("our own page behind a proxy: %v", err)
		}
		_ = c.CloseNow()
	})
	t.Run("SocketsAreBounded", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		m := s.scheduled(t)
		for range 64 {
			<-s.listen(t, "/meetings/"+m.ID+"/live")
		}
		if got := s.refused(t, "/meetings/"+m.ID+"/live", nil); got != http.StatusTooManyRequests {
			t.Errorf("status %d", got)
		}
		<-s.listen(t, "/join/"+m.ID+"/student/live?key="+m.Seats[1].Key) // another topic
	})
	t.Run("APlainRequestIsNoFailure", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		m := s.scheduled(t)
		s.get(t, "/meetings/"+m.ID+"/live").want(t, http.StatusUpgradeRequired)
	})
}
