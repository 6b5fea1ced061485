package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"greenroom"
	"greenroom/internal/httpapi/wire"
	"greenroom/internal/httpx"
)

// onSmallDisk runs what follows with a disk of its own mounted at $0, which is gone with it.
const onSmallDisk = `mount -t tmpfs -o size=24m,mode=700 none "$0" && exec "$@"`

// TestFullDisk fills the disk under a serving greenroom. What is accepted stays, what is not is refused in words, and
// with room again everything goes on.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	s := newInstance(t)
	disk := filepath.Join(s.data, "disk")
	if err := os.Mkdir(disk, 0o700); err != nil {
		t.Fatal(err)
	}
	s.under = []string{"unshare", "--mount", "--map-root-user", "--", "sh", "-c", onSmallDisk, disk}
	if out, err := exec.Command(s.under[0], append(s.under[1:], "true")...).CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: this user may not mount a disk, not even in a namespace of its own (%v: %s). As root it can be run.", err, out)
	}
	s.args = []string{"--data-dir", disk}
	s.start()
	inside := filepath.Join("/proc", fmt.Sprint(s.cmd.Process.Pid), "root", disk)

	live := mustSchedule(t, s, "Live", "now")
	s.until("desktops", func(ctx context.Context) bool {
		m, ok := s.meeting(ctx, live.ID)
		return ok && all(m, greenroom.Ready)
	})
	tomorrow := time.Now().Add(24 * time.Hour).Format(time.RFC3339)
	filler := filepath.Join(inside, "filler")
	fill(t, filler)
	accepted := []wire.Meeting{live}
	var refusal *httpx.Problem
	for i := 0; refusal == nil; i++ { // the database has some room of its own left
		m, err := s.api.Schedule(t.Context(), wire.Schedule{Title: fmt.Sprintf("Full %d %s", i, strings.Repeat("x", 150)), StartsAt: tomorrow}, "")
		if err == nil {
			accepted = append(accepted, m)
		} else if !errors.As(err, &refusal) {
			t.Fatal(err)
		}
	}
	if refusal.Status != 503 || !strings.Contains(refusal.Detail, "cannot save") {
		t.Errorf("refused with %d %q", refusal.Status, refusal.Detail)
	}
	if _, err := s.api.Meeting(t.Context(), live.ID); err != nil {
		t.Errorf("a full disk cannot be read: %v", err)
	}
	s.until("it to say that it is not ready", func(ctx context.Context) bool { return s.readyz(ctx) == http.StatusServiceUnavailable })
	if _, err := s.api.End(t.Context(), live.ID); err != nil {
		t.Fatal(err)
	}
	s.until("the end on a full disk", func(ctx context.Context) bool {
		m, ok := s.meeting(ctx, live.ID)
		return ok && all(m, greenroom.Gone)
	})
	s.until("every process to be gone", func(context.Context) bool { return len(s.desktopProcesses()) == 0 })
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	s.until("room to be noticed", func(ctx context.Context) bool {
		m, err := s.api.Schedule(ctx, wire.Schedule{Title: "Room", StartsAt: tomorrow}, "")
		if err == nil {
			accepted = append(accepted, m)
		}
		return err == nil
	})
	for _, want := range accepted {
		if m, err := s.api.Meeting(t.Context(), want.ID); err != nil || m.Title != want.Title {
			t.Errorf("an accepted meeting is lost: %v %v", want.Title, err)
		}
	}
	s.until("it to be ready", func(ctx context.Context) bool { return s.readyz(ctx) == http.StatusOK })
}

func mustSchedule(t *testing.T, s *instance, title, start string) wire.Meeting {
	t.Helper()
	m, err := s.api.Schedule(t.Context(), wire.Schedule{Title: title, StartsAt: start, Duration: "30m"}, "")
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// fill leaves no room on the disk that path lies on.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size >= 512; {
		if _, err := f.Write(make([]byte, size)); errors.Is(err, unix.ENOSPC) {
			size /= 2
		} else if err != nil {
			t.Fatal(err)
		}
	}
}
