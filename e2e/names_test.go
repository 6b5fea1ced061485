package e2e

import (
	"cmp"
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
	"testing"
	"time"

	miekg "github.com/miekg/dns"

	"greenroom"
	"greenroom/internal/httpapi/wire"
)

// newNamed is an instance with a configuration file.
func newNamed(t *testing.T, yaml string) *instance {
	t.Helper()
	data := t.TempDir()
	file := filepath.Join(data, "greenroom.yaml")
	write(t, file, yaml)
	return newReplica(t, "serve", data, "--config", file)
}

func write(t testing.TB, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// becomes waits until the meeting is as wanted.
func (s *instance) becomes(id, what string, holds func(m wire.Meeting) bool) wire.Meeting {
	s.t.Helper()
	var m wire.Meeting
	s.until(what, func(ctx context.Context) bool {
		var ok bool
		m, ok = s.meeting(ctx, id)
		return ok && holds(m)
	})
	return m
}

// proved waits for all desktops and prints how long each took from its address to the proof.
func (s *instance) proved(id string) wire.Meeting {
	s.t.Helper()
	m := s.becomes(id, "desktops", func(m wire.Meeting) bool { return all(m, greenroom.Ready) })
	for _, seat := range m.Seats {
		at := seat.Desktop.Timings
		s.t.Logf("%s: name written after %s, proved after %s", seat.Role,
			at[greenroom.Proving].Sub(at[greenroom.Naming]).Round(time.Millisecond), at[greenroom.Ready].Sub(at[greenroom.Naming]).Round(time.Millisecond))
	}
	return m
}

// ended ends a meeting and waits until its desktops are gone.
func (s *instance) ended(id string) {
	s.t.Helper()
	if _, err := s.api.End(s.t.Context(), id); err != nil {
		s.t.Fatal(err)
	}
	s.becomes(id, "the end", func(m wire.Meeting) bool { return all(m, greenroom.Gone) })
}

// endsUnnamed ends a meeting whose zone cannot be looked at: the machines go at once, and what keeps greenroom from
// being sure of the names is told.
func (s *instance) endsUnnamed(m wire.Meeting) {
	s.t.Helper()
	if _, err := s.api.End(s.t.Context(), m.ID); err != nil {
		s.t.Fatal(err)
	}
	s.until("every machine to be gone", func(context.Context) bool {
		left, err := filepath.Glob(filepath.Join(s.data, "desktops", "*i-*"))
		return err == nil && len(left) == 0 && len(s.desktopProcesses()) == 0
	})
	s.becomes(m.ID, "the reason", func(now wire.Meeting) bool { return trouble(now.Seats[0].Desktop) == trouble(m.Seats[0].Desktop) })
}

// said counts what the timeline tells of a role with these words.
func (s *instance) said(id, role, words string) int {
	s.t.Helper()
	events, err := s.api.Events(s.t.Context(), id, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	n := 0
	for _, e := range events.Events {
		if e.Seat == role && strings.Contains(e.Message, words) {
			n++
		}
	}
	return n
}

func trouble(d wire.Desktop) string {
	if d.Error == nil {
		return ""
	}
	return *d.Error
}

// lobby is what a participant is told.
func (s *instance) lobby(link string) string {
	s.t.Helper()
	return get(s.t, http.DefaultClient, strings.Replace(link, "/join/", "/api/v1/join/", 1))
}

func get(t testing.TB, client *http.Client, url string) string {
	t.Helper()
	resp, err := client.Get(url)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil || resp.StatusCode >= 500 {
		t.Errorf("%s: %s %v", url, resp.Status, err)
	}
	return string(body)
}

// reaches opens a desktop's page as a browser would that trusts roots and asks nobody but that name server. It connects
// to listener, or, without one, to the desktop itself.
func reaches(t *testing.T, server, hostname, listener string, roots *x509.CertPool) {
	t.Helper()
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			found := lookUp(t, server, hostname)
			if len(found) != 1 {
				return nil, fmt.Errorf("%s has the addresses %v", hostname, found)
			}
			return new(net.Dialer).DialContext(ctx, network, cmp.Or(listener, net.JoinHostPort(found[0], "8443")))
		},
	}}
	if body := get(t, client, "https://"+hostname+":8443/"); !strings.Contains(body, "lobby") {
		t.Errorf("%s shows %.300q", hostname, body)
	}
}

// authority is the local one of an instance.
func (s *instance) authority() *x509.CertPool {
	s.t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(get(s.t, http.DefaultClient, s.api.URL()+"/ca.pem"))) {
		s.t.Fatal("there is no authority")
	}
	return roots
}

// lookUp asks a name server for the addresses of a name.
func lookUp(t testing.TB, server, name string) []string {
	t.Helper()
	var out []string
	for _, rr := range question(t, server, name, miekg.TypeA) {
		if a, ok := rr.(*miekg.A); ok {
			out = append(out, a.A.String())
		}
	}
	return out
}

// texts asks a name server for the texts of a name.
func texts(t testing.TB, server, name string) []string {
	t.Helper()
	var out []string
	for _, rr := range question(t, server, name, miekg.TypeTXT) {
		if txt, ok := rr.(*miekg.TXT); ok {
			out = append(out, strings.Join(txt.Txt, ""))
		}
	}
	return out
}

func question(t testing.TB, server, name string, kind uint16) []miekg.RR {
	t.Helper()
	q := new(miekg.Msg).SetQuestion(miekg.Fqdn(name), kind)
	m, _, err := (&miekg.Client{Net: "tcp", Timeout: 10 * time.Second}).Exchange(q, server)
	if err != nil {
		t.Errorf("ask %s for %s: %v", server, name, err)
		return nil
	}
	return m.Answer
}

// newNameServer answers for a zone, over UDP and TCP, with what lookup says: the servers of a provider whose API a test stands in for.
func newNameServer(t *testing.T, lookup func(name string) []string) string {
	t.Helper()
	address := keptAddress(t)
	handler := miekg.HandlerFunc(func(w miekg.ResponseWriter, q *miekg.Msg) {
		m := new(miekg.Msg).SetReply(q)
		m.Authoritative = true
		if len(q.Question) == 1 && q.Question[0].Qtype == miekg.TypeA {
			for _, a := range lookup(strings.ToLower(strings.TrimSuffix(q.Question[0].Name, "."))) {
				m.Answer = append(m.Answer, &miekg.A{Hdr: miekg.RR_Header{Name: q.Question[0].Name, Rrtype: miekg.TypeA, Class: miekg.ClassINET, Ttl: 60}, A: net.ParseIP(a)})
			}
		}
		if len(m.Answer) == 0 {
			m.Rcode = miekg.RcodeNameError
		}
		_ = w.WriteMsg(m)
	})
	for _, network := range []string{"udp", "tcp"} {
		up := make(chan struct{})
		s := &miekg.Server{Addr: address, Net: network, Handler: handler, NotifyStartedFunc: func() { close(up) }}
		failed := make(chan error, 1)
		go func() { failed <- s.ListenAndServe() }()
		select {
		case <-up:
		case err := <-failed:
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Shutdown() })
	}
	return address
}
