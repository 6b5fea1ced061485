package e2e

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"greenroom/internal/httpapi/wire"
	"greenroom/internal/httpx"
)

// readyz is the status of the server's own judgement.
func (s *instance) readyz(ctx context.Context) int {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.ports[0]+"/readyz", http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0
	}
	resp.Body.Close()
	return resp.StatusCode
}

// lossNoticed is within what time a lost database is noticed.
const lossNoticed = 5 * time.Second

// TestDatabaseIsTakenAway removes and replaces the database's file while greenroom serves: nothing is accepted that would be
// gone after a restart, and an empty file is not taken for a new installation.
func TestDatabaseIsTakenAway(t *testing.T) {
	t.Parallel()
	s := newInstance(t)
	s.start()
	tomorrow := time.Now().Add(24 * time.Hour).Format(time.RFC3339)
	kept := mustSchedule(t, s, "Kept", tomorrow)
	file := filepath.Join(s.data, "greenroom.db")
	away := filepath.Join(t.TempDir(), "away.db")
	lost := func() {
		t.Helper()
		s.within(lossNoticed, "it not to be ready", func(ctx context.Context) bool { return s.readyz(ctx) == http.StatusServiceUnavailable })
		var p *httpx.Problem
		_, err := s.api.Schedule(t.Context(), wire.Schedule{Title: "Lost", StartsAt: tomorrow, Duration: "30m"}, "")
		if !errors.As(err, &p) || p.Status != http.StatusServiceUnavailable {
			t.Errorf("a meeting that would be gone: %v", err)
		}
		s.within(lossNoticed, "the log to say so", func(context.Context) bool {
			text, err := os.ReadFile(s.log())
			return err == nil && strings.Contains(string(text), "database is lost")
		})
	}
	if err := os.Rename(file, away); err != nil {
		t.Fatal(err)
	}
	lost()
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	lost()
	if err := os.Rename(away, file); err != nil {
		t.Fatal(err)
	}
	s.within(lossNoticed, "it to be ready", func(ctx context.Context) bool { return s.readyz(ctx) == http.StatusOK })
	s.stop()
	s.start()
	if m, err := s.api.Meeting(t.Context(), kept.ID); err != nil || m.Title != "Kept" {
		t.Errorf("%v, %v", m.Title, err)
	}
	s.stop()
	if err := os.Truncate(file, 0); err != nil {
		t.Fatal(err)
	}
	s.launch()
	s.within(lossNoticed, "it to refuse an empty database", func(context.Context) bool {
		text, err := os.ReadFile(s.log())
		return err == nil && strings.Contains(string(text), "is missing or empty, though it was in use")
	})
}
