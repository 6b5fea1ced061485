package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"greenroom/internal/httpapi/client"
	"greenroom/internal/httpapi/wire"
	"greenroom/internal/httpx"
)

// serverOf answers with h.
func serverOf(t *testing.T, h http.HandlerFunc) *client.Client {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	c, err := client.New(s.URL+"/", "the token")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestErrors(t *testing.T) {
	t.Parallel()

	t.Run("AProblemIsAnErrorWithFieldAndSentence", func(t *testing.T) {
		t.Parallel()
		c := serverOf(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer the token" {
				t.Errorf("Authorization is %q", r.Header.Get("Authorization"))
			}
			httpx.InvalidInput.Fields(httpx.FieldProblem{Field: "title", Message: "give one"}).Write(w)
		})
		_, err := c.Schedule(t.Context(), wire.Schedule{}, "")
		p, ok := errors.AsType[*httpx.Problem](err)
		if !ok || p.Field != "title" || p.Status != 422 || err.Error() != "title: give one" {
			t.Errorf("error is %v", err)
		}
	})

	t.Run("WhatIsNotGreenroomIsNotBelieved", func(t *testing.T) {
		t.Parallel()
		for _, h := range []http.HandlerFunc{
			http.NotFound,
			func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/login", http.StatusFound) },
			func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502) },
		} {
			_, err := serverOf(t, h).Meeting(t.Context(), "x")
			if _, ok := errors.AsType[*client.UnreachableError](err); !ok {
				t.Errorf("error is %v", err)
			}
		}
		if _, err := serverOf(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }).Meeting(t.Context(), "x"); err == nil {
			t.Error("a page was read as a meeting")
		}
	})

	t.Run("NobodyThere", func(t *testing.T) {
		t.Parallel()
		c, err := client.New("http://127.0.0.1:1", "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err = c.Meeting(t.Context(), "x"); err == nil || err.Error() != "no answer from http://127.0.0.1:1 (connection refused)" {
			t.Errorf("error is %v", err)
		}
	})

	t.Run("AddressesOfNoUse", func(t *testing.T) {
		t.Parallel()
		for _, address := range []string{"", "127.0.0.1:8080", "ftp://x", "http://"} {
			if _, err := client.New(address, ""); err == nil {
				t.Errorf("%q is taken", address)
			}
		}
	})
}

func TestWatch(t *testing.T) {
	t.Parallel()

	t.Run("ABrokenStreamIsTakenUpWhereItWas", func(t *testing.T) {
		t.Parallel()
		var asked []string
		c := serverOf(t, func(w http.ResponseWriter, r *http.Request) {
			asked = append(asked, r.Header.Get("Last-Event-ID"))
			if len(asked) == 1 {
				fmt.Fprint(w, "event: timeline\nid: 7\ndata: {\"seq\": 7}\n\n")
				return
			}
			fmt.Fprint(w, ": still here\n\nevent: timeline\nid: 8\ndata: {\"seq\": 8}\n\nevent: meeting\ndata: {\"state\": \"ended\"}\n\n")
		})
		var seen []int64
		err := c.Watch(t.Context(), "x", client.Watcher{Event: func(e wire.Event) error {
			seen = append(seen, e.Seq)
			return nil
		}}, time.Minute)
		if err != nil || fmt.Sprint(seen) != "[7 8]" || strings.Join(asked, ",") != ",7" {
			t.Errorf("%v, seen %v, asked %q", err, seen, asked)
		}
	})

	t.Run("TheServerSaysWhenToComeBack", func(t *testing.T) {
		t.Parallel()
		asked := 0
		began := time.Now()
		c := serverOf(t, func(w http.ResponseWriter, _ *http.Request) {
			if asked++; asked < 20 {
				fmt.Fprint(w, "retry: 5\n\n")
				return
			}
			fmt.Fprint(w, "event: meeting\ndata: {\"state\": \"ended\"}\n\n")
		})
		if err := c.Watch(t.Context(), "x", client.Watcher{}, time.Minute); err != nil || time.Since(began) > 15*time.Second {
			t.Errorf("%v after %d questions and %v", err, asked, time.Since(began))
		}
	})

	t.Run("ARefusalIsNotRepeated", func(t *testing.T) {
		t.Parallel()
		asked := 0
		c := serverOf(t, func(w http.ResponseWriter, _ *http.Request) {
			asked++
			httpx.NotFound.Problem("There is no such meeting.").Write(w)
		})
		if err := c.Watch(t.Context(), "x", client.Watcher{}, time.Hour); err == nil || asked != 1 {
			t.Errorf("asked %d times: %v", asked, err)
		}
	})

	t.Run("EndsWithItsContext", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		c := serverOf(t, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(200)
			_ = http.NewResponseController(w).Flush()
			cancel()
			<-r.Context().Done()
		})
		if err := c.Watch(ctx, "x", client.Watcher{}, time.Hour); !errors.Is(err, context.Canceled) {
			t.Errorf("error is %v", err)
		}
	})
}
