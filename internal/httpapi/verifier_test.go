package httpapi_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"greenroom/internal/agent/agentapi"
	"greenroom/internal/httpapi/wire"
)

// dcvServer asks as a DCV server does: over TLS, trusting a CA file alone, one request per connection, and it takes
// the answer's bytes as they come.
type dcvServer struct {
	address, host, path string
	roots               *x509.CertPool
}

type verdict struct {
	status   string
	header   http.Header
	body     string
	XMLName  xml.Name `xml:"auth"`
	Result   string   `xml:"result,attr"`
	Username string   `xml:"username"`
	Message  string   `xml:"message"`
}

func (d dcvServer) ask(t *testing.T, body string) verdict {
	t.Helper()
	conn, err := tls.Dial("tcp", d.address, &tls.Config{RootCAs: d.roots, ServerName: "example.com"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	go fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", d.path, d.host, len(body), body)
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	v := verdict{status: resp.Status, header: resp.Header, body: string(text)}
	if err := xml.Unmarshal(text, &v); err != nil {
		t.Errorf("the answer is no XML: %s", text)
	}
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/xml" || resp.Header.Get("Content-Length") != strconv.Itoa(len(text)) || len(resp.TransferEncoding) > 0 {
		t.Errorf("status %s, type %q, length %q of %d bytes", resp.Status, resp.Header.Get("Content-Type"), resp.Header.Get("Content-Length"), len(text))
	}
	return v
}

// verifierOver puts the API behind TLS and makes a DCV desktop that is ready.
func verifierOver(t *testing.T) (r *rig, m wire.Meeting, d dcvServer) {
	t.Helper()
	r = newRig(t)
	m = r.scheduled()
	r.ready(m.ID)
	stored, _ := r.store.Meeting(t.Context(), m.ID)
	stored.Blueprint.Protocol, stored.Blueprint.User = "dcv", `CORP\ada`
	if _, err := r.store.Update(t.Context(), stored, nil); err != nil {
		t.Fatal(err)
	}
	in := r.enrolment(m.ID)
	e := doc[agentapi.Enrolled](t, r.call("POST", agentapi.EnrolPath, in, "Authorization", "Bearer "+r.secret(m.ID, "teacher")), 200)

	front := httptest.NewTLSServer(r.server.Config.Handler)
	t.Cleanup(front.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem") // as ca-file of dcv.conf
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: front.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	d = dcvServer{address: front.Listener.Addr().String(), host: r.server.Listener.Addr().String(),
		path: strings.TrimPrefix(e.VerifyURL, "http://control.test"), roots: x509.NewCertPool()}
	d.roots.AppendCertsFromPEM(text)
	return r, m, d
}

func question(session, token, client string) string {
	return url.Values{"sessionId": {session}, "authenticationToken": {token}, "clientAddress": {client}}.Encode()
}

// TestVerifierConformance is the documented protocol of DCV's external authentication.
func TestVerifierConformance(t *testing.T) {
	t.Parallel()
	r, m, d := verifierOver(t)
	entry := doc[map[string]string](t, r.call("POST", r.join(m, "teacher"), nil), 200)
	u, err := url.Parse(entry["url"])
	if err != nil {
		t.Fatal(err)
	}
	good := u.Query().Get("authToken")

	if v := d.ask(t, question("console", good, "192.0.2.7")); v.body != `<auth result="yes"><username>CORP\ada</username></auth>` {
		t.Errorf("a good token: %s", v.body)
	}
	if v := d.ask(t, question("console", good, "192.0.2.7")); v.Result != "yes" {
		t.Errorf("a reload from the same address: %s", v.body)
	}
	for name, body := range map[string]string{
		"from elsewhere":           question("console", good, "192.0.2.8"),
		"another session":          question("other", good, "192.0.2.7"),
		"an unknown token":         question("console", "x"+good, "192.0.2.7"),
		"markup as a token":        question("console", `"><auth result="yes">&`, "192.0.2.7"),
		"no token":                 question("console", "", "192.0.2.7"),
		"a field more":             question("console", good, "192.0.2.7") + "&user=root",
		"a field twice":            question("console", good, "192.0.2.7") + "&sessionId=console",
		"a field less":             "sessionId=console&authenticationToken=" + good,
		"an address that is none":  question("console", good, "<script>"),
		"nothing":                  "",
		"more than is ever needed": question("console", strings.Repeat("t", 20<<10), "192.0.2.7"),
	} {
		t.Run(name, func(t *testing.T) {
			if v := d.ask(t, body); v.Result != "no" || v.Message == "" || v.Username != "" {
				t.Errorf("answer %s", v.body)
			}
		})
	}
	other := d
	other.path = d.path[:len(d.path)-1] + "A"
	if d.path == other.path {
		other.path = d.path[:len(d.path)-1] + "B"
	}
	if v := other.ask(t, question("console", good, "192.0.2.7")); v.Result != "no" {
		t.Errorf("another desktop's path: %s", v.body)
	}
	t.Run("AVisitorIsAnotherUser", func(t *testing.T) {
		way := doc[map[string]string](t, r.call("POST", "/api/v1/meetings/"+m.ID+"/seats/teacher/visit", map[string]string{"as": "observer"}), 200)
		u, err := url.Parse(way["url"])
		if err != nil {
			t.Fatal(err)
		}
		if v := d.ask(t, question("console", u.Query().Get("authToken"), "192.0.2.9")); v.body != `<auth result="yes"><username>observer</username></auth>` {
			t.Errorf("answer %s", v.body)
		}
		problem(t, r.call("POST", "/api/v1/meetings/"+m.ID+"/seats/teacher/visit", map[string]string{"as": "root"}), 422)
		problem(t, r.call("POST", "/api/v1/meetings/"+m.ID+"/seats/wizard/visit", map[string]string{"as": "host"}), 404)
	})
	t.Run("EveryDecisionIsOnTheTimeline", func(t *testing.T) {
		events, err := r.service.Events(t.Context(), m.ID, 0, 1000)
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]string{}
		for _, e := range events {
			found[e.Message] = e.Data["client"]
			if strings.Contains(e.Message, good) {
				t.Error("the token is on the timeline")
			}
		}
		for message, client := range map[string]string{
			"The teacher's token was accepted.":                             "192.0.2.7",
			"An observer's token was accepted.":                             "192.0.2.9",
			"A malformed question about a token was refused.":               "",
			"A token was refused: no such session.":                         "192.0.2.7",
			"A token was refused: the token was used from another address.": "192.0.2.8",
		} {
			if got, ok := found[message]; !ok || got != client {
				t.Errorf("%q: client %q, want %q", message, got, client)
			}
		}
	})
}
