package e2e

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/pires/go-proxyproto"

	"greenroom/internal/httpapi/client"
	"greenroom/internal/httpapi/wire"
	"greenroom/internal/testenv/locked"
)

// proxied is a greenroom behind a proxy that runs an example of docs/proxies.md.
type proxied struct {
	*instance
	token string
	url   string // of the proxy
	roots *x509.CertPool
}

const proxiedName = "lab.localhost"

// TestBehindNginx and TestBehindCaddy run the documented examples with the real programs.
func TestBehindNginx(t *testing.T) {
	t.Parallel()
	p := newProxied(t)
	dir := t.TempDir()
	conf := p.example(t, "nginx", "map $http_upgrade", dir, map[string]string{"listen 443 ssl": "listen " + p.at() + " ssl"})
	write(t, filepath.Join(dir, "nginx.conf"), "daemon off;\npid "+dir+"/pid;\nerror_log stderr;\nevents {}\nhttp {\naccess_log off;\n"+
		"client_body_temp_path "+dir+"/body;\nproxy_temp_path "+dir+"/proxy;\nfastcgi_temp_path "+dir+"/f;\nuwsgi_temp_path "+dir+"/u;\nscgi_temp_path "+dir+"/s;\n"+conf+"}\n")
	p.run(t, nil, program(t, "nginx"), "-p", dir, "-c", filepath.Join(dir, "nginx.conf"))
	p.works(t)
}

func TestBehindCaddy(t *testing.T) {
	t.Parallel()
	p := newProxied(t)
	dir := t.TempDir()
	conf := p.example(t, "caddy", "lab.example.com {\n\tencode gzip", dir, map[string]string{"lab.example.com {": "https://" + p.host() + " {\n\tbind 127.0.0.1\n\ttls " + dir + "/cert.pem " + dir + "/key.pem\n"})
	write(t, filepath.Join(dir, "Caddyfile"), "{\n\tadmin off\n\tauto_https disable_redirects\n}\n"+conf)
	p.run(t, []string{"HOME=" + dir, "XDG_DATA_HOME=" + dir, "XDG_CONFIG_HOME=" + dir}, program(t, "caddy"), "run", "--config", filepath.Join(dir, "Caddyfile"), "--adapter", "caddyfile")
	p.works(t)
}

// TestPROXYHeader: a trusted proxy may say in a PROXY header whom a connection is for, and a stranger may not.
func TestPROXYHeader(t *testing.T) {
	t.Parallel()
	p := newProxied(t)
	status := func(from, header string) int {
		t.Helper()
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: patience}
		conn, err := d.DialContext(t.Context(), "tcp", p.ports[0])
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if header != "" {
			named := &net.TCPAddr{IP: net.ParseIP(header), Port: 1234}
			if _, err := proxyproto.HeaderProxyFromAddrs(2, named, conn.RemoteAddr()).WriteTo(conn); err != nil {
				t.Fatal(err)
			}
		}
		_, _ = io.WriteString(conn, "GET /api/v1/join/0123456789abcdef/teacher?key=x HTTP/1.1\r\nHost: "+p.ports[0]+"\r\nConnection: close\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			return 0
		}
		defer resp.Body.Close()
		return resp.StatusCode
	}
	if got := status("127.0.0.1", "203.0.113.7"); got != http.StatusNotFound {
		t.Errorf("from the proxy, with a header: %d", got)
	}
	if got := status("127.0.0.1", ""); got != http.StatusNotFound {
		t.Errorf("from the proxy, without a header: %d", got)
	}
	if got := status("127.66.0.9", "203.0.113.8"); got != 0 && got != http.StatusBadRequest {
		t.Errorf("from a stranger, with a header: %d", got)
	}
	log, err := os.ReadFile(p.log())
	if err != nil || !bytes.Contains(log, []byte("client=203.0.113.7")) || bytes.Contains(log, []byte("client=203.0.113.8")) {
		t.Errorf("the log has not the client's address, or one that a stranger made up (%v)", err)
	}
}

// program is where a program is; some packages keep it out of an ordinary user's PATH.
func program(t *testing.T, name string) string {
	t.Helper()
	for _, where := range []string{name, "/usr/sbin/" + name} {
		if found, err := exec.LookPath(where); err == nil {
			return found
		}
	}
	t.Fatalf("%s is not there: run scripts/setup.sh test", name)
	return ""
}

func newProxied(t *testing.T) *proxied {
	t.Helper()
	dir := t.TempDir()
	out, err := exec.CommandContext(t.Context(), binary, "token", "--file", filepath.Join(dir, "tokens")).Output()
	if err != nil {
		t.Fatal(err)
	}
	p := &proxied{token: strings.TrimSpace(string(out))}
	_, port, _ := net.SplitHostPort(keptAddress(t))
	p.url = "https://" + net.JoinHostPort(proxiedName, port)
	write(t, filepath.Join(dir, "greenroom.yaml"), "api_token_file: "+dir+"/tokens\npublic_url: "+p.url+"\ntrusted_proxies: [127.0.0.1]\naccess: single\n")
	p.instance = newReplica(t, "serve", t.TempDir(), "--config", filepath.Join(dir, "greenroom.yaml"))
	if p.api, err = client.New("http://"+p.ports[0], p.token); err != nil {
		t.Fatal(err)
	}
	p.start()
	return p
}

func (p *proxied) host() string { return strings.TrimPrefix(p.url, "https://") }

// at is the address that the proxy listens on.
func (p *proxied) at() string {
	_, port, _ := net.SplitHostPort(p.host())
	return "127.0.0.1:" + port
}

// example is the code block of docs/proxies.md in that language which begins so, with the names and addresses of this test.
func (p *proxied) example(t *testing.T, language, begins, dir string, changes map[string]string) string {
	t.Helper()
	doc, err := os.ReadFile("../docs/proxies.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?s)```" + language + "\n(" + regexp.QuoteMeta(begins) + ".*?)```").FindSubmatch(doc)
	if found == nil {
		t.Fatalf("docs/proxies.md has no such example in %s", language)
	}
	p.roots = selfSigned(t, dir)
	text := string(found[1])
	for from, to := range changes {
		text = strings.Replace(text, from, to, 1)
	}
	for from, to := range map[string]string{"/etc/ssl/lab.example.com.pem": dir + "/cert.pem", "/etc/ssl/lab.example.com.key": dir + "/key.pem", "server_name lab.example.com": "server_name " + proxiedName, "127.0.0.1:8080": p.ports[0]} {
		text = strings.ReplaceAll(text, from, to)
	}
	return text
}

// selfSigned writes cert.pem and key.pem.
func selfSigned(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{proxiedName}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	chain := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	write(t, filepath.Join(dir, "cert.pem"), string(chain))
	write(t, filepath.Join(dir, "key.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(chain)
	return roots
}

// run starts the proxy and waits until it answers.
func (p *proxied) run(t *testing.T, env []string, name string, args ...string) {
	t.Helper()
	var said locked.Buffer
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt) // nginx's workers go with their master
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s said:\n%s", name, said.String())
		}
	})
	p.until("the proxy to answer", func(ctx context.Context) bool {
		r, err := p.ask(ctx, "127.0.0.1", http.MethodGet, "/healthz", "")
		return err == nil && r.status == http.StatusOK
	})
}

// browser comes from an address of its own.
func (p *proxied) browser(from string) *http.Client {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	return &http.Client{Timeout: patience, Transport: &http.Transport{
		DisableCompression: true, ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: p.roots},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return d.DialContext(ctx, network, p.at())
		},
	}}
}

// reply is an answer that has been read.
type reply struct {
	status int
	proto  string
	header http.Header
	body   []byte
}

func (p *proxied) ask(ctx context.Context, from, method, path, body string, header ...string) (reply, error) {
	c := p.browser(from)
	defer c.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, method, p.url+path, strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 1; i < len(header); i += 2 {
		req.Header.Set(header[i-1], header[i])
	}
	resp, err := c.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Proto, resp.Header, text}, err
}

// works is what people do through a proxy.
func (p *proxied) works(t *testing.T) {
	t.Helper()
	m, err := p.api.Schedule(t.Context(), wire.Schedule{Title: "Behind a proxy", StartsAt: time.Now().Add(24 * time.Hour).UTC().Format(time.RFC3339)}, "")
	if err != nil {
		t.Fatal(err)
	}
	bearer, path := "Bearer "+p.token, "/api/v1/meetings/"+m.ID
	must := func(r reply, err error) reply {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	t.Run("OneGuesserIsNotEverybody", func(t *testing.T) {
		join := "/api/v1/join/" + m.ID + "/teacher"
		for range 34 {
			must(p.ask(t.Context(), "127.66.0.9", http.MethodGet, join+"?key=guess", "", "X-Forwarded-For", "203.0.113.7"))
		}
		if r := must(p.ask(t.Context(), "127.66.0.8", http.MethodGet, strings.TrimPrefix(m.Seats[0].JoinURL, p.url), "")); r.status != http.StatusOK {
			t.Errorf("a good link: status %d", r.status)
		}
		// Wrong at another seat: the limit of the first client and of the first seat are not this one's.
		if r := must(p.ask(t.Context(), "127.66.0.8", http.MethodGet, "/api/v1/join/"+m.ID+"/student?key=guess", "")); r.status != http.StatusForbidden {
			t.Errorf("another client's first wrong link: status %d", r.status)
		}
		log, err := os.ReadFile(p.log())
		if err != nil || !bytes.Contains(log, []byte("client=127.66.0.9")) || bytes.Contains(log, []byte("client=203.0.113.7")) {
			t.Errorf("the log has not the client's address, or one that it made up (%v)", err)
		}
	})
	t.Run("HTTP2AndGzipAndWeakETags", func(t *testing.T) {
		r := must(p.ask(t.Context(), "127.0.0.1", http.MethodGet, path, "", "Authorization", bearer, "Accept-Encoding", "gzip"))
		if r.proto != "HTTP/2.0" || r.status != http.StatusOK || r.header.Get("Content-Encoding") != "gzip" {
			t.Errorf("%s, status %d, Content-Encoding %q", r.proto, r.status, r.header.Get("Content-Encoding"))
		}
		tag := r.header.Get("ETag")
		if r = must(p.ask(t.Context(), "127.0.0.1", http.MethodPatch, path, `{"title": "Changed"}`, "Authorization", bearer, "If-Match", tag)); r.status != http.StatusOK {
			t.Errorf("If-Match %s: status %d %s", tag, r.status, r.body)
		}
		if r = must(p.ask(t.Context(), "127.0.0.1", http.MethodPatch, path, `{"title": "Again"}`, "Authorization", bearer, "If-Match", tag)); r.status != http.StatusPreconditionFailed {
			t.Errorf("a stale version: status %d", r.status)
		}
	})
	t.Run("Events", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+path+"/watch", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", bearer)
		req.Header.Set("Accept", "text/event-stream")
		resp, err := p.browser("127.0.0.1").Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		title := fmt.Sprint("Live ", time.Now().UnixNano())
		lines := bufio.NewScanner(resp.Body)
		lines.Buffer(nil, 1<<20)
		for changed := false; lines.Scan(); {
			if !changed && strings.HasPrefix(lines.Text(), "event: meeting") {
				must(p.ask(ctx, "127.0.0.1", http.MethodPatch, path, `{"title": "`+title+`"}`, "Authorization", bearer))
				changed = true
			}
			if changed && strings.Contains(lines.Text(), title) {
				return
			}
		}
		t.Errorf("the change did not come: %v", cmp.Or(lines.Err(), ctx.Err()))
	})
	t.Run("WebSocket", func(t *testing.T) {
		c := p.browser("127.0.0.1")
		transport, _ := c.Transport.(*http.Transport)
		transport.ForceAttemptHTTP2 = false
		conn, _, err := websocket.Dial(t.Context(), p.url+"/check/socket", &websocket.DialOptions{HTTPClient: c, HTTPHeader: http.Header{"Origin": {p.url}}})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.CloseNow() }()
		if err := conn.Write(t.Context(), websocket.MessageText, []byte("echo")); err != nil {
			t.Fatal(err)
		}
		if _, got, err := conn.Read(t.Context()); err != nil || string(got) != "echo" {
			t.Errorf("%q, %v", got, err)
		}
	})
	t.Run("Desktop", func(t *testing.T) {
		live := p.live("A desktop behind a proxy")
		seat := live.Seats[0]
		if live.Seats[0].Desktop.Proof == nil || seat.Desktop.Hostname != proxiedName {
			t.Fatalf("the desktop is %+v", seat.Desktop)
		}
		person := newPerson(t, p.url, p.at(), "127.66.0.8", p.roots)
		home := person.enters(seat)
		person.sees(home)
		title := `"ends_at":"` + live.EndsAt.Add(time.Hour).UTC().Format(time.RFC3339)
		person.hears(home, title, func() {
			must(p.ask(t.Context(), "127.0.0.1", http.MethodPatch, "/api/v1/meetings/"+live.ID, `{"duration": "1h30m"}`, "Authorization", bearer))
		})
		stranger := newPerson(t, p.url, p.at(), "127.66.0.9", p.roots)
		if _, status := stranger.socket(home); status != http.StatusForbidden {
			t.Errorf("a stranger's stream: status %d", status)
		}
		m, _ := p.meeting(t.Context(), live.ID)
		if m.Seats[0].Desktop.Agent == nil {
			t.Fatal("no agent")
		}
		log, err := os.ReadFile(p.log())
		if err != nil || !bytes.Contains(log, []byte("msg=connected meeting="+live.ID)) || !bytes.Contains(log, []byte("evidence.client=127.66.0.8 evidence.connections=1")) {
			t.Errorf("the desktop was not told of the participant's own address (%v)", err)
		}
		p.endsWithoutTrace(live.ID)
	})
	t.Run("PagesAreWhole", func(t *testing.T) {
		r := must(p.ask(t.Context(), "127.0.0.1", http.MethodGet, "/", "", "Accept", "text/html", "Cookie", "greenroom_token="+p.token))
		if r.status != http.StatusOK || !bytes.Contains(r.body, []byte("</html>")) {
			t.Errorf("status %d, %d bytes", r.status, len(r.body))
		}
		if r = must(p.ask(t.Context(), "127.0.0.1", http.MethodGet, "/", "", "Accept", "text/html", "X-Forwarded-Prefix", "/greenroom", "Cookie", "greenroom_token="+p.token)); r.status != http.StatusMisdirectedRequest {
			t.Errorf("a path of its own: status %d", r.status)
		}
	})
}
