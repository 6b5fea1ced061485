package gateway_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"greenroom"
)

func TestMainJob(t *testing.T) {
	t.Parallel()
	for _, http2 := range []bool{false, true} {
		t.Run(fmt.Sprintf("http2=%t", http2), func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			b := r.browser("127.0.0.1", http2)
			r.enter(b, r.teacher)
			got := b.get("https://" + r.teacher.host + "/")
			if got.body != "desktop of the teacher" || (got.ProtoMajor == 2) != http2 {
				t.Errorf("over %s: %s: %s", got.Proto, got.Status, got.body)
			}
			conn := b.socket(r.teacher)
			for _, size := range []int{0, 1, 2047, 2048, 2049, 16 << 10, 1 << 20} {
				echo(t, conn, strings.Repeat("x", size))
			}
			// A reload of the very link works from the same address, as on the desktop itself.
			token := r.token(r.student)
			for range 2 {
				if got := b.get("https://" + r.student.host + "/?authToken=" + token); got.StatusCode != http.StatusSeeOther {
					t.Errorf("with the token again: %s: %s", got.Status, got.body)
				}
			}
		})
	}
}

func TestPassIsAProperCookie(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser("127.0.0.1", false)
	got := b.get("https://" + r.teacher.host + "/?authToken=" + r.token(r.teacher))
	var pass *http.Cookie
	for _, c := range got.Cookies() {
		if c.Name == "__Host-greenroom-edge" {
			pass = c
		}
	}
	if pass == nil || !pass.Secure || !pass.HttpOnly || pass.Path != "/" || pass.Domain != "" || pass.SameSite != http.SameSiteLaxMode || len(pass.Value) < 80 {
		t.Errorf("the pass is %v", pass)
	}
	if got.Header.Get("Cache-Control") != "no-store" || got.Header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("the answer to a token may be kept or told on: %v", got.Header)
	}
}

func TestDesktopLearnsWhoComesAndNothingElse(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser("127.0.0.5", false)
	r.enter(b, r.teacher)
	got := b.get("https://"+r.teacher.host+"/echo", "X-Forwarded-For", "203.0.113.1", "Forwarded", "for=203.0.113.1", "X-Real-IP", "203.0.113.1",
		"X-Forwarded-Port", "1", "True-Client-IP", "203.0.113.1", "Via", "1.1 liar", "Connection", "X-Secret", "X-Secret", "1", "Cookie", "theme=dark")
	var seen struct {
		Header       http.Header
		Client, Host string
	}
	if err := json.Unmarshal([]byte(got.body), &seen); err != nil {
		t.Fatalf("%v in %s", err, got.body)
	}
	if !strings.HasPrefix(seen.Client, "127.0.0.5:") || seen.Header.Get("X-Forwarded-For") != "127.0.0.5" || seen.Host != r.teacher.host {
		t.Errorf("the desktop takes the participant for %s, forwarded for %q, at %s", seen.Client, seen.Header.Get("X-Forwarded-For"), seen.Host)
	}
	for _, name := range []string{"Forwarded", "X-Real-Ip", "X-Forwarded-Port", "True-Client-Ip", "Via", "X-Secret"} {
		if v := seen.Header.Get(name); v != "" {
			t.Errorf("%s came through: %s", name, v)
		}
	}
	cookies := strings.Join(seen.Header["Cookie"], ";")
	if strings.Contains(cookies, "edge") || !strings.Contains(cookies, "theme=dark") || !strings.Contains(cookies, "__Host-greenroom=session") {
		t.Errorf("the desktop gets the cookies %q", cookies)
	}
}

func TestDesktopSetsCookiesForItselfOnly(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser("127.0.0.1", false)
	r.enter(b, r.teacher)
	got := b.get("https://" + r.teacher.host + "/greedy")
	if set := got.Header["Set-Cookie"]; len(set) != 1 || !strings.HasPrefix(set[0], "theme=") {
		t.Errorf("a desktop could set %q", set)
	}
}

func TestStreamsFlow(t *testing.T) {
	t.Parallel()
	for _, http2 := range []bool{false, true} {
		r := newRig(t)
		b := r.browser("127.0.0.1", http2)
		r.enter(b, r.teacher)
		resp, err := b.Get("https://" + r.teacher.host + "/stream")
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(resp.Body)
		for i := range 20 {
			if !lines.Scan() || lines.Text() != fmt.Sprintf("data: %d", i) || !lines.Scan() {
				t.Fatalf("event %d: %q: %v", i, lines.Text(), lines.Err())
			}
		}
		resp.Body.Close()
	}
}

func TestPhases(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser("127.0.0.1", true)
	r.enter(b, r.teacher)
	home, look := "https://"+r.teacher.host+"/", "https://"+r.teacher.host+"/version"
	for _, c := range []struct {
		phase      greenroom.Phase
		home, look int
		words      string
	}{
		{greenroom.Proving, 503, 200, "not ready yet"},
		{greenroom.Ready, 200, 200, "desktop of the teacher"},
		{greenroom.InUse, 200, 200, "desktop of the teacher"},
		{greenroom.Terminating, 404, 404, "http://public.test/join/" + r.meeting + "/teacher"},
	} {
		r.stand(r.teacher, c.phase)
		if got := b.get(home); got.StatusCode != c.home || !strings.Contains(got.body, c.words) {
			t.Errorf("%s: %s: %s", c.phase, got.Status, got.body)
		}
		if got := b.get(look); got.StatusCode != c.look {
			t.Errorf("%s: version: %s", c.phase, got.Status)
		}
	}
}

func TestEndedDesktopsPassIsWorthNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser("127.0.0.1", true)
	r.enter(b, r.teacher)
	r.alter(func(m *greenroom.Meeting) {
		seat := m.Seat("teacher")
		seat.Desktop = seat.Desktop.NextAttempt(seat.Desktop.KillAt)
	})
	if got := b.get("https://" + r.teacher.host + "/"); got.StatusCode != http.StatusNotFound || !strings.Contains(got.body, "gone") {
		t.Errorf("%s: %s", got.Status, got.body)
	}
	r.stand(r.teacher, greenroom.Ready) // the next attempt, under its own name
	fresh := b.get("https://" + r.teacher.host + "/")
	if fresh.StatusCode != http.StatusForbidden {
		t.Errorf("the next attempt: %s: %s", fresh.Status, fresh.body)
	}
}

func TestUnreachableDesktop(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser("127.0.0.1", true)
	r.enter(b, r.teacher)
	r.teacher.server.Close()
	if got := b.get("https://" + r.teacher.host + "/"); got.StatusCode != http.StatusBadGateway || !strings.Contains(got.body, "does not answer") || got.Header.Get("Retry-After") == "" {
		t.Errorf("%s: %s", got.Status, got.body)
	}
}

func TestAnotherKeyIsKeptAway(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser("127.0.0.1", true)
	r.enter(b, r.teacher)
	b.CloseIdleConnections()
	r.alter(func(m *greenroom.Meeting) { m.Seat("student").Desktop.Address = r.teacher.ip }) // a good certificate's name would not be enough either
	for len(r.teacher.got) > 0 {
		<-r.teacher.got
	}
	got := b.get("https://" + r.student.host + "/?authToken=" + r.token(r.student))
	if got.StatusCode != http.StatusBadGateway || !strings.Contains(got.body, "in your desktop’s place") && !strings.Contains(got.body, "in your desktop&#39;s place") {
		t.Errorf("%s: %s", got.Status, got.body)
	}
	if len(r.teacher.got) != 0 {
		t.Error("something was sent to the wrong desktop")
	}
}

func TestWebSocketEnds(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser("127.0.0.1", false)
	r.enter(b, r.teacher)
	conn := b.socket(r.teacher)
	if err := conn.Write(t.Context(), websocket.MessageText, []byte("bye")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := conn.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("the desktop's goodbye arrived as %v", err)
	}
	_ = conn.CloseNow()
	poll(t, "the socket to be gone", func() bool { return r.gateway.Stats().Sessions == 0 })
}

func TestFloodArrivesWhole(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser("127.0.0.1", false)
	r.enter(b, r.teacher)
	conn := b.socket(r.teacher)
	const messages = 1024 // 64 MiB
	if err := conn.Write(t.Context(), websocket.MessageText, fmt.Appendf(nil, "flood %d", messages)); err != nil {
		t.Fatal(err)
	}
	for i := range messages {
		if _, reader, err := conn.Reader(t.Context()); err != nil {
			t.Fatalf("message %d: %v", i, err)
		} else if n, err := io.Copy(io.Discard, reader); err != nil || n != 64<<10 {
			t.Fatalf("message %d: %d bytes: %v", i, n, err)
		}
	}
}
