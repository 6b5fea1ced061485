package e2e

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"greenroom"
	"greenroom/internal/agent/agenttest"
	"greenroom/internal/httpapi/client"
	"greenroom/internal/httpapi/wire"
)

// person is a browser in front of the one address: it keeps cookies, and knows no other address.
type person struct {
	t      *testing.T
	public string
	client *http.Client
}

// newPerson connects to at, from the address from, whatever the name in public.
func newPerson(t *testing.T, public, at, from string, roots *x509.CertPool) *person {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	d := net.Dialer{}
	if from != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return d.DialContext(ctx, network, at)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &person{t: t, public: public, client: &http.Client{Jar: jar, Transport: transport, Timeout: patience}}
}

// get asks without following redirects.
func (p *person) get(address string) reply {
	p.t.Helper()
	c := *p.client
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := c.Get(address)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Proto, resp.Header, body}
}

// enters goes through the lobby and returns the address of the desktop.
func (p *person) enters(seat wire.Seat) string {
	p.t.Helper()
	link, err := url.Parse(seat.JoinURL)
	if err != nil {
		p.t.Fatal(err)
	}
	resp, err := p.client.Post(p.public+"/api/v1"+link.RequestURI(), "", nil)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	_, rest, found := strings.Cut(string(answer), `"url":"`)
	entry, _, _ := strings.Cut(rest, `"`)
	if err != nil || !found || resp.StatusCode != http.StatusOK {
		p.t.Fatalf("enter: status %d %s (%v)", resp.StatusCode, answer, err)
	}
	if want := p.public + "/d/" + seat.Desktop.InstanceID + "/?authToken="; !strings.HasPrefix(entry, want) || !strings.HasSuffix(entry, "#console") {
		p.t.Fatalf("the entry URL is %s, want %s…#console", entry, want)
	}
	home := p.public + "/d/" + seat.Desktop.InstanceID + "/"
	r := p.get(entry)
	if to := r.header.Get("Location"); r.status != http.StatusSeeOther || strings.Contains(to, "authToken") {
		p.t.Fatalf("a token: status %d to %q", r.status, to)
	}
	cookie := r.header.Get("Set-Cookie")
	for _, part := range []string{"Path=/d/" + seat.Desktop.InstanceID + "/", "HttpOnly", "SameSite=Lax"} {
		if !strings.Contains(cookie, part) {
			p.t.Errorf("the cookie %q lacks %s", cookie, part)
		}
	}
	if strings.HasPrefix(p.public, "https") && !strings.Contains(cookie, "Secure") {
		p.t.Errorf("the cookie %q lacks Secure", cookie)
	}
	if r = p.get(home); r.status != http.StatusOK || !strings.Contains(string(r.body), `id="screen"`) {
		p.t.Fatalf("the page: status %d %s", r.status, r.body)
	}
	return home
}

// socket opens the screen's stream.
func (p *person) socket(home string) (*websocket.Conn, int) {
	p.t.Helper()
	conn, resp, err := websocket.Dial(p.t.Context(), home+"websockify", &websocket.DialOptions{HTTPClient: p.client, Subprotocols: []string{"binary"}, HTTPHeader: http.Header{"Origin": {p.public}}})
	if err != nil {
		if resp == nil {
			p.t.Fatal(err)
		}
		return nil, resp.StatusCode
	}
	p.t.Cleanup(func() { _ = conn.CloseNow() })
	return conn, resp.StatusCode
}

// sees looks at the screen of the desktop at home.
func (p *person) sees(home string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	for {
		conn, status := p.socket(home)
		if conn == nil {
			p.t.Fatalf("the stream: status %d", status)
		}
		frame, err := agenttest.Look(ctx, conn)
		_ = conn.CloseNow()
		if err != nil {
			p.t.Fatalf("the screen: %v", err)
		}
		if frame.Colours > 2 {
			return
		}
	}
}

// hears waits for an event of the desktop's notices with the words in it.
func (p *person) hears(home, words string, meanwhile func()) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, home+"notices", nil)
	if err != nil {
		p.t.Fatal(err)
	}
	c := *p.client
	c.Timeout = 0
	resp, err := c.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		p.t.Fatalf("notices: status %d", resp.StatusCode)
	}
	lines := bufio.NewScanner(resp.Body)
	for begun := false; lines.Scan(); {
		if !strings.HasPrefix(lines.Text(), "data: ") {
			continue
		}
		if !begun {
			begun = true
			meanwhile()
		}
		if strings.Contains(lines.Text(), words) {
			return
		}
	}
	p.t.Errorf("the notices ended without %q (%v)", words, errors.Join(lines.Err(), ctx.Err()))
}

// newSingle is a server with one address, an IP address with a certificate of its own authority.
func newSingle(t *testing.T, host string) (s *instance, public string, roots *x509.CertPool) {
	t.Helper()
	data := t.TempDir()
	file := filepath.Join(data, "greenroom.yaml")
	s = newReplica(t, "serve", data, "--config", file)
	_, port, _ := net.SplitHostPort(s.ports[0])
	s.ports[0] = net.JoinHostPort(host, port)
	var err error
	if s.api, err = client.New("http://"+s.ports[0], ""); err != nil {
		t.Fatal(err)
	}
	public = "https://" + s.ports[0]
	write(t, file, "public_url: "+public+"\naccess: single\ntls: {issuer: local}\n")
	s.start()
	roots = x509.NewCertPool()
	if text := get(t, http.DefaultClient, "http://"+s.ports[0]+"/ca.pem"); !roots.AppendCertsFromPEM([]byte(text)) || strings.Count(text, "BEGIN CERTIFICATE") != 1 {
		t.Fatalf("browsers need one authority, and are given %q", text)
	}
	return s, public, roots
}

// TestSingle: pages, API and real desktops behind one address, proved through the front door, with strangers kept out.
func TestSingle(t *testing.T) {
	t.Parallel()
	s, public, roots := newSingle(t, "127.0.0.1")
	for _, other := range s.ports[1:] {
		if c, err := net.DialTimeout("tcp", other, time.Second); err == nil {
			c.Close()
			t.Errorf("something listens on %s", other)
		}
	}
	m := s.live("One address")
	teacher, student := m.Seats[0], m.Seats[1]
	if teacher.Desktop.Hostname != "127.0.0.1" {
		t.Errorf("the desktop's host is %q", teacher.Desktop.Hostname)
	}
	proof := teacher.Desktop.Proof
	if proof == nil || !proof.OK || len(proof.Steps) != 2 || proof.Steps[0].Name != "tls" || !strings.Contains(proof.Steps[1].Detail, public+"/d/"+teacher.Desktop.InstanceID+"/version answers 200") {
		t.Fatalf("the proof is %+v", proof)
	}
	p := newPerson(t, public, s.ports[0], "127.66.1.1", roots)
	home := p.enters(teacher)
	p.sees(home)
	p.hears(home, "ends_at", func() {})

	doctor, _ := exec.CommandContext(t.Context(), binary, "doctor", "--data-dir", s.data, "--listen", s.ports[0], "--config", filepath.Join(s.data, "greenroom.yaml")).CombinedOutput()
	for _, line := range []string{"public name", public + " answers, with a certificate", "WebSockets", "streams of events"} {
		if !regexp.MustCompile(`(?m)^ok .*` + regexp.QuoteMeta(line)).Match(doctor) {
			t.Errorf("the doctor does not find %q well:\n%s", line, doctor)
		}
	}

	// The other's desktop, another's cookie, another's address.
	other := public + "/d/" + student.Desktop.InstanceID + "/"
	if r := p.get(other); r.status != http.StatusForbidden || strings.Contains(string(r.body), `id="screen"`) {
		t.Errorf("the other's desktop: status %d", r.status)
	}
	if _, status := p.socket(other); status != http.StatusForbidden {
		t.Errorf("the other's stream: status %d", status)
	}
	for _, path := range []string{"status", "notices"} {
		if r := p.get(other + path); r.status != http.StatusForbidden {
			t.Errorf("the other's %s: status %d", path, r.status)
		}
	}

	// A replaced link ends what the old one opened, an open stream too.
	q := newPerson(t, public, s.ports[0], "127.66.1.2", roots)
	open, _ := q.socket(q.enters(student))
	if open == nil {
		t.Fatal("no stream")
	}
	open.SetReadLimit(-1)
	if _, err := s.api.ReissueKey(t.Context(), m.ID, student.ID, wire.NewLink{}); err != nil {
		t.Fatal(err)
	}
	cut, cancelCut := context.WithTimeout(t.Context(), patience)
	defer cancelCut()
	for {
		if _, _, err := open.Read(cut); err != nil {
			if cut.Err() != nil {
				t.Error("the stream outlived its link")
			}
			break
		}
	}
	if r := q.get(other); r.status != http.StatusForbidden {
		t.Errorf("the cookie of a replaced link: status %d", r.status)
	}

	// A restart keeps the cookie good.
	s.stop()
	s.start()
	p.client.CloseIdleConnections()
	s.within(patience, "the desktop after a restart", func(context.Context) bool { return p.get(home).status == http.StatusOK })
	p.sees(home)

	// The end reaches the open page, and cuts the stream.
	conn, _ := p.socket(home)
	if conn == nil {
		t.Fatal("no stream")
	}
	conn.SetReadLimit(-1)
	p.hears(home, `"ending":"`, func() {
		if _, err := s.api.End(t.Context(), m.ID); err != nil {
			t.Error(err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		if _, _, err := conn.Read(ctx); err != nil {
			if ctx.Err() != nil {
				t.Error("the stream outlived its desktop")
			}
			break
		}
	}
	s.within(patience, "the address to be nobody's", func(context.Context) bool { return p.get(home).status == http.StatusNotFound })
	s.until("the end", func(ctx context.Context) bool {
		m, ok := s.meeting(ctx, m.ID)
		return ok && all(m, greenroom.Gone)
	})
	s.nothingLeft()
	if log, err := os.ReadFile(s.log()); err != nil || strings.Contains(string(log), "authToken") {
		t.Errorf("the log has a token in it (%v)", err)
	}
}

// TestSingleOverIPv6: a server whose only address is of IPv6.
func TestSingleOverIPv6(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skip("this machine has no IPv6: ", err)
	}
	_ = l.Close()
	s, public, roots := newSingle(t, "::1")
	m := s.live("One address of IPv6")
	if got := m.Seats[0].Desktop.Hostname; got != "::1" {
		t.Errorf("the desktop's host is %q", got)
	}
	p := newPerson(t, public, s.ports[0], "", roots)
	p.sees(p.enters(m.Seats[0]))
	s.endsWithoutTrace(m.ID)
}
