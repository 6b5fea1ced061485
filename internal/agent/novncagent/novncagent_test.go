package novncagent_test

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/pires/go-proxyproto"

	"greenroom/internal/agent/agenttest"
)

func TestEntry(t *testing.T) {
	t.Parallel()
	m := boot(t, "xterm")
	m.control.AwaitReady(t, m.handle)

	t.Run("WithoutTokenLeadsToTheLobby", func(t *testing.T) {
		status, header, body, err := m.browser(t, "192.0.2.1").Get("/")
		if err != nil || status != http.StatusUnauthorized || !strings.Contains(body, m.control.URL()+"/join/") {
			t.Errorf("%d %v %s", status, err, body)
		}
		for name, want := range map[string]string{"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff", "Strict-Transport-Security": ""} {
			if got := header.Get(name); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
		if csp := header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'; script-src 'self';") {
			t.Errorf("policy is %q", csp)
		}
	})

	t.Run("BadTokensAreRefused", func(t *testing.T) {
		for _, token := range []string{"", "nonsense", strings.Repeat("x", 600), "%00"} {
			status, _, body, err := m.browser(t, "192.0.2.1").Get("/?authToken=" + token)
			if err != nil || status != http.StatusForbidden {
				t.Errorf("token %q: %d %v %s", token, status, err, body)
			}
		}
	})

	t.Run("ABrowserWithoutCookiesIsToldSo", func(t *testing.T) {
		b := m.browser(t, "192.0.2.1")
		if status, _, body, err := b.Get("/?entered"); err != nil || status != http.StatusUnauthorized || !strings.Contains(body, "opened without a token") {
			t.Errorf("before anybody came: %d %v %s", status, err, body)
		}
		if _, err := m.browser(t, "192.0.2.1").Visit("/?authToken=" + m.control.NewToken(m.handle)); err != nil {
			t.Fatal(err)
		}
		status, _, body, err := b.Get("/?entered")
		if err != nil || status != http.StatusUnauthorized || !strings.Contains(body, "Your browser blocks cookies") || !strings.Contains(body, "data-back") {
			t.Errorf("%d %v %s", status, err, body)
		}
	})

	t.Run("GoodTokenOpensAndLeavesTheAddressBar", func(t *testing.T) {
		b := m.browser(t, "192.0.2.1")
		token := m.control.NewToken(m.handle)
		resp, err := b.Visit("/?authToken=" + token)
		if err != nil {
			t.Fatal(err)
		}
		want := "; Path=/; HttpOnly; Secure; SameSite=Lax"
		if cookie := resp.Header.Get("Set-Cookie"); resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/?entered" ||
			!strings.HasPrefix(cookie, "__Host-greenroom=") || !strings.HasSuffix(cookie, want) {
			t.Errorf("%d to %q with %q", resp.StatusCode, resp.Header.Get("Location"), cookie)
		}
		if status, _, body, err := b.Get("/"); err != nil || status != http.StatusOK && status != noBundle {
			t.Errorf("the page: %d %v %s", status, err, body)
		}
		if status, _, _, _ := b.Get("/?authToken=" + token); status != http.StatusOK && status != noBundle {
			t.Errorf("the token again: %d", status)
		}
		if status, _, _, _ := m.browser(t, "192.0.2.2").Get("/?authToken=" + token); status != http.StatusForbidden {
			t.Errorf("the token from elsewhere: %d", status)
		}
	})

	t.Run("WithoutHeaderThePeersOwnAddressCounts", func(t *testing.T) {
		token := m.control.NewToken(m.handle)
		if status, _, _, err := m.browser(t, "").Get("/?authToken=" + token); err != nil || status != http.StatusOK && status != noBundle {
			t.Fatalf("%d %v", status, err)
		}
		m.control.Change(m.handle, func(k *agenttest.Machine) {
			if got := k.Tokens[token]; got != "127.0.0.1" {
				t.Errorf("the verifier was told %q", got)
			}
		})
	})

	t.Run("HeaderOfAStrangerIsNotBelieved", func(t *testing.T) {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
		conn, err := d.DialContext(t.Context(), "tcp", m.address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		from := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1}
		if _, err := proxyproto.HeaderProxyFromAddrs(2, from, conn.RemoteAddr()).WriteTo(conn); err != nil {
			t.Fatal(err)
		}
		host := agenttest.Hostname(m.handle.Token())
		if err := tls.Client(conn, &tls.Config{RootCAs: m.control.Roots, ServerName: host}).HandshakeContext(t.Context()); err == nil {
			t.Error("the handshake went on after the header")
		}
	})
}

func TestWebSocket(t *testing.T) {
	t.Parallel()
	m := boot(t, "xterm")
	m.control.AwaitReady(t, m.handle)
	b := m.entered(t)

	for name, c := range map[string]struct {
		browser *agenttest.Browser
		origin  string
		want    int
	}{
		"WithoutSession":     {m.browser(t, "192.0.2.1"), b.Origin(), http.StatusUnauthorized},
		"FromAnotherOrigin":  {b, "https://example.com", http.StatusForbidden},
		"FromAnotherPort":    {b, "https://" + b.Host, http.StatusForbidden},
		"WithoutOrigin":      {b, "", http.StatusForbidden},
		"FromTheDesktopPage": {b, b.Origin(), http.StatusSwitchingProtocols},
	} {
		t.Run(name, func(t *testing.T) {
			conn, status := c.browser.WebSocket(t.Context(), c.origin)
			if status != c.want {
				t.Errorf("status %d, want %d", status, c.want)
			}
			if conn == nil {
				return
			}
			defer conn.CloseNow()
			frame, err := agenttest.Look(t.Context(), conn)
			if err != nil || frame.Width != 1024 || frame.Height != 768 || frame.Colours < 3 {
				t.Errorf("it sees %+v, %v", frame, err)
			}
		})
	}

	t.Run("NinthIsTurnedAway", func(t *testing.T) {
		m.control.Await(t, m.handle, "no connection", func(k *agenttest.Machine) bool { return len(k.Report.Connections) == 0 })
		var last int
		for range 9 {
			conn, status := b.Screen(t.Context(), b.Origin(), "?mode=watch")
			if conn != nil {
				defer conn.CloseNow()
			}
			last = status
		}
		if last != http.StatusServiceUnavailable {
			t.Errorf("the ninth connection: %d", last)
		}
	})

	t.Run("StatusAndNoticesNeedASession", func(t *testing.T) {
		stranger := m.browser(t, "192.0.2.1")
		for _, path := range []string{"/status", "/notices"} {
			if status, _, _, err := stranger.Get(path); err != nil || status != http.StatusUnauthorized {
				t.Errorf("%s: %d %v", path, status, err)
			}
		}
	})
}

func TestControlPlane(t *testing.T) {
	t.Parallel()

	t.Run("AwayIsSaidAndTriedAgain", func(t *testing.T) {
		t.Parallel()
		m := boot(t)
		m.control.AwaitReady(t, m.handle)
		m.control.Stop()
		status, _, body, err := m.browser(t, "192.0.2.1").Get("/?authToken=some")
		if err != nil || status != http.StatusServiceUnavailable || !strings.Contains(body, `content="2;url=/?authToken=some"`) {
			t.Errorf("%d %v %s", status, err, body)
		}
	})

	t.Run("RetiredDesktopEndsWell", func(t *testing.T) {
		t.Parallel()
		m := boot(t, "xterm")
		m.control.AwaitReady(t, m.handle)
		m.control.Change(m.handle, func(k *agenttest.Machine) { k.Orders.Retired = true })
		b := m.entered(t)
		conn, _ := b.WebSocket(t.Context(), b.Origin()) // which is reported
		if conn != nil {
			defer conn.CloseNow()
		}
		select {
		case <-m.ended:
		case <-time.After(20 * time.Second):
			t.Fatal("it lives on")
		}
		if m.err != nil {
			t.Errorf("it ended with %v", m.err)
		}
	})

	t.Run("CertificateIsRenewedWhileServing", func(t *testing.T) {
		t.Parallel()
		control := agenttest.NewControlPlane(t)
		control.CertificateLife = 6 * time.Second
		m := bootUntil(t, time.Now().Add(time.Hour), control)
		m.control.AwaitReady(t, m.handle)
		first := m.serial(t)
		agenttest.Eventually(t, "another certificate", func() bool { return m.serial(t) != first })
	})

	t.Run("AnAuthorityThatIsSlowAndNeedsTheNameServesInTheEnd", func(t *testing.T) {
		t.Parallel()
		control := agenttest.NewControlPlane(t)
		control.Slow = true
		m := bootUntil(t, time.Now().Add(time.Hour), control)
		control.Await(t, m.handle, "a certificate", func(k *agenttest.Machine) bool { return k.Signed > 0 && k.Asked > 1 })
		agenttest.Eventually(t, "the certificate to be served", func() bool {
			conn, err := tls.Dial("tcp", m.address, &tls.Config{RootCAs: control.Roots, ServerName: agenttest.Hostname(m.handle.Token())})
			if err != nil {
				return false
			}
			return conn.Close() == nil
		})
	})

	t.Run("LostAtFirstIsFoundLater", func(t *testing.T) {
		t.Parallel()
		control := agenttest.NewControlPlane(t)
		elsewhere := control.URL()
		control.Stop()
		m := bootUntil(t, time.Now().Add(time.Hour), control)
		for control.Move(); control.URL() == elsewhere; { // it may have come back where it was
			control.Move()
		}
		data := m.control.UserData(m.handle, time.Now().Add(time.Hour))
		path := m.dir + "/user-data.json"
		if err := errors.Join(os.WriteFile(path+".tmp", data, 0o600), os.Rename(path+".tmp", path)); err != nil {
			t.Fatal(err)
		}
		m.control.AwaitReady(t, m.handle)
	})
}

// serial is that of the certificate that is served now.
func (m *machine) serial(t *testing.T) string {
	t.Helper()
	conn, err := tls.Dial("tcp", m.address, &tls.Config{RootCAs: m.control.Roots, ServerName: agenttest.Hostname(m.handle.Token())})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

func TestEnd(t *testing.T) {
	t.Parallel()

	t.Run("StopIsQuickAndClean", func(t *testing.T) {
		t.Parallel()
		m := boot(t, "xterm", "trap '' TERM HUP INT; while :; do sleep 1; done")
		m.control.AwaitReady(t, m.handle)
		b := m.entered(t)
		conn, _ := b.WebSocket(t.Context(), b.Origin())
		if conn == nil {
			t.Fatal("no websocket")
		}
		defer conn.CloseNow()
		told := make(chan error, 1)
		go func() {
			for {
				if _, _, err := conn.Read(t.Context()); err != nil {
					told <- err
					return
				}
			}
		}()
		if took := m.stop(t); took > 3*time.Second { // two, and one for a busy machine
			t.Errorf("the end took %s", took)
		}
		if m.err != nil {
			t.Errorf("it ended with %v", m.err)
		}
		var closed websocket.CloseError
		if err := <-told; !errors.As(err, &closed) || closed.Code != websocket.StatusGoingAway || closed.Reason == "" {
			t.Errorf("the page was told %v", err)
		}
	})

	t.Run("HalfOpenPeerDoesNotDelayIt", func(t *testing.T) {
		t.Parallel()
		m := boot(t)
		m.control.AwaitReady(t, m.handle)
		b := m.entered(t)
		conn, _ := b.WebSocket(t.Context(), b.Origin()) // nobody reads it, so nobody answers the goodbye
		if conn == nil {
			t.Fatal("no websocket")
		}
		defer conn.CloseNow()
		if took := m.stop(t); took > 3*time.Second {
			t.Errorf("the end took %s", took)
		}
	})

	t.Run("AfterKillTimeNothingIsLeft", func(t *testing.T) {
		t.Parallel()
		m := bootUntil(t, time.Now().Add(2*time.Second), agenttest.NewControlPlane(t), "xterm")
		m.control.Stop()
		select {
		case <-m.ended:
		case <-time.After(20 * time.Second):
			t.Fatal("it lives on")
		}
		if _, err := os.Stat(m.dir); m.err != nil || !os.IsNotExist(err) {
			t.Errorf("it ended with %v; its directory: %v", m.err, err)
		}
	})
}

func TestNotReady(t *testing.T) {
	t.Parallel()
	m := boot(t, "no-such-program")
	m.control.Await(t, m.handle, "the error", func(k *agenttest.Machine) bool { return k.Report.Permanent })
	if status, _, _, err := m.browser(t, "192.0.2.1").Get("/version"); err != nil || status != http.StatusServiceUnavailable {
		t.Errorf("the probe sees %d %v", status, err)
	}
	m.control.Change(m.handle, func(k *agenttest.Machine) {
		if !strings.Contains(k.Report.Error, "no program no-such-program") {
			t.Errorf("the report says %q", k.Report.Error)
		}
	})
}
