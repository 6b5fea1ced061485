package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"greenroom/internal/testenv/pebbletest"
)

// newTLS is a server whose pages are at https://host:port; yaml says the rest of tls.
func newTLS(t *testing.T, host, yaml string) (s *instance, public string) {
	t.Helper()
	data := t.TempDir()
	file := filepath.Join(data, "greenroom.yaml")
	s = newReplica(t, "serve", data, "--config", file)
	_, port, _ := net.SplitHostPort(s.ports[0])
	public = "https://" + net.JoinHostPort(host, port)
	write(t, file, "public_url: "+public+"\n"+yaml)
	return s, public
}

// secure asks by HTTPS, at the server whatever the name.
func (s *instance) secure(roots *x509.CertPool, url string) (*http.Response, string, error) {
	transport := &http.Transport{DisableKeepAlives: true, ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: roots},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, s.ports[0])
		}}
	resp, err := (&http.Client{Transport: transport, Timeout: patience}).Get(url)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, string(body), err
}

// TestPagesWithTheLocalAuthority: a school's server without a name: an IP address, a host name, and an authority that is good for
// both and nothing else.
func TestPagesWithTheLocalAuthority(t *testing.T) {
	t.Parallel()
	plain := keptAddress(t)
	s, public := newTLS(t, "127.0.0.1", "tls: {issuer: local, names: [lab.internal], http_listen: "+plain+"}\n")
	s.start() // this machine may speak plain HTTP: its desktops' agents do
	text := get(t, http.DefaultClient, "http://"+plain+"/ca.pem")
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(text)) {
		t.Fatalf("no authority: %q", text)
	}
	for _, host := range []string{"127.0.0.1", "lab.internal"} {
		_, port, _ := net.SplitHostPort(s.ports[0])
		resp, _, err := s.secure(roots, "https://"+net.JoinHostPort(host, port)+"/healthz")
		if err != nil {
			t.Errorf("%s: %v", host, err)
			continue
		}
		if resp.Proto != "HTTP/2.0" || resp.Header.Get("Strict-Transport-Security") != "" {
			t.Errorf("%s: %s, HSTS %q", host, resp.Proto, resp.Header.Get("Strict-Transport-Security"))
		}
	}
	if page := get(t, http.DefaultClient, "http://"+plain+"/"); !strings.Contains(page, public) || !strings.Contains(page, "/ca.pem") {
		t.Errorf("plain HTTP shows %q", page)
	}
	noRedirect := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := noRedirect.Get("http://" + plain + "/meetings?x=1")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusPermanentRedirect || resp.Header.Get("Location") != public+"/meetings?x=1" {
		t.Errorf("status %d to %s", resp.StatusCode, resp.Header.Get("Location"))
	}
	m := s.live("With TLS")
	if !strings.HasPrefix(m.Seats[0].JoinURL, public+"/join/") {
		t.Errorf("the link is %s", m.Seats[0].JoinURL)
	}
	resp, body, err := s.secure(roots, m.Seats[0].JoinURL)
	if err != nil || !strings.Contains(body, "With TLS") {
		t.Fatalf("the lobby: %v", err)
	}
	for _, c := range resp.Cookies() {
		if !c.Secure {
			t.Errorf("cookie %s is not Secure", c.Name)
		}
	}
	s.endsWithoutTrace(m.ID)
	before := text
	s.stop()
	s.start()
	if after := get(t, http.DefaultClient, "http://"+plain+"/ca.pem"); after != before {
		t.Error("the authority is another after a restart")
	}
}

// TestPagesWithFiles: files that are replaced are in use at once after SIGHUP, and soon without; half a pair changes nothing.
func TestPagesWithFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := selfSigned(t, dir)
	s, public := newTLS(t, proxiedName, fmt.Sprintf("tls: {issuer: files, chain_file: %s/cert.pem, key_file: %[1]s/key.pem}\n", dir))
	s.start()
	url := public + "/healthz"
	resp, _, err := s.secure(first, url)
	if err != nil {
		t.Fatal(err)
	}
	if resp.Header.Get("Strict-Transport-Security") == "" {
		t.Error("no HSTS with a certificate that browsers trust")
	}
	next := t.TempDir()
	second := selfSigned(t, next)
	for _, file := range []string{"cert.pem", "key.pem"} {
		text, err := os.ReadFile(filepath.Join(next, file))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, file), string(text))
		if file == "cert.pem" {
			if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
				t.Fatal(err)
			}
			if _, _, err := s.secure(first, url); err != nil {
				t.Errorf("while half a pair is replaced: %v", err)
			}
		}
	}
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	s.within(patience, "the new certificate", func(context.Context) bool {
		_, _, err := s.secure(second, url)
		return err == nil
	})
}

// TestPagesWithACME gets the certificate by either way in which an authority connects to the server, and keeps it over a restart.
func TestPagesWithACME(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"TLSALPN01", "HTTP01"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			const name = "lab.example.com"
			dns := newNameServer(t, func(asked string) []string {
				if asked == name {
					return []string{"127.0.0.1"}
				}
				return nil
			})
			plain := keptAddress(t)
			s, public := newTLS(t, name, "")
			o := pebbletest.Options{DNS: dns}
			tlsOnly := ""
			if way == "HTTP01" {
				o.HTTPPort = portOf(t, plain) // and nobody answers for TLS where it looks
				tlsOnly = ", http_listen: " + plain
			} else {
				o.TLSPort = portOf(t, s.ports[0])
			}
			pebble := pebbletest.Start(t, o)
			roots := filepath.Join(s.data, "roots.pem")
			write(t, roots, pebble.PEM())
			write(t, filepath.Join(s.data, "greenroom.yaml"), fmt.Sprintf("public_url: %s\ntls: {issuer: acme, directory_url: %q, roots_file: %q%s}\n", public, pebble.Directory, roots, tlsOnly))
			s.start()
			s.within(patience, "the certificate", func(context.Context) bool {
				_, _, err := s.secure(pebble.Roots, public+"/healthz")
				return err == nil
			})
			orders := pebble.Orders()
			s.stop()
			s.start()
			if _, _, err := s.secure(pebble.Roots, public+"/healthz"); err != nil || pebble.Orders() != orders {
				t.Errorf("after a restart: %v, %d orders and before %d", err, pebble.Orders(), orders)
			}
		})
	}
}

func portOf(t *testing.T, address string) int {
	t.Helper()
	a, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return a.Port
}

// TestSIGHUPIsNoEnd: a server without anything to read again goes on.
func TestSIGHUPIsNoEnd(t *testing.T) {
	t.Parallel()
	s := newInstance(t)
	s.start()
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Second); time.Now().Before(end); {
		if !bytes.Equal([]byte(get(t, http.DefaultClient, s.api.URL()+"/healthz")), []byte("ok\n")) {
			break
		}
	}
	s.stop()
}
