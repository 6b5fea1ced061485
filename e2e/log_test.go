package e2e

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/config"
	"greenroom/internal/httpapi/client"
	"greenroom/internal/httpapi/wire"
)

// TestTheLogTellsAWholeLife leads one meeting with real desktops through its life, with the log at debug. Every entry of its
// timeline is a line with its id, who changed it is named, and no key, token or secret is in any line.
func TestTheLogTellsAWholeLife(t *testing.T) {
	t.Parallel()
	s := newInstance(t)
	token := greenroom.NewSecret()
	file := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(file, []byte(config.TokenLine(token)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.under = []string{"env", "GREENROOM_API_TOKEN_FILE=" + file, "GREENROOM_LOG_LEVEL=debug"}
	var err error
	if s.api, err = client.New("http://"+s.ports[0], token); err != nil {
		t.Fatal(err)
	}
	s.start()
	m, err := s.api.Schedule(t.Context(), wire.Schedule{Title: "Algebra", StartsAt: "now", Duration: "30m"}, "")
	if err != nil {
		t.Fatal(err)
	}
	s.until("both desktops to be ready", func(ctx context.Context) bool {
		m, ok := s.meeting(ctx, m.ID)
		return ok && all(m, greenroom.Ready)
	})
	secrets := []string{token}
	for _, seat := range m.Seats {
		link, err := url.Parse(seat.JoinURL)
		if err != nil {
			t.Fatal(err)
		}
		secrets = append(secrets, link.Query().Get("key"), enter(t, s, link))
	}
	title := "Geometry"
	if _, err := s.api.Edit(t.Context(), m.ID, wire.Edit{Title: &title}, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := s.api.End(t.Context(), m.ID); err != nil {
		t.Fatal(err)
	}
	s.until("the end", func(ctx context.Context) bool {
		m, ok := s.meeting(ctx, m.ID)
		return ok && m.State == greenroom.Ended
	})
	events, err := s.api.Events(t.Context(), m.ID, 0)
	if err != nil {
		t.Fatal(err)
	}
	s.stop()

	text, err := os.ReadFile(s.log())
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	for _, e := range events.Events {
		want := []string{"level=INFO", "msg=" + e.Kind + " ", "meeting=" + m.ID, e.Message}
		if e.Seat != "" {
			want = append(want, "seat="+e.Seat)
		}
		if !oneHas(lines, want) {
			t.Errorf("no line of the log tells of %s %s: %s", e.Kind, e.Seat, e.Message)
		}
	}
	who := "by=organiser:" + greenroom.HashSecret(token)[:8]
	for _, want := range [][]string{
		{"msg=scheduled", who, "client=127.0.0.1"}, {"msg=changed", who, "evidence.changed="}, {"msg=ending", "evidence.reason=ended_by_host"},
		{"msg=entered", "by=participant"}, {"msg=enrolled", "by=desktop"}, {"from=proving to=ready duration="}, {"from=terminating to=gone"},
	} {
		if !oneHas(lines, append(want, "meeting="+m.ID)) {
			t.Errorf("no line has %v", want)
		}
	}
	for _, secret := range secrets {
		if len(secret) < 16 || strings.Contains(string(text), secret) {
			t.Errorf("a secret of %d letters is in the log", len(secret))
		}
	}
	if found := regexp.MustCompile(m.ID + `\.[a-z]+\.[0-9]+\.[\w-]{16,}`).FindString(string(text)); found != "" {
		t.Errorf("a desktop's secret is in the log: %s", found)
	}
}

// enter goes into a desktop with a join link and returns the token that it was given.
func enter(t *testing.T, s *instance, link *url.URL) string {
	t.Helper()
	link.Path = "/api/v1" + link.Path
	resp, err := http.Post(link.String(), "application/json", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var way wire.Way
	if err := json.NewDecoder(resp.Body).Decode(&way); err != nil {
		t.Fatal(err)
	}
	address, err := url.Parse(way.URL)
	if err != nil {
		t.Fatal(err)
	}
	desktop := http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // the authority is of no interest here
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, network, s.ports[1])
			},
		},
	}
	page, err := desktop.Get(way.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer page.Body.Close()
	if page.StatusCode >= http.StatusBadRequest {
		t.Errorf("the desktop answers %s", page.Status)
	}
	return address.Query().Get("authToken")
}

func oneHas(lines, parts []string) bool {
	for _, line := range lines {
		has := true
		for _, p := range parts {
			has = has && (strings.Contains(line, p) || strings.Contains(line, strings.ReplaceAll(p, `"`, `\"`)))
		}
		if has {
			return true
		}
	}
	return false
}

// TestNobodyReadsTheLog runs servers whose log's reader goes away, or stays and does not read. The server goes on, and ends in
// order.
func TestNobodyReadsTheLog(t *testing.T) {
	t.Parallel()
	for name, goes := range map[string]bool{"gone": true, "stopped": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newInstance(t)
			read, write, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer read.Close()
			s.cmd = exec.Command(binary, "serve", "--data-dir", s.data, "--listen", s.ports[0], "--desktop-listen", s.ports[1], "--dns-listen", s.ports[2], "--log-level", "debug")
			s.cmd.Stdout, s.cmd.Stderr = write, write
			if err := s.cmd.Start(); err != nil {
				t.Fatal(err)
			}
			_ = write.Close()
			s.answers()
			if goes {
				_ = read.Close()
			}
			long := strings.Repeat("x", 2000)
			for i := range 1500 { // 3 MB of lines: more than a pipe and the server keep
				resp, err := http.Get(fmt.Sprintf("http://%s/nowhere/%s/%d", s.ports[0], long, i))
				if err != nil {
					t.Fatalf("request %d: %v", i, err)
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
			if _, err := s.api.Schedule(t.Context(), wire.Schedule{Title: "Algebra", StartsAt: time.Now().Add(2 * time.Hour).Format(time.RFC3339), Duration: "30m"}, ""); err != nil {
				t.Error(err)
			}
			resp, err := http.Get("http://" + s.ports[0] + "/metrics")
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if lost := regexp.MustCompile(`(?m)^greenroom_log_lines_lost_total [1-9]`); err != nil || !lost.Match(text) {
				t.Errorf("no line is counted as lost (%v)", err)
			}
			if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if err := s.cmd.Wait(); err != nil {
				t.Errorf("the server stopped with %v", err)
			}
			s.cmd = nil
		})
	}
}
