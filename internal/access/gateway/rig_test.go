package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/pires/go-proxyproto"

	"greenroom"
	"greenroom/internal/access/gateway"
	"greenroom/internal/certs/localca"
	"greenroom/internal/meetings"
	"greenroom/internal/plan"
	"greenroom/internal/store/memstore"
)

const (
	zone    = "desk.test"
	patient = 30 * time.Second // longer than anything takes that works
)

// rig is a gateway on a real listener, with the real use cases over a store in memory, and two desktops that speak
// HTTPS with keys of their own.
type rig struct {
	tb        testing.TB
	service   *meetings.Service
	store     *memstore.Store
	authority *localca.Authority
	keeper    *gateway.Keeper
	gateway   *gateway.Gateway
	address   string // of the gateway
	port      int    // of the desktops
	stop      func() // ends the gateway and waits for it
	meeting   string
	teacher   *desktop
	student   *desktop
}

// desktop is what stands behind the gateway.
type desktop struct {
	role, host, ip string
	key            *ecdsa.PrivateKey
	got            chan *http.Request // what came, if anybody takes it
	server         *http.Server
	certificate    func() (*tls.Certificate, error)
}

func newRig(tb testing.TB, change ...func(*gateway.Options)) *rig {
	tb.Helper()
	r := &rig{tb: tb, store: memstore.New()}
	var err error
	if r.authority, err = localca.Open(tb.TempDir(), zone); err != nil {
		tb.Fatal(err)
	}
	r.service = meetings.New(meetings.Options{
		Store: r.store, Blueprints: []greenroom.Blueprint{greenroom.DefaultBlueprint()}, Kick: func(string) {}, Explainer: noPlan{},
		Issuer: r.authority, Keys: meetings.Keys{Master: []byte("a master key for tests")},
		Links: meetings.Links{PublicURL: "http://public.test", ControlURL: "http://control.test", DesktopPort: 443, Zone: zone}, Logger: slog.New(slog.DiscardHandler),
	})
	m, _, err := r.service.Schedule(tb.Context(), meetings.Schedule{Title: "Algebra", StartsAt: "now"}, "")
	if err != nil {
		tb.Fatal(err)
	}
	r.meeting = m.ID
	r.teacher, r.student = &desktop{role: "teacher", ip: "127.0.0.1"}, &desktop{role: "student", ip: "127.0.0.2"}
	r.port = r.startDesktop(r.teacher, 0)
	r.startDesktop(r.student, r.port)
	r.stand(r.teacher, greenroom.Ready)
	r.stand(r.student, greenroom.Ready)

	r.keeper = &gateway.Keeper{Issue: r.authority.IssueWildcard, Life: time.Hour, Logger: slog.New(slog.DiscardHandler)}
	if err := r.keeper.Open(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	o := gateway.Options{Desktops: r.service, Zone: zone, GetCertificate: r.keeper.Certificate, Port: r.port, Logger: slog.New(slog.DiscardHandler), Drain: 50 * time.Millisecond}
	for _, c := range change {
		c(&o)
	}
	r.gateway = gateway.New(o)
	l := listen(tb, "127.0.0.1:0")
	r.address = l.Addr().String()
	ctx, cancel := context.WithCancel(context.WithoutCancel(tb.Context()))
	done := make(chan error, 1)
	go func() { done <- r.gateway.Serve(ctx, l) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				tb.Errorf("serve: %v", err)
			}
		case <-time.After(patient):
			tb.Error("the gateway does not stop")
		}
	})
	tb.Cleanup(r.stop)
	return r
}

type noPlan struct{}

func (noPlan) Explain(context.Context, string) (plan.Decision, error) { return plan.Decision{}, nil }

func listen(tb testing.TB, address string) net.Listener {
	tb.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { l.Close() })
	return l
}

// stand puts a seat's desktop into a phase, as Advance would have.
func (r *rig) stand(d *desktop, phase greenroom.Phase) {
	r.tb.Helper()
	r.alter(func(m *greenroom.Meeting) {
		seat := m.Seat(d.role)
		at := &seat.Desktop
		at.Phase, at.InstanceID, at.Address = phase, greenroom.InstanceIDFromToken(m.Handle(seat).Token()), d.ip
		at.Hostname, at.KillAt, at.Agent.KeyHash = at.InstanceID+"."+zone, time.Now().Add(time.Hour), keyHash(r.tb, d.key)
		at.Timings[phase], at.Trust.ProvedAt = time.Now(), time.Now().Add(time.Hour)
		d.host = at.Hostname
	})
}

func (r *rig) alter(f func(m *greenroom.Meeting)) {
	r.tb.Helper()
	for {
		m, err := r.store.Meeting(r.tb.Context(), r.meeting)
		if err != nil {
			r.tb.Fatal(err)
		}
		f(&m)
		if _, err = r.store.Update(r.tb.Context(), m, nil); errors.Is(err, greenroom.ErrConflict) {
			continue
		}
		if err != nil {
			r.tb.Fatal(err)
		}
		return
	}
}

func keyHash(tb testing.TB, key *ecdsa.PrivateKey) string {
	tb.Helper()
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		tb.Fatal(err)
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// startDesktop serves as an agent does: behind a PROXY header, over HTTPS with a key of its own.
func (r *rig) startDesktop(d *desktop, port int) int {
	r.tb.Helper()
	d.got = make(chan *http.Request, 64)
	l := listen(r.tb, fmt.Sprintf("%s:%d", d.ip, port))
	d.key = newKey(r.tb)
	d.certificate = sync.OnceValues(func() (*tls.Certificate, error) { return r.certify(d.key, d.host) })
	d.server = &http.Server{
		Handler: http.HandlerFunc(d.serve), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
		TLSConfig: &tls.Config{NextProtos: []string{"http/1.1"}, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return d.certificate()
		}},
	}
	d.server.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){}
	go func() {
		_ = d.server.ServeTLS(&proxyproto.Listener{Listener: l, ReadHeaderTimeout: patient, ConnPolicy: optional}, "", "")
	}()
	r.tb.Cleanup(func() { d.server.Close() })
	return l.Addr().(*net.TCPAddr).Port
}

// optional lets peers in that cannot tell whose connection they pass on.
func optional(proxyproto.ConnPolicyOptions) (proxyproto.Policy, error) { return proxyproto.USE, nil }

func newKey(tb testing.TB) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func (r *rig) certify(key *ecdsa.PrivateKey, host string) (*tls.Certificate, error) {
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return nil, err
	}
	chain, err := r.authority.Issue(context.Background(), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), host, time.Now().Add(time.Hour))
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(chain)
	return &tls.Certificate{Certificate: [][]byte{block.Bytes}, PrivateKey: key}, nil
}

// serve answers as an agent does where it matters here.
func (d *desktop) serve(w http.ResponseWriter, r *http.Request) {
	select {
	case d.got <- r.Clone(context.Background()):
	default:
	}
	switch r.URL.Path {
	case "/":
		if r.URL.Query().Has("authToken") { // takes the token out of the address
			http.SetCookie(w, &http.Cookie{Name: "__Host-greenroom", Value: "session", Path: "/", Secure: true, HttpOnly: true})
			http.Redirect(w, r, "/", http.StatusSeeOther)
			return
		}
		fmt.Fprintf(w, "desktop of the %s", d.role)
	case "/version":
		fmt.Fprintln(w, "greenroom desktop")
	case "/echo":
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"header": r.Header, "client": r.RemoteAddr, "body": len(body), "host": r.Host})
	case "/greedy": // sets what is not its to set
		for _, c := range []string{"theme=dark; Path=/", "bad=1; Domain=" + zone, "__Host-greenroom-edge=forged; Path=/; Secure"} {
			w.Header().Add("Set-Cookie", c)
		}
	case "/stream":
		w.Header().Set("Content-Type", "text/event-stream")
		for i := 0; ; i++ {
			if _, err := fmt.Fprintf(w, "data: %d\n\n", i); err != nil {
				return
			}
			w.(http.Flusher).Flush()
			select {
			case <-r.Context().Done():
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	case "/bulk":
		w.Header().Set("Content-Length", fmt.Sprint(bulk))
		chunk := make([]byte, 64<<10)
		for range bulk / len(chunk) {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	case "/websockify":
		d.websocket(w, r)
	default:
		http.NotFound(w, r)
	}
}

const bulk = 64 << 20 // bytes of one answer

// websocket says back what it is told. To "flood N" it answers with N messages of 64 KiB, to "bye" with its end.
func (d *desktop) websocket(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"binary"}, CompressionMode: websocket.CompressionDisabled, InsecureSkipVerify: true})
	if err != nil {
		return
	}
	defer func() { _ = conn.CloseNow() }()
	conn.SetReadLimit(-1)
	chunk := bytes.Repeat([]byte("0123456789abcdef"), 4<<10)
	for {
		kind, data, err := conn.Read(r.Context())
		if err != nil {
			return
		}
		var n int
		switch {
		case string(data) == "bye":
			_ = conn.Close(websocket.StatusGoingAway, "bye")
			return
		case bytes.HasPrefix(data, []byte("flood")):
			if _, err := fmt.Sscanf(string(data), "flood %d", &n); err != nil {
				return
			}
			for range n {
				if conn.Write(r.Context(), websocket.MessageBinary, chunk) != nil {
					return
				}
			}
		default:
			if conn.Write(r.Context(), kind, data) != nil {
				return
			}
		}
	}
}

// token enters the lobby for a desktop and returns the token of the way in.
func (r *rig) token(d *desktop) string {
	r.tb.Helper()
	m, err := r.store.Meeting(r.tb.Context(), r.meeting)
	if err != nil {
		r.tb.Fatal(err)
	}
	st, err := r.service.Enter(r.tb.Context(), r.meeting, d.role, m.Seat(d.role).Key, "192.0.2.1")
	if err != nil {
		r.tb.Fatal(err)
	}
	u, err := url.Parse(st.URL)
	if err != nil || u.Hostname() != d.host {
		r.tb.Fatalf("the way in is %q: %v", st.URL, err)
	}
	return u.Query().Get("authToken")
}

func (r *rig) roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(r.authority.RootPEM())
	return pool
}

// browser keeps cookies, follows no redirect, and goes to the gateway for every name.
type browser struct {
	*http.Client
	tb testing.TB
}

// browser returns one that comes from the address, with HTTP/2 or without.
func (r *rig) browser(from string, http2 bool) browser {
	r.tb.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		r.tb.Fatal(err)
	}
	d := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: r.roots()}, ForceAttemptHTTP2: http2,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return d.DialContext(ctx, network, r.address)
		},
	}
	r.tb.Cleanup(transport.CloseIdleConnections)
	return browser{tb: r.tb, Client: &http.Client{Jar: jar, Transport: transport, Timeout: patient,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// reply is what came back, with its body read.
type reply struct {
	*http.Response
	body string
}

func (b browser) do(method, address string, body io.Reader, headers ...string) reply {
	b.tb.Helper()
	req, err := http.NewRequest(method, address, body)
	if err != nil {
		b.tb.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
	}
	resp, err := b.Do(req)
	if err != nil {
		b.tb.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.tb.Fatal(err)
	}
	return reply{resp, string(text)}
}

func (b browser) get(address string, headers ...string) reply {
	b.tb.Helper()
	return b.do("GET", address, nil, headers...)
}

// enter comes in with a fresh token.
func (r *rig) enter(b browser, d *desktop) {
	r.tb.Helper()
	got := b.get("https://" + d.host + "/?authToken=" + r.token(d))
	if got.StatusCode != http.StatusSeeOther || got.Header.Get("Location") != "/" {
		r.tb.Fatalf("entering: %s to %q: %s", got.Status, got.Header.Get("Location"), got.body)
	}
	if strings.Contains(got.Header.Get("Location"), "authToken") {
		r.tb.Fatal("the token stays in the address")
	}
}

// dialSocket opens the way to the screen with the browser's cookies.
func (b browser) dialSocket(ctx context.Context, d *desktop, origin string) (*websocket.Conn, int) {
	b.tb.Helper()
	conn, resp, err := websocket.Dial(ctx, "https://"+d.host+"/websockify", &websocket.DialOptions{
		HTTPClient: &http.Client{Jar: b.Jar, Transport: b.Transport}, Subprotocols: []string{"binary"}, HTTPHeader: http.Header{"Origin": {origin}}})
	if err != nil && resp == nil {
		b.tb.Fatal(err)
	}
	if err != nil {
		return nil, resp.StatusCode
	}
	conn.SetReadLimit(-1)
	b.tb.Cleanup(func() { _ = conn.CloseNow() })
	return conn, resp.StatusCode
}

// socket is dialSocket as the desktop's own page does it, which must work.
func (b browser) socket(d *desktop) *websocket.Conn {
	b.tb.Helper()
	conn, status := b.dialSocket(b.tb.Context(), d, "https://"+d.host)
	if conn == nil {
		b.tb.Fatalf("no WebSocket: status %d", status)
	}
	return conn
}

// echo says text on the socket and wants it back.
func echo(tb testing.TB, conn *websocket.Conn, text string) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patient)
	defer cancel()
	if err := conn.Write(ctx, websocket.MessageBinary, []byte(text)); err != nil {
		tb.Fatal(err)
	}
	if _, got, err := conn.Read(ctx); err != nil || string(got) != text {
		tb.Fatalf("said %d bytes, got %d back: %v", len(text), len(got), err)
	}
}

// raw is a TLS connection to the gateway for the desktop's name, to say what no client would.
func (r *rig) raw(name string) (*tls.Conn, *bufio.Reader) {
	r.tb.Helper()
	conn, err := tls.Dial("tcp", r.address, &tls.Config{ServerName: name, RootCAs: r.roots()})
	if err != nil {
		r.tb.Fatal(err)
	}
	r.tb.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patient))
	return conn, bufio.NewReader(conn)
}

// poll waits until ok.
func poll(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	deadline, tick := time.After(patient), time.NewTicker(2*time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			tb.Fatalf("waited in vain for: %s", what)
		case <-tick.C:
		}
	}
}
