package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
)

func TestLobby(t *testing.T) {
	t.Parallel()

	t.Run("LookingChangesNothing", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		m := s.scheduled(t)
		before, _ := s.service.Meeting(t.Context(), m.ID)
		s.get(t, "/join/"+m.ID+"/student?key="+m.Seats[1].Key).want(t, 200, "Algebra", "Sam", "You are early, and in the right place")
		after, _ := s.service.Meeting(t.Context(), m.ID)
		if diff := cmp.Diff(before, after); diff != "" || len(s.service.Entered) > 0 {
			t.Errorf("the meeting changed:\n%s", diff)
		}
	})
	t.Run("TheCookieOpensOnlyItsOwnSeatAndNotByItself", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		s.service.ready = true
		m := s.scheduled(t)
		first := s.get(t, "/join/"+m.ID+"/student?key="+m.Seats[1].Key)
		first.want(t, 200, "data-auto", "Enter now")
		c := first.Cookies()
		if len(c) != 1 || c[0].Path != "/join/"+m.ID+"/student" || !c[0].HttpOnly || c[0].SameSite != http.SameSiteLaxMode || c[0].Secure {
			t.Errorf("cookie %v", c)
		}
		again := s.get(t, "/join/"+m.ID+"/student")
		again.want(t, 200, "Return to your desktop")
		if strings.Contains(again.body, "data-auto") {
			t.Error("who comes back is sent away by itself")
		}
		back := s.get(t, "/join/"+m.ID+"/student?back=1&key="+m.Seats[1].Key)
		if strings.Contains(back.body, "data-auto") {
			t.Error("who comes back with back=1 is sent away by itself")
		}
		s.get(t, "/join/"+m.ID+"/teacher").want(t, http.StatusForbidden)
	})
	t.Run("AWrongKeySaysWhatToDo", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		m := s.scheduled(t)
		r := s.get(t, "/join/"+m.ID+"/student?key="+m.Seats[0].Key)
		r.want(t, http.StatusForbidden, "This link is not valid", "ask the organiser for a new link")
		if len(r.Cookies()) > 0 {
			t.Error("a wrong key was remembered")
		}
		s.get(t, "/join/"+m.ID+"/wizard?key=x").want(t, http.StatusNotFound, "No such meeting")
	})
	t.Run("GuessingIsSlowedDown", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		m := s.scheduled(t)
		for range 100 {
			if r := s.get(t, "/join/"+m.ID+"/student?key=guess"); r.StatusCode == http.StatusTooManyRequests {
				return
			}
		}
		t.Error("a hundred guesses were answered")
	})
	t.Run("AnEndIsNamed", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		m := s.scheduled(t)
		s.post(t, "/meetings/"+m.ID+"/cancel", nil)
		r := s.get(t, "/join/"+m.ID+"/student?key="+m.Seats[1].Key)
		r.want(t, http.StatusGone, "This meeting was cancelled", "Ask the organiser for a new time.")
		if strings.Contains(r.body, "data-retry") {
			t.Error("the page still asks")
		}
	})
	t.Run("WithoutScriptsAFormLeadsIn", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		m := s.scheduled(t)
		path, key := "/join/"+m.ID+"/teacher", url.Values{"key": {m.Seats[0].Key}}
		r := s.post(t, path, key)
		r.want(t, http.StatusSeeOther)
		if strings.Contains(r.Header.Get("Location"), "key") {
			t.Errorf("the key is in the address %s", r.Header.Get("Location"))
		}
		s.get(t, r.Header.Get("Location")).want(t, 200) // the cookie opens it
		s.service.ready = true
		s.post(t, path, key).want(t, 200, `href="https://i-0123456789abcdef0.desk.localhost:8443/?authToken=t0ken#console"`)
		if diff := cmp.Diff([]string{"teacher from 127.0.0.1"}, s.service.Entered); diff != "" {
			t.Error(diff)
		}
		s.post(t, path, url.Values{"key": {"wrong"}}).want(t, http.StatusForbidden)
	})
}

func TestCheckSocketEchoesAFewTimes(t *testing.T) {
	t.Parallel()
	s := open(t)
	c, _, err := websocket.Dial(t.Context(), s.URL+"/check/socket", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.CloseNow() }()
	for range 8 {
		if err := c.Write(t.Context(), websocket.MessageText, []byte("ping")); err != nil {
			t.Fatal(err)
		}
		if _, got, err := c.Read(t.Context()); err != nil || string(got) != "ping" {
			t.Fatalf("got %q, %v", got, err)
		}
	}
	if _, _, err := c.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusNormalClosure {
		t.Errorf("got %v, want a normal end", err)
	}
}
