package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/httpapi/client"
	"greenroom/internal/httpapi/wire"
)

// backups is how often a backup is made while meetings are scheduled.
const backups = 6

// greenroom runs a command of the program that must succeed.
func (s *instance) greenroom(args ...string) {
	s.t.Helper()
	if out, err := exec.CommandContext(s.t.Context(), binary, append(args, "--data-dir", s.data)...).CombinedOutput(); err != nil {
		s.t.Fatalf("greenroom %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// accepted collects what the server has answered with a 201.
type accepted struct {
	mu  sync.Mutex
	all []wire.Meeting
}

func (a *accepted) add(m wire.Meeting) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = append(a.all, m)
}

func (a *accepted) soFar() []wire.Meeting {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]wire.Meeting(nil), a.all...)
}

// scheduleUntil schedules meetings far ahead, several at once, until ctx ends. What the server no longer answers
// is nobody's loss.
func (s *instance) scheduleUntil(ctx context.Context, a *accepted) *sync.WaitGroup {
	var wg sync.WaitGroup
	start := time.Now().Add(3 * time.Hour).UTC().Format(time.RFC3339)
	for w := range 8 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				if m, err := s.api.Schedule(ctx, wire.Schedule{Title: fmt.Sprintf("Load %d.%d", w, i), StartsAt: start}, ""); err == nil {
					a.add(m)
				}
			}
		})
	}
	return &wg
}

// holds checks that every wanted meeting is there, and no meeting twice.
func (s *instance) holds(want []wire.Meeting) {
	s.t.Helper()
	ids, titles := map[string]bool{}, map[string]bool{}
	f := client.Filter{Limit: 500}
	for {
		page, err := s.api.List(s.t.Context(), f)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, m := range page.Meetings {
			if ids[m.ID] || titles[m.Title] {
				s.t.Errorf("%q is there twice", m.Title)
			}
			ids[m.ID], titles[m.Title] = true, true
		}
		if page.NextCursor == nil {
			break
		}
		f.Cursor = *page.NextCursor
	}
	for _, m := range want {
		if !ids[m.ID] {
			s.t.Errorf("%q was accepted before the backup began and is lost", m.Title)
		}
	}
}

// linkWorks follows a seat's link as a browser would.
func (s *instance) linkWorks(m wire.Meeting) {
	s.t.Helper()
	_, path, _ := strings.Cut(m.Seats[0].JoinURL, "/join/")
	resp, err := http.Get("http://" + s.ports[0] + "/join/" + path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 || !strings.Contains(string(page), m.Title) {
		s.t.Errorf("the link of %q: status %d, %v", m.Title, resp.StatusCode, err)
	}
}

func (s *instance) live(title string) wire.Meeting {
	s.t.Helper()
	m, err := s.api.Schedule(s.t.Context(), wire.Schedule{Title: title, StartsAt: "now", Duration: "30m"}, "")
	if err != nil {
		s.t.Fatal(err)
	}
	return s.ready(m.ID)
}

func (s *instance) ready(id string) (m wire.Meeting) {
	s.t.Helper()
	s.until("both desktops to be ready", func(ctx context.Context) (ok bool) {
		m, ok = s.meeting(ctx, id)
		return ok && all(m, greenroom.Ready)
	})
	return m
}

// endsWithoutTrace ends a meeting and wants nothing of any desktop to be left.
func (s *instance) endsWithoutTrace(id string) {
	s.t.Helper()
	if _, err := s.api.End(s.t.Context(), id); err != nil {
		s.t.Fatal(err)
	}
	s.until("the end", func(ctx context.Context) bool {
		m, ok := s.meeting(ctx, id)
		return ok && m.State == greenroom.Ended && all(m, greenroom.Gone)
	})
	s.nothingLeft()
}

// TestBackupWhileServing makes backups while desktops live and meetings are scheduled as fast as the server takes
// them, kills it with kill -9, and restores into the same directory and into a fresh one.
func TestBackupWhileServing(t *testing.T) {
	t.Parallel()
	s := newInstance(t)
	s.start()
	live := s.live("Live")
	file := filepath.Join(t.TempDir(), "backup.tar")
	var load accepted
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	writers := s.scheduleUntil(ctx, &load)
	var before []wire.Meeting
	for i := range backups {
		had := len(load.soFar())
		s.until("more meetings", func(context.Context) bool { return len(load.soFar()) >= had+50 })
		before = load.soFar()
		began := time.Now()
		s.greenroom("backup", file, "--force")
		t.Logf("backup %d of %d meetings took %s; %d were accepted meanwhile", i, len(before), time.Since(began), len(load.soFar())-len(before))
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the backup's mode is %v: %v", info.Mode(), err)
	}
	s.kill()
	stop()
	writers.Wait()

	s.greenroom("restore", file, "--force")
	s.start()
	s.holds(append(before, live))
	s.linkWorks(before[0])
	again := s.ready(live.ID)
	for i, seat := range again.Seats {
		if seat.Desktop.InstanceID != live.Seats[i].Desktop.InstanceID {
			t.Errorf("seat %s has another machine: %s", seat.Role, seat.Desktop.InstanceID)
		}
	}
	if n := s.screens(); n != 2 {
		t.Errorf("%d screens for two seats", n)
	}
	s.linkWorks(live)
	s.endsWithoutTrace(live.ID)

	fresh := newInstance(t)
	fresh.data = filepath.Join(fresh.data, "fresh")
	fresh.greenroom("restore", file)
	fresh.start()
	fresh.holds(append(before, live))
	fresh.linkWorks(before[len(before)-1])
	fresh.endsWithoutTrace(live.ID)
}

// twoSweeps is the time in which what nobody owns must be gone: the first sweep comes with the start, the second a
// minute later, and a slow machine gets the rest.
const twoSweeps = 3 * time.Minute

// TestRestoringAnOldBackup goes back to before a meeting began: its machines are nobody's and are removed. The
// machines of a meeting that has ended since are missing: it gets new ones while it lasts.
func TestRestoringAnOldBackup(t *testing.T) {
	t.Parallel()
	s := newInstance(t)
	s.start()
	file := filepath.Join(t.TempDir(), "old.tar")
	old := s.live("Old")
	s.greenroom("backup", file)
	s.endsWithoutTrace(old.ID)
	newer := s.live("Newer")
	s.kill()
	s.greenroom("restore", file, "--force")
	s.start()
	began := time.Now()
	if _, ok := s.meeting(t.Context(), newer.ID); ok {
		t.Error("the newer meeting is in the old backup")
	}
	s.until("new machines for the old meeting", func(ctx context.Context) bool {
		m, ok := s.meeting(ctx, old.ID)
		return ok && all(m, greenroom.Ready) && m.Seats[0].Desktop.InstanceID != old.Seats[0].Desktop.InstanceID
	})
	s.linkWorks(old)
	for s.screens() != 2 {
		if time.Since(began) > twoSweeps {
			t.Fatalf("%d screens, want the two of the old meeting", s.screens())
		}
		<-time.After(time.Second)
	}
	t.Logf("the newer meeting's machines were gone after %s", time.Since(began))
	s.endsWithoutTrace(old.ID)
}
