package novncagent_test

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"greenroom/internal/agent/agentapi"
	"greenroom/internal/agent/agenttest"
)

// enteredFrom is a browser at that address that is in.
func (m *machine) enteredFrom(t *testing.T, source string) *agenttest.Browser {
	t.Helper()
	b := m.browser(t, source)
	if status, _, body, err := b.Get("/?authToken=" + m.control.NewToken(m.handle)); err != nil || status >= 400 && status != noBundle {
		t.Fatalf("enter: %d %v %s", status, err, body)
	}
	return b
}

// viewer is an open screen.
type viewer struct {
	net.Conn
	frame agenttest.Frame // the first
}

// begun opens the screen, which must work.
func begun(t *testing.T, b *agenttest.Browser, query string) viewer {
	t.Helper()
	conn, status := b.Screen(t.Context(), b.Origin(), query)
	if conn == nil {
		t.Fatalf("websockify%s: %d", query, status)
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	return viewer{Conn: websocket.NetConn(t.Context(), conn, websocket.MessageBinary)}
}

// screen opens the screen and looks at it.
func screen(t *testing.T, b *agenttest.Browser, query string) viewer {
	t.Helper()
	v := begun(t, b, query)
	frame, err := agenttest.See(v)
	if err != nil {
		t.Fatalf("websockify%s: %v", query, err)
	}
	v.frame = frame
	return v
}

// closed reads until the connection is closed by the desktop.
func closed(t *testing.T, v viewer) websocket.CloseError {
	t.Helper()
	late := time.AfterFunc(20*time.Second, func() { v.Close() })
	defer late.Stop()
	var why websocket.CloseError
	if _, err := io.Copy(io.Discard, v); !errors.As(err, &why) {
		t.Fatalf("it ended with %v", err)
	}
	return why
}

func (m *machine) awaitRoles(t *testing.T, want ...string) {
	t.Helper()
	m.control.Await(t, m.handle, "connections "+strings.Join(want, ", "), func(k *agenttest.Machine) bool {
		var got []string
		for _, c := range k.Report.Connections {
			got = append(got, c.Role+" "+c.Client)
		}
		return strings.Join(got, ", ") == strings.Join(want, ", ")
	})
}

func TestSecondBrowser(t *testing.T) {
	t.Parallel()
	m := boot(t, "xterm")
	m.control.AwaitReady(t, m.handle)
	first, second := m.enteredFrom(t, "192.0.2.1"), m.enteredFrom(t, "192.0.2.2")
	one := screen(t, first, "?mode=ask")
	m.awaitRoles(t, "owner 192.0.2.1")

	t.Run("WithoutAModeItIsRefused", func(t *testing.T) {
		if conn, status := second.WebSocket(t.Context(), second.Origin()); conn != nil || status != http.StatusConflict {
			t.Errorf("status %d", status)
		}
		if conn, status := second.Screen(t.Context(), second.Origin(), "?mode=own"); conn != nil || status != http.StatusBadRequest {
			t.Errorf("an unknown mode: %d", status)
		}
	})
	t.Run("ThePageIsAsked", func(t *testing.T) {
		if why := closed(t, begun(t, second, "?mode=ask")); why.Code != 4409 || !strings.Contains(why.Reason, `"client":"192.0.2.1"`) {
			t.Errorf("%v", why)
		}
		m.awaitRoles(t, "owner 192.0.2.1")
	})
	t.Run("WhoWatchesCannotAct", func(t *testing.T) {
		conn := screen(t, second, "?mode=watch")
		before := conn.frame
		m.awaitRoles(t, "owner 192.0.2.1", "watch 192.0.2.2")
		say := func(message ...byte) {
			t.Helper()
			if _, err := conn.Write(message); err != nil {
				t.Fatal(err)
			}
		}
		say(251, 0, 1, 144, 1, 44, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 144, 1, 44, 0, 0, 0, 0) // 400 × 300
		say(4, 1, 0, 0, 0, 0, 0, 'x')
		say(5, 1, 0, 10, 0, 10)
		say(6, 0, 0, 0, 0, 0, 0, 2, 'n', 'o')
		say(150, 1, 0, 0, 0, 0, 1, 0, 1, 0)
		say(248, 0, 0, 0, 0, 0, 0, 0, 1, 'f')
		request := append([]byte{3, 0, 0, 0, 0, 0}, binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, uint16(before.Width)), uint16(before.Height))...)
		say(request...) // the answer to this one shows that the ones before it were read
		if _, err := conn.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		third := m.enteredFrom(t, "192.0.2.3")
		if after := screen(t, third, "?mode=watch").frame; after.Width != before.Width || after.Height != before.Height {
			t.Errorf("the screen was %d×%d and is %d×%d", before.Width, before.Height, after.Width, after.Height)
		}
		say(99)
		if why := closed(t, conn); why.Code != websocket.StatusPolicyViolation {
			t.Errorf("a message that RFB does not have: %v", why)
		}
	})
	t.Run("WhoWatchesBadlyIsClosed", func(t *testing.T) {
		conn := begun(t, second, "?mode=watch")
		if _, err := conn.Write([]byte("GET / HTTP/1.1\r\n")); err != nil {
			t.Fatal(err)
		}
		if why := closed(t, conn); why.Code != websocket.StatusPolicyViolation {
			t.Errorf("%v", why)
		}
	})
	t.Run("TakeoverClosesTheFirst", func(t *testing.T) {
		two := screen(t, second, "?mode=takeover")
		if why := closed(t, one); why.Code != 4410 || !strings.Contains(why.Reason, `"client":"192.0.2.2"`) || strings.Contains(why.Reason, "same") {
			t.Errorf("%v", why)
		}
		if conn, status := first.WebSocket(t.Context(), first.Origin()); conn != nil || status != http.StatusConflict {
			t.Errorf("the first comes back by itself: %d", status)
		}
		again := screen(t, second, "?mode=ask") // a reload: its own
		if why := closed(t, two); why.Code != 4410 || !strings.Contains(why.Reason, `"same":true`) {
			t.Errorf("%v", why)
		}
		again.Close()
		m.control.Await(t, m.handle, "no owner", func(k *agenttest.Machine) bool {
			for _, c := range k.Report.Connections {
				if c.Role == agentapi.Owner {
					return false
				}
			}
			return true
		})
		screen(t, first, "")
	})
}

func TestOrdersCut(t *testing.T) {
	t.Parallel()
	m := boot(t, "xterm")
	m.control.AwaitReady(t, m.handle)
	order := func(f func(*agentapi.Orders)) {
		m.control.Change(m.handle, func(k *agenttest.Machine) { f(&k.Orders) })
	}
	shut := func(t *testing.T, b *agenttest.Browser) {
		t.Helper()
		if conn, status := b.WebSocket(t.Context(), b.Origin()); conn != nil || status != http.StatusUnauthorized {
			t.Errorf("a WebSocket: %d", status)
		}
		if status, _, _, err := b.Get("/status"); err != nil || status != http.StatusUnauthorized {
			t.Errorf("/status: %d %v", status, err)
		}
	}
	t.Run("OneConnection", func(t *testing.T) {
		a, b := m.enteredFrom(t, "192.0.2.1"), m.enteredFrom(t, "192.0.2.2")
		one := screen(t, a, "")
		m.awaitRoles(t, "owner 192.0.2.1")
		m.control.Change(m.handle, func(k *agenttest.Machine) { k.Orders.Close = []string{k.Report.Connections[0].ID} })
		two := screen(t, b, "?mode=watch") // which is reported, and so the order comes
		if why := closed(t, one); why.Code != 4403 || !strings.Contains(why.Reason, "organiser") {
			t.Errorf("%v", why)
		}
		shut(t, a)
		m.awaitRoles(t, "watch 192.0.2.2")
		two.Close()
		m.awaitRoles(t)
		order(func(o *agentapi.Orders) { o.Close = nil })
	})
	t.Run("AllThatCameWithTheLinkBefore", func(t *testing.T) {
		a, b := m.enteredFrom(t, "192.0.2.1"), m.enteredFrom(t, "192.0.2.2")
		one := screen(t, a, "")
		m.awaitRoles(t, "owner 192.0.2.1")
		notices, status, err := b.Stream(t.Context(), "/notices")
		if err != nil || status != http.StatusOK {
			t.Fatal(status, err)
		}
		defer notices.Close()
		order(func(o *agentapi.Orders) { o.Links = 1 })
		newcomer := m.enteredFrom(t, "192.0.2.9") // with the new link, before the agent has heard of it
		watching := screen(t, newcomer, "?mode=watch")
		if why := closed(t, one); why.Code != 4403 || !strings.Contains(why.Reason, "link") {
			t.Errorf("%v", why)
		}
		shut(t, a)
		shut(t, b)
		for buf := make([]byte, 512); err == nil; {
			_, err = notices.Read(buf)
		}
		m.awaitRoles(t, "watch 192.0.2.9")
		watching.Close()
		m.awaitRoles(t)
	})
	t.Run("TheEnd", func(t *testing.T) {
		b := m.enteredFrom(t, "192.0.2.1")
		order(func(o *agentapi.Orders) { o.Ending = "The meeting has ended." })
		conn, status := b.WebSocket(t.Context(), b.Origin())
		if conn == nil {
			t.Fatalf("status %d", status)
		}
		defer conn.CloseNow()
		var err error
		for err == nil {
			_, _, err = conn.Read(t.Context())
		}
		var why websocket.CloseError
		if !errors.As(err, &why) || why.Code != websocket.StatusGoingAway || why.Reason != "The meeting has ended." {
			t.Errorf("%v", err)
		}
		if again, status := b.WebSocket(t.Context(), b.Origin()); again != nil || status != http.StatusServiceUnavailable {
			t.Errorf("a WebSocket: %d", status)
		}
		if status, _, body, err := b.Get("/"); err != nil || status != http.StatusGone || !strings.Contains(body, "The meeting has ended.") {
			t.Errorf("the page: %d %v", status, err)
		}
	})
}
