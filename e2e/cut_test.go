package e2e

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"greenroom/internal/httpapi/wire"
)

// cutIn is how soon those inside are cut off.
const cutIn = 3 * time.Second

// guest is a browser that is on a seat's desktop, with a token that it has not used yet.
type guest struct {
	browser *http.Client
	origin  string
	unused  string // entry URL
	screen  *websocket.Conn
	stream  io.ReadCloser // of the desktop's notices
}

// enters opens the desktop by the seat's link.
func (s *instance) enters(t *testing.T, link string) *guest {
	t.Helper()
	way := func() (out wire.Entry) {
		if err := fetch(t.Context(), http.MethodPost, strings.Replace(link, "/join/", "/api/v1/join/", 1), &out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	entry := way()
	u, err := url.Parse(entry.URL)
	if err != nil {
		t.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	g := &guest{origin: u.Scheme + "://" + u.Host, unused: way().URL}
	g.browser = &http.Client{Jar: jar, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.authority()}, DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", s.ports[1])
		}}}
	if got := g.get(t, entry.URL); got != http.StatusOK {
		t.Fatalf("the desktop: %d", got)
	}
	if g.screen, _ = g.open(t, "?mode=takeover"); g.screen == nil {
		t.Fatal("the screen does not open")
	}
	resp, err := g.browser.Get(g.origin + "/notices")
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal("notices: ", err)
	}
	g.stream = resp.Body
	t.Cleanup(func() { _ = g.screen.CloseNow(); g.stream.Close() })
	return g
}

func (g *guest) get(t *testing.T, address string) int {
	t.Helper()
	resp, err := g.browser.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

func (g *guest) open(t *testing.T, query string) (*websocket.Conn, int) {
	t.Helper()
	conn, resp, err := websocket.Dial(t.Context(), g.origin+"/websockify"+query, &websocket.DialOptions{HTTPClient: g.browser, Subprotocols: []string{"binary"}, HTTPHeader: http.Header{"Origin": {g.origin}}})
	switch {
	case err == nil:
		return conn, resp.StatusCode
	case resp == nil:
		return nil, 0
	}
	return nil, resp.StatusCode
}

// isCut waits until the screen is closed, within the time, and returns the code of that.
func (g *guest) isCut(t *testing.T) websocket.StatusCode {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), cutIn)
	defer cancel()
	for {
		if _, _, err := g.screen.Read(ctx); err != nil {
			if ctx.Err() != nil {
				t.Fatalf("the screen is still open after %s", cutIn)
			}
			return websocket.CloseStatus(err)
		}
	}
}

// isOut checks that nothing that the guest has opens the desktop any more.
func (g *guest) isOut(t *testing.T) {
	t.Helper()
	if conn, status := g.open(t, "?mode=takeover"); conn != nil {
		_ = conn.CloseNow()
		t.Errorf("the cookie opens a screen: %d", status)
	}
	if got := g.get(t, g.origin+"/status"); got < 400 {
		t.Errorf("the cookie opens the status: %d", got)
	}
	if got := g.get(t, g.unused); got < 400 {
		t.Errorf("an unused token opens the desktop: %d", got)
	}
}

// TestReplacedLinkCutsThoseInside: a new link ends keys, tokens, cookies and open connections within three seconds, or leaves those
// inside alone if the organiser says so; so do the end of the seat and of the meeting.
func TestReplacedLinkCutsThoseInside(t *testing.T) {
	for _, access := range []string{"direct", "gateway"} {
		t.Run(access, func(t *testing.T) {
			t.Parallel()
			s := newInstance(t)
			file := filepath.Join(s.data, "greenroom.yaml")
			write(t, file, "access: "+access+"\n")
			s.args = []string{"--config", file}
			s.start()
			m := s.live("Cut")
			seat := m.Seats[0]

			inside := s.enters(t, seat.JoinURL)
			m, err := s.api.ReissueKey(t.Context(), m.ID, seat.ID, wire.NewLink{Connections: "keep"})
			if err != nil {
				t.Fatal(err)
			}
			if got := inside.get(t, inside.origin+"/status"); got != http.StatusOK {
				t.Errorf("kept: %d", got)
			}
			if got := inside.get(t, inside.unused); got < 400 {
				t.Errorf("kept: an unused token opens the desktop: %d", got)
			}

			inside = s.enters(t, m.Seats[0].JoinURL)
			began := time.Now()
			if m, err = s.api.ReissueKey(t.Context(), m.ID, seat.ID, wire.NewLink{}); err != nil {
				t.Fatal(err)
			}
			if code := inside.isCut(t); code != 4403 {
				t.Errorf("the screen was closed with %d", code)
			}
			if _, err := io.Copy(io.Discard, inside.stream); err == nil && time.Since(began) > cutIn {
				t.Errorf("the notices ended after %s", time.Since(began))
			}
			t.Logf("cut after %s", time.Since(began).Round(time.Millisecond))
			inside.isOut(t)

			inside = s.enters(t, m.Seats[0].JoinURL)
			s.until("the connection to be listed", func(ctx context.Context) bool {
				m, _ = s.meeting(ctx, m.ID)
				return len(m.Seats[0].Desktop.Connections) == 1
			})
			c := m.Seats[0].Desktop.Connections[0]
			if c.Client != "127.0.0.1" || c.Role != "owner" || time.Since(c.Since) > time.Minute {
				t.Errorf("%+v", c)
			}
			if _, err := s.api.Disconnect(t.Context(), m.ID, seat.ID, c.ID); err != nil {
				t.Fatal(err)
			}
			if code := inside.isCut(t); code != 4403 {
				t.Errorf("the screen was closed with %d", code)
			}
			if got := inside.get(t, inside.origin+"/status"); got < 400 {
				t.Errorf("the cookie opens the status: %d", got)
			}

			inside = s.enters(t, m.Seats[0].JoinURL)
			if _, err := s.api.RemoveSeat(t.Context(), m.ID, seat.ID, true); err != nil {
				t.Fatal(err)
			}
			inside.isCut(t)

			inside = s.enters(t, m.Seats[1].JoinURL)
			if _, err := s.api.End(t.Context(), m.ID); err != nil {
				t.Fatal(err)
			}
			inside.isCut(t)
		})
	}
}
