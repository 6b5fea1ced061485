package httpx_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"greenroom"
	"greenroom/internal/httpx"
)

var listen = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080}

// ask sends r through a guard around h and gives the answer and the log.
func ask(h http.Handler, r *http.Request, o httpx.Options) (*httptest.ResponseRecorder, string) {
	var log bytes.Buffer
	o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	if o.Hosts == nil {
		o.Hosts = httpx.NewHosts(listen, "https://meet.example.com")
	}
	w := httptest.NewRecorder()
	httpx.Guard(h, o).ServeHTTP(w, r)
	return w, log.String()
}

func request(method, target string, headers ...string) *http.Request {
	r := httptest.NewRequest(method, target, nil)
	r.Host = "127.0.0.1:8080"
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

var fine = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "fine") })

func problemOf(t *testing.T, w *httptest.ResponseRecorder, status int) httpx.Problem {
	t.Helper()
	var p httpx.Problem
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != status || p.Status != status || w.Header().Get("Content-Type") != "application/problem+json" {
		t.Fatalf("status %d, want %d, a problem document: %s (%v)", w.Code, status, w.Body, err)
	}
	return p
}

func TestGuard(t *testing.T) {
	t.Parallel()

	t.Run("PagesGetAStrictPolicy", func(t *testing.T) {
		t.Parallel()
		w, _ := ask(fine, request("GET", "/"), httpx.Options{})
		csp := w.Header().Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"} {
			if !strings.Contains(csp, part) {
				t.Errorf("%q lacks %q", csp, part)
			}
		}
		if strings.Contains(csp, "unsafe") {
			t.Errorf("%q", csp)
		}
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cross-Origin-Opener-Policy": "same-origin"} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s is %q", name, got)
			}
		}
	})

	t.Run("AnotherSitesPageCannotCommandUs", func(t *testing.T) {
		t.Parallel()
		for _, headers := range [][]string{
			{"Origin", "https://evil.example"}, {"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "null"}, {"Origin", "http://127.0.0.1:9090"},
		} {
			w, _ := ask(fine, request("POST", "/api/v1/meetings", headers...), httpx.Options{})
			if p := problemOf(t, w, 403); p.Type != "/problems/cross-origin" {
				t.Errorf("%v: %s", headers, p.Type)
			}
		}
		for _, headers := range [][]string{{}, {"Origin", "http://127.0.0.1:8080"}, {"Sec-Fetch-Site", "same-origin"}} {
			if w, _ := ask(fine, request("POST", "/", headers...), httpx.Options{}); w.Code != 200 {
				t.Errorf("%v: status %d", headers, w.Code)
			}
		}
	})

	t.Run("PanicsAreOneLineAndA500", func(t *testing.T) {
		t.Parallel()
		w, log := ask(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("the sky fell") }), request("GET", "/join/a/b?key=hush"), httpx.Options{})
		if p := problemOf(t, w, 500); strings.Contains(p.Detail, "sky") {
			t.Errorf("strangers are told: %s", p.Detail)
		}
		if strings.Count(log, "the sky fell") != 1 || strings.Contains(log, "hush") {
			t.Errorf("log is %s", log)
		}
	})

	t.Run("HalfAnAnswerIsCutOff", func(t *testing.T) {
		t.Parallel()
		defer func() {
			if v := recover(); v != http.ErrAbortHandler {
				t.Errorf("recovered %v", v)
			}
		}()
		ask(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "half")
			panic("the sky fell")
		}), request("GET", "/"), httpx.Options{})
	})

	t.Run("BodiesAreBounded", func(t *testing.T) {
		t.Parallel()
		r := request("POST", "/")
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader("x")), httpx.MaxBody+1
		w, _ := ask(fine, r, httpx.Options{})
		problemOf(t, w, 413)

		r = request("POST", "/")
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(strings.Repeat("x", httpx.MaxBody+1))), -1
		var read error
		ask(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, read = io.Copy(io.Discard, r.Body) }), r, httpx.Options{})
		if read == nil {
			t.Error("more than the bound was read")
		}
	})

	t.Run("TheLogHasNoSecrets", func(t *testing.T) {
		t.Parallel()
		for target, want := range map[string]string{"/api/v1/join/a/b?key=hush": "path=/api/v1/join/a/b", "/dcv/verify/hush": "path=/dcv/verify/***"} {
			_, log := ask(fine, request("POST", target), httpx.Options{})
			if strings.Contains(log, "hush") || !strings.Contains(log, want) {
				t.Errorf("%s: %s", target, log)
			}
		}
	})
}

func TestHosts(t *testing.T) {
	t.Parallel()
	every := &net.TCPAddr{IP: net.IPv4zero, Port: 8080}
	for _, c := range []struct {
		host   string
		listen net.Addr
		want   bool
	}{
		{"127.0.0.1:8080", listen, true},
		{"localhost:8080", listen, true},
		{"LocalHost:8080", listen, true},
		{"[::1]:8080", listen, true},
		{"meet.example.com", listen, true},
		{"meet.example.com:443", listen, true},
		{"evil.example:8080", listen, false},
		{"evil.example", listen, false},
		{"127.0.0.1", listen, false},
		{"127.0.0.1:9090", listen, false},
		{"192.0.2.1:8080", listen, false},
		{"", listen, false},
		{"192.0.2.1:8080", every, true},
		{"[2001:db8::1]:8080", every, true},
		{"evil.example:8080", every, false},
		{"localhost", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80}, true},
	} {
		if got := httpx.NewHosts(c.listen, "https://meet.example.com").Allowed(c.host); got != c.want {
			t.Errorf("%q on %s: %v", c.host, c.listen, got)
		}
	}
	r := request("GET", "/")
	r.Host = "evil.example:8080"
	w, _ := ask(fine, r, httpx.Options{})
	problemOf(t, w, 421)
}

func TestOrganiser(t *testing.T) {
	t.Parallel()
	token := greenroom.NewSecret()
	organiser := func() httpx.Options {
		return httpx.Options{Organiser: httpx.NewOrganiser(func(context.Context) ([]string, error) {
			return []string{greenroom.HashSecret("another"), greenroom.HashSecret(token)}, nil
		})}
	}

	t.Run("ATokenOpens", func(t *testing.T) {
		t.Parallel()
		for _, headers := range [][]string{{"Authorization", "Bearer " + token}, {"Authorization", "bearer " + token}, {"Cookie", httpx.Cookie + "=" + token}} {
			if w, _ := ask(fine, request("GET", "/api/v1/meetings", headers...), organiser()); w.Code != 200 {
				t.Errorf("%v: status %d", headers, w.Code)
			}
		}
		for _, headers := range [][]string{{}, {"Authorization", "Bearer nonsense"}, {"Authorization", "Basic " + token}, {"Cookie", httpx.Cookie + "=x"}} {
			w, _ := ask(fine, request("GET", "/api/v1/meetings", headers...), organiser())
			problemOf(t, w, 401)
			if w.Header().Get("WWW-Authenticate") == "" {
				t.Errorf("%v: no challenge", headers)
			}
		}
	})

	t.Run("PagesLeadToTheSignIn", func(t *testing.T) {
		t.Parallel()
		w, _ := ask(fine, request("GET", "/meetings/abc?x=1", "Accept", "text/html"), organiser())
		if w.Code != 303 || w.Header().Get("Location") != "/login?next=%2Fmeetings%2Fabc%3Fx%3D1" {
			t.Errorf("status %d to %s", w.Code, w.Header().Get("Location"))
		}
	})

	t.Run("OthersHaveTheirOwnWays", func(t *testing.T) {
		t.Parallel()
		for _, path := range []string{"/join/a/b", "/api/v1/join/a/b", "/agent/v1/enrol", "/dcv/verify/x", "/healthz", "/readyz", "/ca.pem", "/static/x.css", "/login"} {
			if w, _ := ask(fine, request("GET", path), organiser()); w.Code != 200 {
				t.Errorf("%s: status %d", path, w.Code)
			}
		}
		for _, path := range []string{"/", "/meetings", "/metrics", "/docs", "/openapi.json", "/joined", "/api/v1/meetings", "/api/v1/stuck", "/static", "/join/../meetings"} {
			if w, _ := ask(fine, request("GET", path), organiser()); w.Code == 200 {
				t.Errorf("%s is open", path)
			}
		}
	})

	t.Run("ADesktopReportsItsDataAndNothingElse", func(t *testing.T) {
		t.Parallel()
		desktop := "Bearer meeting.teacher.1.mac"
		if w, _ := ask(fine, request("PUT", "/api/v1/meetings/meeting/seats/teacher/session-data", "Authorization", desktop), organiser()); w.Code != 200 {
			t.Errorf("status %d", w.Code)
		}
		for _, call := range [][2]string{{"GET", "/api/v1/meetings"}, {"POST", "/api/v1/meetings/meeting/end"}, {"GET", "/x/session-data"}} {
			w, _ := ask(fine, request(call[0], call[1], "Authorization", desktop), organiser())
			problemOf(t, w, 401)
		}
	})

	t.Run("GuessersShutNobodyOut", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			o := organiser()
			last, began := 0, time.Now()
			for range 12 {
				w, _ := ask(fine, request("GET", "/api/v1/meetings", "Authorization", "Bearer guess"), o)
				last = w.Code
			}
			if last != 429 || time.Since(began) < 500*time.Millisecond {
				t.Errorf("the last answer is %d, after %s", last, time.Since(began))
			}
			began = time.Now()
			if w, _ := ask(fine, request("POST", "/api/v1/meetings/x/end", "Authorization", "Bearer "+token), o); w.Code != 200 || time.Since(began) > 0 {
				t.Errorf("a right token from the same address: %d after %s", w.Code, time.Since(began))
			}
			if w, _ := ask(fine, request("POST", "/login"), o); w.Code != 200 {
				t.Errorf("the sign-in page: %d", w.Code)
			}
		})
	})
}

func TestProblemOf(t *testing.T) {
	t.Parallel()
	var bad greenroom.InvalidError
	bad.Add("title", "give one")
	for _, c := range []struct {
		err    error
		status int
		detail string
	}{
		{fmt.Errorf("x: %w", greenroom.ErrNotFound), 404, ""},
		{&greenroom.UserError{Message: "It is over.", Cause: greenroom.ErrEnded}, 410, "It is over."},
		{greenroom.ErrForbidden, 403, ""},
		{greenroom.ErrConflict, 409, ""},
		{greenroom.ErrThrottled, 429, ""},
		{greenroom.ErrCapacity, 503, ""},
		{bad.Err(), 422, "title: give one"},
		{errors.New("secret detail"), 500, ""},
	} {
		p := httpx.ProblemOf(c.err)
		if p.Status != c.status || c.detail != "" && p.Detail != c.detail || strings.Contains(p.Detail, "secret") {
			t.Errorf("%v: %+v", c.err, p)
		}
	}
}
