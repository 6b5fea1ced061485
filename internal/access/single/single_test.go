package single_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/pires/go-proxyproto"

	"greenroom"
	"greenroom/internal/access/connlimit"
	"greenroom/internal/access/single"
	"greenroom/internal/agent/agentapi"
	"greenroom/internal/meetings"
	"greenroom/internal/notify"
)

const (
	mine     = "i-11111111111111111"
	theirs   = "i-22222222222222222"
	patience = 10 * time.Second
)

// desktops are two, whose passes are their ids.
type desktops struct {
	mu      sync.Mutex
	ways    map[string]meetings.Way
	revoked map[string]bool
	outlook agentapi.Orders
}

func (d *desktops) WayByInstance(_ context.Context, id string) (meetings.Way, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if w, ok := d.ways[id]; ok {
		return w, nil
	}
	return meetings.Way{}, greenroom.ErrNotFound
}

func (d *desktops) Admit(_ context.Context, hostname, token, client string) (meetings.Verdict, string, error) {
	if token != "token of "+hostname || client != "127.0.0.1" {
		return meetings.Verdict{Message: "the token is not known"}, "", nil
	}
	id, _, _ := strings.Cut(hostname, ".")
	return meetings.Verdict{OK: true}, id, nil
}

func (d *desktops) Holds(w meetings.Way, pass string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return w.Open && pass == w.InstanceID && !d.revoked[pass]
}

func (d *desktops) Opening(w meetings.Way, client string) string { return "opening-" + client }

func (d *desktops) Outlook(context.Context, meetings.Way) (agentapi.Orders, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.outlook, nil
}

func (d *desktops) change(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
}

// rig is a server with desktops below its address. agent answers for the first; nobody for the second.
type rig struct {
	t        *testing.T
	desktops *desktops
	hub      *notify.Hub
	handler  *single.Handler
	front    *httptest.Server
	stop     context.CancelFunc
	stopped  chan struct{}

	mu   sync.Mutex
	seen []*http.Request // by the agent
}

func newRig(t *testing.T, agent http.HandlerFunc) *rig {
	t.Helper()
	r := &rig{t: t, hub: notify.New(), stopped: make(chan struct{}), desktops: &desktops{ways: map[string]meetings.Way{}, revoked: map[string]bool{}}}
	backend := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		r.mu.Lock()
		r.seen = append(r.seen, q.Clone(context.Background()))
		r.mu.Unlock()
		agent(w, q)
	}))
	backend.Listener = &proxyproto.Listener{Listener: backend.Listener}
	backend.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	backend.StartTLS()
	t.Cleanup(backend.Close)
	at := netip.MustParseAddrPort(backend.Listener.Addr().String())
	sum := sha256.Sum256(backend.Certificate().RawSubjectPublicKeyInfo)
	for id, key := range map[string]string{mine: hex.EncodeToString(sum[:]), theirs: strings.Repeat("0", 64)} {
		r.desktops.ways[id] = meetings.Way{InstanceID: id, Hostname: id + ".desk.localhost", Address: at.Addr(), KeyHash: key, Open: true, Title: "Algebra <b>", Role: "teacher", LobbyURL: "https://lab.example/join/m/teacher"}
	}
	mux := http.NewServeMux()
	r.front = httptest.NewServer(mux)
	t.Cleanup(r.front.Close)
	var err error
	r.handler, err = single.New(single.Options{Desktops: r.desktops, Hub: r.hub, PublicURL: r.front.URL, Pool: connlimit.NewPool(connlimit.Limits{All: 10}),
		Logger: slog.New(slog.DiscardHandler), Port: int(at.Port()), DialTime: time.Second, Drain: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	r.handler.Register(mux)
	ctx, stop := context.WithCancel(t.Context())
	r.stop = stop
	go func() { defer close(r.stopped); _ = r.handler.Run(ctx) }()
	t.Cleanup(func() { stop(); <-r.stopped })
	return r
}

func (r *rig) cookieOf(id string) string { return "greenroom-desktop=" + id }

// ask returns the answer, its body read.
func (r *rig) ask(method, path string, header ...string) (*http.Response, string) {
	r.t.Helper()
	return r.asks(r.t, method, path, header...)
}

func (r *rig) asks(t *testing.T, method, path string, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.front.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i < len(header); i += 2 {
		req.Header.Add(header[i-1], header[i])
	}
	c := &http.Client{Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

// socket opens the stream of the first desktop with its cookie.
func (r *rig) socket(header ...string) (*websocket.Conn, *http.Response) {
	r.t.Helper()
	h := http.Header{"Origin": {r.front.URL}, "Cookie": {r.cookieOf(mine) + "; greenroom_token=secret-of-the-organiser"}, "Authorization": {"Bearer secret-of-the-organiser"}}
	for i := 1; i < len(header); i += 2 {
		h.Set(header[i-1], header[i])
	}
	conn, resp, err := websocket.Dial(r.t.Context(), r.front.URL+"/d/"+mine+"/websockify", &websocket.DialOptions{Subprotocols: []string{"binary"}, HTTPHeader: h})
	if err != nil && resp == nil {
		r.t.Fatal(err)
	}
	if err != nil {
		return nil, resp
	}
	r.t.Cleanup(func() { _ = conn.CloseNow() })
	return conn, resp
}

// honest is an agent that opens a session for the opening, and echoes.
func honest(w http.ResponseWriter, q *http.Request) {
	switch q.URL.Path {
	case "/":
		if q.URL.Query().Get("authToken") == "opening-127.0.0.1" {
			http.SetCookie(w, &http.Cookie{Name: agentapi.SessionCookie, Value: "session", Path: "/", Secure: true})
		}
	case "/version":
	case "/websockify":
		if c, err := q.Cookie(agentapi.SessionCookie); err != nil || c.Value != "session" || q.Header.Get("Origin") != "https://"+q.Host {
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		conn, err := websocket.Accept(w, q, &websocket.AcceptOptions{Subprotocols: []string{"binary"}})
		if err != nil {
			return
		}
		defer func() { _ = conn.CloseNow() }()
		for {
			kind, data, err := conn.Read(q.Context())
			if err != nil || conn.Write(q.Context(), kind, data) != nil {
				return
			}
		}
	default:
		http.NotFound(w, q)
	}
}

func echo(t *testing.T, conn *websocket.Conn, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := conn.Write(ctx, websocket.MessageBinary, []byte(text)); err != nil {
		t.Fatal(err)
	}
	if _, got, err := conn.Read(ctx); err != nil || string(got) != text {
		t.Fatalf("%q, %v; want %q", got, err, text)
	}
}

// ends waits until the stream is over.
func ends(t *testing.T, conn *websocket.Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, _, err := conn.Read(ctx); err == nil || ctx.Err() != nil {
		t.Errorf("the stream goes on (%v)", err)
	}
}

func TestEnter(t *testing.T) {
	t.Parallel()
	r := newRig(t, honest)
	resp, _ := r.ask("GET", "/d/"+mine+"/?authToken="+url.QueryEscape("token of "+mine+".desk.localhost"))
	if to := resp.Header.Get("Location"); resp.StatusCode != http.StatusSeeOther || to != "/d/"+mine+"/?entered" {
		t.Fatalf("status %d to %q", resp.StatusCode, to)
	}
	c := resp.Cookies()[0]
	if c.Path != "/d/"+mine+"/" || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Domain != "" {
		t.Errorf("cookie %+v", c)
	}
	cookie := c.Name + "=" + c.Value
	if resp, _ = r.ask("GET", "/d/"+mine+"/?entered", "Cookie", cookie); resp.Header.Get("Location") != "/d/"+mine+"/" {
		t.Errorf("status %d to %q", resp.StatusCode, resp.Header.Get("Location"))
	}
	resp, body := r.ask("GET", "/d/"+mine+"/", "Cookie", cookie)
	if resp.StatusCode != http.StatusOK || !strings.Contains(body, `src="static/desktop.js"`) || strings.Contains(body, "Algebra <b>") {
		t.Errorf("the page: status %d %s", resp.StatusCode, body)
	}
	own := r.front.URL + "/d/" + mine + "/"
	for _, part := range []string{"default-src 'none'", "frame-ancestors 'none'", "script-src " + own + "static/;", "connect-src " + own + "status " + own + "notices ws" + strings.TrimPrefix(own, "http") + "websockify;"} {
		if csp := resp.Header.Get("Content-Security-Policy"); !strings.Contains(csp, part) {
			t.Errorf("the policy %q lacks %q", csp, part)
		}
	}
	resp, body = r.ask("GET", "/d/"+mine+"/static/desktop.js")
	if resp.StatusCode != http.StatusOK || !strings.Contains(resp.Header.Get("Content-Type"), "javascript") || body == "" {
		t.Errorf("the script: status %d %s", resp.StatusCode, resp.Header.Get("Content-Type"))
	}
	if resp, _ = r.ask("GET", "/d/"+mine+"/static/desktop.js", "If-None-Match", resp.Header.Get("ETag")); resp.StatusCode != http.StatusNotModified {
		t.Errorf("the same script: status %d", resp.StatusCode)
	}
	if len(r.seen) != 0 {
		t.Errorf("the agent was asked %d times for what is greenroom's", len(r.seen))
	}
	conn, _ := r.socket()
	echo(t, conn, "hello")
	if s := r.handler.Stats(); s.Sessions != 1 || s.Passed != 1 {
		t.Errorf("stats %+v", s)
	}
}

// TestRefused are requests that open nothing.
func TestRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t, honest)
	own, other := "/d/"+mine+"/", "/d/"+theirs+"/"
	r.desktops.ways["i-33333333333333333"] = meetings.Way{InstanceID: "i-33333333333333333", Hostname: "i-33333333333333333.desk.localhost"}
	good := "?authToken=" + url.QueryEscape("token of "+mine+".desk.localhost")
	upgrade := []string{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "MDEyMzQ1Njc4OWFiY2RlZg=="}
	for name, c := range map[string]struct {
		method, path string
		header       []string
		want         int
	}{
		"NoCookie":             {"GET", own, nil, 403},
		"CookieOfAnother":      {"GET", other, []string{"Cookie", r.cookieOf(mine)}, 403},
		"CookieMadeUp":         {"GET", own, []string{"Cookie", r.cookieOf("x")}, 403},
		"SecureNameOverHTTP":   {"GET", own, []string{"Cookie", "__Secure-" + r.cookieOf(mine)}, 403},
		"TokenOfAnother":       {"GET", other + good, nil, 403},
		"NoToken":              {"GET", own + "?authToken=", nil, 403},
		"LongToken":            {"GET", own + "?authToken=" + strings.Repeat("x", 513), nil, 403},
		"UnknownDesktop":       {"GET", "/d/i-44444444444444444/", []string{"Cookie", r.cookieOf(mine)}, 404},
		"EndedMeeting":         {"GET", "/d/i-33333333333333333/", []string{"Cookie", r.cookieOf("i-33333333333333333")}, 404},
		"NoDesktop":            {"GET", "/d/etc/", nil, 404},
		"OutOfTheDesktop":      {"GET", "/d/" + mine + "/%2e%2e/%2e%2e/", []string{"Cookie", r.cookieOf(mine)}, 404},
		"OutOfTheFiles":        {"GET", own + "static/..%2fdesktop.html", nil, 404},
		"SourceOfTheFiles":     {"GET", own + "static/.keep%00", nil, 404},
		"FilesOfNoDesktop":     {"GET", "/d/x/static/desktop.js", nil, 404},
		"AgentsOtherPages":     {"GET", own + "anything", []string{"Cookie", r.cookieOf(mine)}, 404},
		"Post":                 {"POST", own, []string{"Cookie", r.cookieOf(mine)}, 404},
		"Status":               {"GET", own + "status", nil, 403},
		"Notices":              {"GET", own + "notices", nil, 403},
		"NoticesOfAnother":     {"GET", other + "notices", []string{"Cookie", r.cookieOf(mine)}, 403},
		"EmbeddedElsewhere":    {"GET", own, []string{"Cookie", r.cookieOf(mine), "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors"}, 403},
		"FetchedFromElsewhere": {"GET", own + "status", []string{"Cookie", r.cookieOf(mine), "Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "cors"}, 403},
		"SocketWithoutCookie":  {"GET", own + "websockify", append([]string{"Origin", r.front.URL}, upgrade...), 403},
		"SocketOfElsewhere":    {"GET", own + "websockify", append([]string{"Origin", "https://elsewhere.example", "Cookie", r.cookieOf(mine)}, upgrade...), 403},
		"SocketWithoutOrigin":  {"GET", own + "websockify", append([]string{"Cookie", r.cookieOf(mine)}, upgrade...), 403},
		"SocketOfAnother":      {"GET", other + "websockify", append([]string{"Origin", r.front.URL, "Cookie", r.cookieOf(mine)}, upgrade...), 403},
		"SocketThatIsNone":     {"GET", own + "websockify", []string{"Origin", r.front.URL, "Cookie", r.cookieOf(mine)}, 426},
		"SocketToSomethingElse": {"GET", own + "websockify", []string{"Origin", r.front.URL, "Cookie", r.cookieOf(mine), "Connection", "Upgrade", "Upgrade", "h2c",
			"Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "MDEyMzQ1Njc4OWFiY2RlZg=="}, 426},
		"SocketWithBadKey": {"GET", own + "websockify", []string{"Origin", r.front.URL, "Cookie", r.cookieOf(mine), "Connection", "Upgrade", "Upgrade", "websocket",
			"Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "short"}, 426},
	} {
		t.Run(name, func(t *testing.T) {
			resp, body := r.asks(t, c.method, c.path, c.header...)
			if resp.StatusCode != c.want || strings.Contains(body, `id="screen"`) || len(resp.Cookies()) > 0 {
				t.Errorf("status %d, want %d: %s", resp.StatusCode, c.want, body)
			}
			if !strings.Contains(resp.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'") {
				t.Error("an answer may be framed")
			}
		})
	}
	if len(r.seen) != 0 {
		t.Errorf("the agent was asked %d times", len(r.seen))
	}
}

// TestAnotherKey: what answers in a desktop's place gets no request.
func TestAnotherKey(t *testing.T) {
	t.Parallel()
	r := newRig(t, honest)
	resp, _ := r.ask("GET", "/d/"+theirs+"/websockify", "Origin", r.front.URL, "Cookie", r.cookieOf(theirs), "Connection", "Upgrade", "Upgrade", "websocket",
		"Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "MDEyMzQ1Njc4OWFiY2RlZg==")
	if resp.StatusCode != http.StatusBadGateway {
		t.Errorf("status %d", resp.StatusCode)
	}
	if resp, body := r.ask("GET", "/d/"+theirs+"/version"); resp.StatusCode != http.StatusBadGateway || !strings.Contains(body, "something else answers") {
		t.Errorf("status %d %s", resp.StatusCode, body)
	}
	if len(r.seen) != 0 {
		t.Errorf("it was asked %d times", len(r.seen))
	}
}

// TestAgentLearnsNothing: no cookie, token or header of the browser's reaches the agent.
func TestAgentLearnsNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, honest)
	conn, _ := r.socket("X-Forwarded-For", "203.0.113.9", "Sec-WebSocket-Extensions", "permessage-deflate")
	echo(t, conn, "hello")
	if resp, _ := r.ask("GET", "/d/"+mine+"/version", "Cookie", r.cookieOf(mine), "Authorization", "Bearer secret-of-the-organiser"); resp.StatusCode != http.StatusOK {
		t.Errorf("the look: status %d", resp.StatusCode)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.seen) != 3 {
		t.Errorf("the agent was asked %d times", len(r.seen))
	}
	for _, q := range r.seen {
		var text strings.Builder
		_ = q.Header.Write(&text)
		for _, secret := range []string{"secret-of-the-organiser", "greenroom-desktop", "greenroom_token", "Authorization", "203.0.113.9", "permessage-deflate", r.front.URL} {
			if strings.Contains(text.String()+q.URL.String(), secret) {
				t.Errorf("%s: the agent sees %s in\n%s", q.URL, secret, text.String())
			}
		}
	}
}

// TestHostileAgent: whatever an agent answers, none of it is on the organiser's origin.
func TestHostileAgent(t *testing.T) {
	t.Parallel()
	evil := func(w http.ResponseWriter) {
		h := w.Header()
		h.Set("Content-Type", "text/html")
		h.Set("Content-Security-Policy", "default-src *")
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Clear-Site-Data", "*")
		h.Set("X-Evil", "yes")
		h.Add("Set-Cookie", "greenroom_token=evil; Path=/")
		h.Add("Set-Cookie", "greenroom-desktop="+theirs+"; Path=/d/"+theirs+"/")
	}
	answers := map[string]http.HandlerFunc{
		"Page": func(w http.ResponseWriter, _ *http.Request) {
			evil(w)
			_, _ = io.WriteString(w, "<script>evil()</script>")
		},
		"Redirect": func(w http.ResponseWriter, q *http.Request) {
			evil(w)
			http.Redirect(w, q, "https://evil.example/", http.StatusFound)
		},
		"OversizedHeader": func(w http.ResponseWriter, _ *http.Request) {
			evil(w)
			w.Header().Set("X-Long", strings.Repeat("x", 80<<10))
		},
		"EndlessBody": func(w http.ResponseWriter, q *http.Request) {
			evil(w)
			for q.Context().Err() == nil {
				if _, err := io.WriteString(w, strings.Repeat("<script>evil()</script>", 100)); err != nil {
					return
				}
			}
		},
		"Early": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", "<https://evil.example/x.js>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
			evil(w)
			w.WriteHeader(http.StatusOK)
		},
	}
	for name, answer := range answers {
		for _, from := range []string{"/", "/websockify", "/version"} {
			t.Run(name+strings.ReplaceAll(from, "/", "_"), func(t *testing.T) {
				t.Parallel()
				r := newRig(t, func(w http.ResponseWriter, q *http.Request) {
					if q.URL.Path == from {
						answer(w, q)
						return
					}
					honest(w, q)
				})
				paths := []string{"/d/" + mine + "/", "/d/" + mine + "/status", "/d/" + mine + "/websockify"}
				if from == "/version" {
					paths = []string{"/d/" + mine + "/version"} // the stream would open
				}
				for _, path := range paths {
					resp, body := r.ask("GET", path, "Origin", r.front.URL, "Cookie", r.cookieOf(mine), "Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "MDEyMzQ1Njc4OWFiY2RlZg==")
					h := resp.Header
					if strings.Contains(body, "evil") || h.Get("X-Evil") != "" || h.Get("X-Long") != "" || h.Get("Link") != "" || h.Get("Access-Control-Allow-Origin") != "" || h.Get("Clear-Site-Data") != "" || len(resp.Cookies()) > 0 || h.Get("Location") != "" {
						t.Errorf("%s: status %d, %v, %.200s", path, resp.StatusCode, h, body)
					}
					if !strings.Contains(h.Get("Content-Security-Policy"), "default-src 'none'") {
						t.Errorf("%s: the policy is %q", path, h.Get("Content-Security-Policy"))
					}
				}
			})
		}
	}
}

// TestHostileUpgrade: an agent that agrees to a WebSocket adds nothing to the answer, and one that agrees to something else is refused.
func TestHostileUpgrade(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]struct {
		line, upgrade, extra string
		opens                bool
	}{
		"Headers":       {"101 Switching Protocols", "websocket", "Set-Cookie: greenroom_token=evil; Path=/\r\nX-Evil: yes\r\nSec-WebSocket-Extensions: permessage-deflate\r\n", true},
		"OtherProtocol": {"101 Switching Protocols", "evil", "", false},
		"NoUpgrade":     {"200 OK", "websocket", "Content-Length: 0\r\n", false},
		"WrongAccept":   {"101 Switching Protocols", "websocket", "Sec-WebSocket-Accept: evil\r\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, func(w http.ResponseWriter, q *http.Request) {
				if q.URL.Path != "/websockify" {
					honest(w, q)
					return
				}
				conn, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					return
				}
				defer conn.Close()
				accept := "Sec-WebSocket-Accept: BACScCJPNqyz+UBoqMH89VmURoA=\r\n" // for the key below
				if strings.Contains(answer.extra, "Accept") {
					accept = ""
				}
				_, _ = io.WriteString(conn, "HTTP/1.1 "+answer.line+"\r\nConnection: Upgrade\r\nUpgrade: "+answer.upgrade+"\r\n"+accept+answer.extra+"\r\n")
				_, _ = io.Copy(io.Discard, conn)
			})
			conn, err := net.Dial("tcp", strings.TrimPrefix(r.front.URL, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_, _ = io.WriteString(conn, "GET /d/"+mine+"/websockify HTTP/1.1\r\nHost: x\r\nOrigin: "+r.front.URL+"\r\nCookie: "+r.cookieOf(mine)+
				"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n")
			_ = conn.SetReadDeadline(time.Now().Add(patience))
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			if (resp.StatusCode == http.StatusSwitchingProtocols) != answer.opens {
				t.Errorf("status %d", resp.StatusCode)
			}
			if resp.Header.Get("X-Evil") != "" || len(resp.Cookies()) > 0 || resp.Header.Get("Sec-WebSocket-Extensions") != "" {
				t.Errorf("header %v", resp.Header)
			}
		})
	}
}

// TestSessionIsOpenedAgain: an agent that forgot the session is shown another opening, once.
func TestSessionIsOpenedAgain(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	forget, opened := false, 0
	r := newRig(t, func(w http.ResponseWriter, q *http.Request) {
		mu.Lock()
		if q.URL.Path == "/" {
			opened++
			forget = false
		}
		no := forget && q.URL.Path == "/websockify"
		mu.Unlock()
		if no {
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		honest(w, q)
	})
	first, _ := r.socket()
	echo(t, first, "one")
	second, _ := r.socket()
	echo(t, second, "two")
	mu.Lock()
	if opened != 1 {
		t.Errorf("%d sessions for one client", opened)
	}
	forget = true
	mu.Unlock()
	third, _ := r.socket()
	echo(t, third, "three")
	if opened != 2 {
		t.Errorf("%d sessions after one was forgotten", opened)
	}
}

// TestRevoked: a pass that is no good any more closes what it opened.
func TestRevoked(t *testing.T) {
	t.Parallel()
	r := newRig(t, honest)
	conn, _ := r.socket()
	echo(t, conn, "hello")
	r.desktops.change(func() { r.desktops.revoked[mine] = true })
	r.hub.PublishAll()
	ends(t, conn)
}

// TestGone: the desktop's page gets time to say goodbye, and then the stream ends.
func TestGone(t *testing.T) {
	t.Parallel()
	r := newRig(t, honest)
	conn, _ := r.socket()
	echo(t, conn, "hello")
	r.desktops.change(func() { delete(r.desktops.ways, mine) })
	r.hub.PublishAll()
	echo(t, conn, "goodbye")
	ends(t, conn)
}

func TestNotices(t *testing.T) {
	t.Parallel()
	r := newRig(t, honest)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.front.URL+"/d/"+mine+"/notices", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Cookie", r.cookieOf(mine))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	next := func(words string) {
		t.Helper()
		for lines.Scan() {
			if strings.Contains(lines.Text(), words) {
				return
			}
		}
		t.Fatalf("no %q (%v)", words, lines.Err())
	}
	next(`"return_url":"https://lab.example/join/m/teacher"`)
	r.desktops.change(func() { r.desktops.outlook = agentapi.Orders{Ending: "The meeting is over.", Retired: true} })
	r.hub.PublishAll()
	next(`"ending":"The meeting is over."`)
	for lines.Scan() {
	}
	if err := lines.Err(); err != nil {
		t.Error(err)
	}
	if len(r.seen) != 0 {
		t.Errorf("the agent was asked %d times", len(r.seen))
	}
}

// TestDrain: a server that stops lets open streams end by themselves, lets nobody in, and cuts what is left.
func TestDrain(t *testing.T) {
	t.Parallel()
	r := newRig(t, honest)
	conn, _ := r.socket()
	echo(t, conn, "hello")
	r.stop()
	for {
		if other, resp := r.socket(); other == nil {
			if resp.StatusCode != http.StatusServiceUnavailable {
				t.Errorf("while stopping: status %d", resp.StatusCode)
			}
			break
		}
	}
	ends(t, conn)
	<-r.stopped
}
