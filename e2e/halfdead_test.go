package e2e

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/httpapi/wire"
	"greenroom/internal/procs"
)

// Targets for desktops on this machine, doubled: the machine of a test may be busy.
const (
	noticedIn  = 2 * 15 * time.Second
	replacedIn = 2 * 20 * time.Second
)

// TestHalfDeadDesktopsAreReplaced does to a ready desktop what leaves its machine alive and its person outside.
func TestHalfDeadDesktopsAreReplaced(t *testing.T) {
	t.Parallel()
	s := newInstance(t)
	s.start()
	for name, harm := range map[string]func(t *testing.T, id string){
		"TheAgentIsStopped":      func(t *testing.T, id string) { s.signal(t, id, "greenroom", syscall.SIGSTOP) },
		"TheXServerIsStopped":    func(t *testing.T, id string) { s.signal(t, id, "Xtigervnc", syscall.SIGSTOP) },
		"ItsDirectoryIsGone":     func(t *testing.T, id string) { do(t, os.RemoveAll(filepath.Join(s.data, "desktops", id))) },
		"TheScreensSocketIsGone": func(t *testing.T, id string) { do(t, os.Remove(filepath.Join(s.data, "desktops", id, "rfb.sock"))) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := s.api.Schedule(t.Context(), wire.Schedule{Title: name, StartsAt: "now", Duration: "30m", Seats: []wire.SeatInput{{Role: "teacher"}}}, "")
			do(t, err)
			desktop := func(ctx context.Context) wire.Desktop {
				if m, ok := s.meeting(ctx, m.ID); ok {
					return m.Seats[0].Desktop
				}
				return wire.Desktop{}
			}
			s.until("the desktop", func(ctx context.Context) bool { return desktop(ctx).Phase == greenroom.Ready })
			before := desktop(t.Context()).InstanceID
			harm(t, before)
			began := time.Now()
			s.within(noticedIn, "somebody to notice", func(ctx context.Context) bool {
				events, err := s.api.Events(ctx, m.ID, 0)
				do(t, err)
				for _, e := range events.Events {
					if e.Kind == string(greenroom.EventProblem) || e.Kind == string(greenroom.EventFailed) {
						return true
					}
				}
				return false
			})
			saw := time.Now()
			s.within(replacedIn, "another desktop", func(ctx context.Context) bool {
				d := desktop(ctx)
				return d.Attempt == 2 && d.Phase == greenroom.Ready && s.leadsTo(t, m, d.Hostname)
			})
			t.Logf("noticed after %s, replaced and entered %s later", saw.Sub(began).Round(time.Millisecond), time.Since(saw).Round(time.Millisecond))
			s.until("no process of the old one", func(context.Context) bool {
				table, err := procs.List()
				do(t, err)
				for _, p := range procs.WithEnviron(table, "GREENROOM_INSTANCE="+before) {
					if !p.Ended() {
						return false
					}
				}
				return true
			})
		})
	}
}

func do(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// signal sends sig to the process of a desktop that has that name.
func (s *instance) signal(t *testing.T, id, name string, sig syscall.Signal) {
	t.Helper()
	table, err := procs.List()
	do(t, err)
	for _, p := range procs.WithEnviron(table, "GREENROOM_INSTANCE="+id) {
		comm, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.PID), "comm"))
		if strings.TrimSpace(string(comm)) == name {
			do(t, p.Signal(sig))
			return
		}
	}
	t.Fatalf("the desktop %s has no process called %s", id, name)
}

// leadsTo asks for the way in, and reports whether it leads to that host.
func (s *instance) leadsTo(t *testing.T, m wire.Meeting, host string) bool {
	t.Helper()
	link, err := url.Parse(m.Seats[0].JoinURL)
	do(t, err)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.ports[0]+"/api/v1"+link.RequestURI(), nil)
	do(t, err)
	resp, err := http.DefaultClient.Do(r)
	do(t, err)
	defer resp.Body.Close()
	var way wire.Entry
	if resp.StatusCode != http.StatusOK || json.NewDecoder(resp.Body).Decode(&way) != nil {
		return false
	}
	u, err := url.Parse(way.URL)
	return err == nil && u.Hostname() == host
}
