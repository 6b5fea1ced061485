package gateway_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"greenroom/internal/access/gateway"
)

// TestRefusals: who has no business there is told so in words, and the desktop hears nothing of it.
func TestRefusals(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	in, out, elsewhere := r.browser("127.0.0.1", true), r.browser("127.0.0.1", true), r.browser("127.0.0.9", true)
	used := r.token(r.teacher)
	teacher, student := "https://"+r.teacher.host, "https://"+r.student.host
	if got := in.get(teacher + "/?authToken=" + used); got.StatusCode != http.StatusSeeOther {
		t.Fatalf("entering: %s: %s", got.Status, got.body)
	}
	var pass string
	for _, c := range in.get(teacher + "/?authToken=" + used).Cookies() {
		if c.Name == "__Host-greenroom-edge" {
			pass = c.Value
		}
	}
	drain(r.teacher)
	drain(r.student)
	for _, c := range []struct {
		name   string
		got    reply
		status int
		words  string
	}{
		{"nothing in hand", out.get(teacher + "/"), 403, "opens from the lobby"},
		{"nothing in hand, deep", out.get(teacher + "/static/desktop.js"), 403, "opens from the lobby"},
		{"cookies that were not kept", out.get(teacher + "/?entered"), 403, "blocks cookies"},
		{"an empty token", out.get(teacher + "/?authToken="), 403, "not one that greenroom gave out"},
		{"a wrong token", out.get(teacher + "/?authToken=nonsense"), 403, "The token is not known."},
		{"a huge token", out.get(teacher + "/?authToken=" + strings.Repeat("x", 5000)), 403, "not one that greenroom gave out"},
		{"another desktop's token", out.get(student + "/?authToken=" + r.token(r.teacher)), 403, "The token is not known."},
		{"a used token from another address", elsewhere.get(teacher + "/?authToken=" + used), 403, "used from another address"},
		{"another desktop's pass", out.get(student+"/", "Cookie", "__Host-greenroom-edge="+pass), 403, "opens from the lobby"},
		{"a changed pass", out.get(teacher+"/", "Cookie", "__Host-greenroom-edge="+"A"+pass[1:]), 403, "opens from the lobby"},
		{"half a pass", out.get(teacher+"/", "Cookie", "__Host-greenroom-edge="+pass[:60]), 403, "opens from the lobby"},
		{"a spoofed address", elsewhere.get(teacher+"/?authToken="+used, "X-Forwarded-For", "127.0.0.1"), 403, "used from another address"},
		{"a name that is no desktop's", out.get("https://i-00000000000000000." + zone + "/"), 404, "gone"},
		{"a name of another form", out.get("https://www." + zone + "/"), 404, "gone"},
		{"a Host outside of the zone", in.get(teacher+"/", "Host", "127.0.0.1"), 421, "no such desktop"},
		{"the zone itself", in.get(teacher+"/", "Host", zone), 421, "no such desktop"},
		{"a deeper name", in.get(teacher+"/", "Host", "a."+r.teacher.host), 421, "no such desktop"},
		{"TRACE", in.do("TRACE", teacher+"/", nil), 405, "does not do that"},
		{"a picture on another desktop's page", in.get(teacher+"/echo", "Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "no-cors"), 403, "own page"},
		{"a form on another desktop's page", in.do("POST", teacher+"/echo", strings.NewReader("x"), "Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "navigate"), 403, "own page"},
		{"a form of an old browser", in.do("POST", teacher+"/echo", strings.NewReader("x"), "Origin", student), 403, "own page"},
	} {
		if c.got.StatusCode != c.status || !strings.Contains(c.got.body, c.words) {
			t.Errorf("%s: %s, want %d with %q: %s", c.name, c.got.Status, c.status, c.words, c.got.body)
		}
		if strings.Contains(c.got.body, pass) || strings.Contains(c.got.body, used) {
			t.Errorf("%s: the answer repeats a secret", c.name)
		}
	}
	if n := len(r.teacher.got) + len(r.student.got); n != 0 {
		t.Errorf("%d of the requests reached a desktop", n)
	}
	if got := in.get(teacher+"/", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"); got.StatusCode != http.StatusOK {
		t.Errorf("a link from the lobby: %s", got.Status)
	}
	if got := in.do("POST", teacher+"/echo", strings.NewReader("x"), "Origin", teacher, "Sec-Fetch-Site", "same-origin"); got.StatusCode != http.StatusOK {
		t.Errorf("the desktop's own form: %s", got.Status)
	}
}

func drain(d *desktop) {
	for len(d.got) > 0 {
		<-d.got
	}
}

func TestWebSocketsAreForTheDesktopsOwnPage(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	in, out := r.browser("127.0.0.1", false), r.browser("127.0.0.1", false)
	r.enter(in, r.teacher)
	drain(r.teacher)
	own := "https://" + r.teacher.host
	for _, c := range []struct {
		name   string
		b      browser
		origin string
	}{
		{"no pass", out, own},
		{"no origin", in, ""},
		{"another desktop's page", in, "https://" + r.student.host},
		{"another scheme", in, "http://" + r.teacher.host},
		{"another port", in, own + ":8443"},
		{"a null origin", in, "null"},
	} {
		if conn, status := c.b.dialSocket(t.Context(), r.teacher, c.origin); conn != nil || status != http.StatusForbidden {
			t.Errorf("%s: status %d", c.name, status)
		}
	}
	if got := in.get(own+"/", "Connection", "Upgrade", "Upgrade", "h2c"); got.StatusCode != http.StatusForbidden {
		t.Errorf("an upgrade to something else: %s", got.Status)
	}
	if len(r.teacher.got) != 0 {
		t.Error("the desktop heard of it")
	}
}

// TestRawRequests says what no client library would say.
func TestRawRequests(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser("127.0.0.1", false)
	r.enter(b, r.teacher)
	cookie := "Cookie: "
	for _, c := range b.Jar.Cookies(mustURL(t, "https://"+r.teacher.host+"/")) {
		cookie += c.Name + "=" + c.Value + "; "
	}
	host := "Host: " + r.teacher.host + "\r\n" + cookie + "\r\n"
	drain(r.teacher)
	for _, c := range []struct {
		name, request string
		status        int // 0: closed without an answer is fine, too
	}{
		{"two lengths", "POST /echo HTTP/1.1\r\n" + host + "Content-Length: 4\r\nContent-Length: 9\r\n\r\nabcd", 400},
		{"a length with a sign", "POST /echo HTTP/1.1\r\n" + host + "Content-Length: +4\r\n\r\nabcd", 400},
		{"an odd encoding", "POST /echo HTTP/1.1\r\n" + host + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501},
		{"two encodings", "POST /echo HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", 501},
		{"a space before the colon", "GET /echo HTTP/1.1\r\n" + host + "Transfer-Encoding : chunked\r\n\r\n", 400},
		{"two hosts", "GET /echo HTTP/1.1\r\n" + host + "Host: " + r.student.host + "\r\n\r\n", 400},
		{"no host", "GET /echo HTTP/1.1\r\n\r\n", 400},
		{"a folded header", "GET /echo HTTP/1.1\r\n folded: 1\r\n" + host + "\r\n", 400},
		{"a tunnel", "CONNECT " + r.teacher.host + ":22 HTTP/1.1\r\n" + host + "\r\n", 405},
		{"a tunnel elsewhere", "CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: 127.0.0.1:22\r\n\r\n", 421},
		{"an open proxy", "GET http://127.0.0.1:22/ HTTP/1.1\r\n" + host + "\r\n", 421},
		{"another desktop in the absolute form", "GET https://" + r.student.host + "/echo HTTP/1.1\r\n" + host + "\r\n", 403},
		{"the server itself", "OPTIONS * HTTP/1.1\r\n" + host + "\r\n", 405},
		{"a huge header", "GET /echo HTTP/1.1\r\n" + host + "X: " + strings.Repeat("x", 64<<10) + "\r\n\r\n", 431},
		{"a huge line", "GET /" + strings.Repeat("x", 64<<10) + " HTTP/1.1\r\n" + host + "\r\n", 431},
		{"a huge body", "POST /echo HTTP/1.1\r\n" + host + "Content-Length: 9000000\r\n\r\n" + strings.Repeat("x", 1<<20+1), 413},
		{"HTTP/2 without TLS's agreement", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0},
	} {
		conn, answers := r.raw(r.teacher.host)
		if _, err := io.WriteString(conn, c.request); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		resp, err := http.ReadResponse(answers, nil)
		if c.status == 0 && err != nil {
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if c.status != 0 && resp.StatusCode != c.status || resp.StatusCode < 300 {
			t.Errorf("%s: %s, want %d", c.name, resp.Status, c.status)
		}
		resp.Body.Close()
		conn.Close()
	}
	for len(r.teacher.got) > 0 {
		if got := <-r.teacher.got; got.URL.Path != "/echo" || got.Method != "POST" { // a body that is too long is only known to be when it has come
			t.Errorf("the desktop got %s %s", got.Method, got.URL)
		}
	}
}

// TestNoSmuggling: a request that two servers might cut differently is one request on both sides.
func TestNoSmuggling(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser("127.0.0.1", false)
	r.enter(b, r.teacher)
	cookie := "Cookie: "
	for _, c := range b.Jar.Cookies(mustURL(t, "https://"+r.teacher.host+"/")) {
		cookie += c.Name + "=" + c.Value + "; "
	}
	drain(r.teacher)
	conn, answers := r.raw(r.teacher.host)
	smuggled := "GET /smuggled HTTP/1.1\r\nHost: " + r.teacher.host + "\r\n\r\n"
	fmt.Fprintf(conn, "POST /echo HTTP/1.1\r\nHost: %s\r\n%s\r\nContent-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n%s", r.teacher.host, cookie, 5+len(smuggled), smuggled)
	resp, err := http.ReadResponse(answers, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	// What comes after the chunks is either dropped with the connection, or a request of its own that has no pass.
	if next, err := http.ReadResponse(answers, nil); err == nil && next.StatusCode != http.StatusForbidden {
		t.Errorf("the rest was answered with %s", next.Status)
	}
	for len(r.teacher.got) > 0 {
		if got := <-r.teacher.got; got.URL.Path == "/smuggled" {
			t.Error("a request was smuggled through")
		}
	}
}

func TestNamesOutsideTheZoneGetNoCertificate(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, name := range []string{"", "example.com", zone, "a.b." + zone, "evil-" + zone} {
		conn, err := tls.Dial("tcp", r.address, &tls.Config{ServerName: name, InsecureSkipVerify: true})
		if err == nil {
			conn.Close()
			t.Errorf("%q: a certificate was given", name)
		} else if alert, ok := errors.AsType[tls.AlertError](err); !ok || alert != 112 {
			if !strings.Contains(err.Error(), "unrecognized name") {
				t.Errorf("%q: %v", name, err)
			}
		}
	}
}

func TestSlowClientsAreCutOff(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *gateway.Options) {
		o.HeaderTime, o.BodyTime, o.IdleTime = 200*time.Millisecond, 200*time.Millisecond, 200*time.Millisecond
	})
	b := r.browser("127.0.0.1", false)
	r.enter(b, r.teacher)
	cookie := "Cookie: "
	for _, c := range b.Jar.Cookies(mustURL(t, "https://"+r.teacher.host+"/")) {
		cookie += c.Name + "=" + c.Value + "; "
	}
	head := " /echo HTTP/1.1\r\nHost: " + r.teacher.host + "\r\n" + cookie + "\r\n"
	for name, words := range map[string]string{
		"silence":      "",
		"half a head":  "GET" + head,
		"half a body":  "POST" + head + "Content-Length: 100\r\n\r\nhalf",
		"half a chunk": "POST" + head + "Transfer-Encoding: chunked\r\n\r\nff\r\nhalf",
		"idle":         "GET" + head + "\r\n",
	} {
		conn, answers := r.raw(r.teacher.host)
		if _, err := io.WriteString(conn, words); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, answers); errors.Is(err, net.ErrClosed) || isTimeout(err) {
			t.Errorf("%s: still open: %v", name, err)
		}
	}
	// A handshake that never ends.
	conn, err := net.Dial("tcp", r.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patient))
	if _, err := io.Copy(io.Discard, conn); isTimeout(err) {
		t.Error("a handshake that never ends: still open")
	}
	// None of that holds for a session.
	socket := b.socket(r.teacher)
	echo(t, socket, "before")
	select {
	case <-t.Context().Done():
	case <-time.After(600 * time.Millisecond): // longer than every limit above
	}
	echo(t, socket, "after")
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}

// TestWhoMakesWay: who has shown a token keeps the connection, and strangers make way for newer ones.
func TestWhoMakesWay(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *gateway.Options) { o.MaxConns, o.MaxPerClient = 8, 4 })
	b := r.browser("127.0.0.1", true)
	r.enter(b, r.teacher)
	socket := b.socket(r.teacher)
	open := func(from string) *tls.Conn {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		conn, err := tls.DialWithDialer(&d, "tcp", r.address, &tls.Config{ServerName: r.teacher.host, RootCAs: r.roots()})
		if err != nil {
			t.Fatalf("from %s: %v", from, err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	first := open("127.0.0.2")
	for i := range 16 {
		open(fmt.Sprintf("127.0.0.%d", 2+i%4))
	}
	_ = first.SetReadDeadline(time.Now().Add(patient))
	if _, err := first.Read(make([]byte, 1)); err == nil || isTimeout(err) {
		t.Errorf("the oldest stranger is still there: %v", err)
	}
	echo(t, socket, "still here")
	r.enter(r.browser("127.0.0.9", true), r.student)
	if s := r.gateway.Stats(); s.Open > 8 || s.Refused["made_way"] == 0 || s.Refused["no_room"] != 0 {
		t.Errorf("%+v", s)
	}
}

// TestGuessersShutNobodyOut: who shows many wrong tokens is told to wait, and who comes from the same address with a right one gets in.
func TestGuessersShutNobodyOut(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser("127.0.0.1", true)
	poll(t, "the limit of tries", func() bool {
		return b.get("https://"+r.teacher.host+"/?authToken=x").StatusCode == http.StatusTooManyRequests
	})
	r.enter(r.browser("127.0.0.1", true), r.teacher)
	r.enter(r.browser("127.0.0.2", true), r.teacher)
}

// FuzzRequest: whatever is said without a pass, no desktop hears of it.
func FuzzRequest(f *testing.F) {
	r := newRig(f)
	f.Add("GET / HTTP/1.1\r\nHost: " + r.teacher.host + "\r\n\r\n")
	f.Add("GET /websockify HTTP/1.1\r\nHost: " + r.teacher.host + "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	f.Add("POST /version HTTP/1.1\r\nHost: " + r.teacher.host + "\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\n\r\n")
	f.Fuzz(func(t *testing.T, words string) {
		conn, err := tls.Dial("tcp", r.address, &tls.Config{ServerName: r.teacher.host, RootCAs: r.roots()})
		if err != nil {
			t.Skip(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(patient))
		_, _ = io.WriteString(conn, words)
		_ = conn.CloseWrite()
		_, _ = io.Copy(io.Discard, bufio.NewReader(conn))
		for len(r.teacher.got)+len(r.student.got) > 0 {
			select {
			case got := <-r.teacher.got:
				if got.Method != "GET" || got.URL.String() != "/version" {
					t.Errorf("the desktop got %s %s", got.Method, got.URL)
				}
			case <-r.student.got:
				t.Error("the other desktop got something")
			}
		}
	})
}
