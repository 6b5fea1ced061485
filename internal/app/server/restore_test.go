package server_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/app/server"
	"greenroom/internal/config"
	"greenroom/internal/store"
	"greenroom/internal/store/sqlstore"
	"greenroom/internal/store/storetest"
)

// dataDir is one with a database of so many meetings and an authority; the server has ended.
func dataDir(t *testing.T, meetings int) config.Config {
	t.Helper()
	cfg := config.Config{DataDir: t.TempDir()}
	s := serving(t, cfg, meetings)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ca.key", "ca.pem"} {
		if err := os.WriteFile(filepath.Join(cfg.DataDir, name), []byte(name+" of "+cfg.DataDir), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cfg
}

func serving(t *testing.T, cfg config.Config, meetings int) *sqlstore.Store {
	t.Helper()
	s, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: filepath.Join(cfg.DataDir, "greenroom.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	for range meetings {
		m := storetest.Meeting(time.Now())
		m.ID = greenroom.NewMeetingID()
		if _, _, err := s.Create(t.Context(), m, nil, store.Idempotency{}); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func backup(t *testing.T, cfg config.Config) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "backup.tar")
	if _, err := server.Backup(t.Context(), cfg, "v1", file, false); err != nil {
		t.Fatal(err)
	}
	return file
}

func says(t *testing.T, err error, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(greenroom.Sentence(err, ""), w) {
			t.Errorf("%v, want %q in its sentence", err, w)
		}
	}
}

// state is every file of a directory with its content.
func state(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			text, _ := os.ReadFile(path)
			all[path] = string(text)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestBackupNeverReplacesUnasked(t *testing.T) {
	t.Parallel()
	cfg := dataDir(t, 2)
	file := backup(t, cfg)
	was, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, err = server.Backup(t.Context(), cfg, "v2", file, false)
	says(t, err, file, "--force")
	if now, _ := os.ReadFile(file); !bytes.Equal(was, now) {
		t.Error("it was replaced")
	}
	r, err := server.Backup(t.Context(), cfg, "v2", file, true)
	if err != nil || r.Holds.Meetings != 2 || r.Version != "v2" || len(r.Files) != 3 {
		t.Errorf("%+v %v", r, err)
	}
	if left, err := os.ReadDir(filepath.Dir(file)); err != nil || len(left) != 1 {
		t.Errorf("beside the backup: %v %v", left, err)
	}
}

func TestRestore(t *testing.T) {
	t.Parallel()

	t.Run("RefusesWhileAServerUsesTheDirectory", func(t *testing.T) {
		t.Parallel()
		cfg := dataDir(t, 1)
		file := backup(t, cfg)
		serving(t, cfg, 0)
		_, err := server.Restore(t.Context(), cfg, file, true)
		says(t, err, "another greenroom is using "+cfg.DataDir)
	})

	t.Run("MovesMeetingsAsideOnlyWhenTold", func(t *testing.T) {
		t.Parallel()
		cfg, other := dataDir(t, 3), dataDir(t, 5)
		file := backup(t, other)
		before := state(t, cfg.DataDir)
		_, err := server.Restore(t.Context(), cfg, file, false)
		says(t, err, "holds meetings (3)", "--force", "Nothing was changed")
		if now := state(t, cfg.DataDir); len(now) != len(before) || now[filepath.Join(cfg.DataDir, "greenroom.db")] != before[filepath.Join(cfg.DataDir, "greenroom.db")] {
			t.Error("something was changed")
		}
		r, err := server.Restore(t.Context(), cfg, file, true)
		if err != nil || r.Holds.Meetings != 5 {
			t.Fatalf("%+v %v", r, err)
		}
		for dir, want := range map[string]struct {
			meetings int
			key      string
		}{cfg.DataDir: {5, "ca.key of " + other.DataDir}, r.Aside: {3, "ca.key of " + cfg.DataDir}} {
			c, err := sqlstore.Inspect(t.Context(), filepath.Join(dir, "greenroom.db"), "x")
			key, _ := os.ReadFile(filepath.Join(dir, "ca.key"))
			if err != nil || c.Meetings != int64(want.meetings) || string(key) != want.key {
				t.Errorf("%s holds %+v and %q; %v", dir, c, key, err)
			}
		}
		serving(t, cfg, 1)
	})

	t.Run("WhatAKilledServerLeftInItsLogIsNotLost", func(t *testing.T) {
		t.Parallel()
		cfg := dataDir(t, 1)
		file := backup(t, cfg)
		killed := config.Config{DataDir: t.TempDir()}
		s := serving(t, cfg, 4) // its log is copied before it is closed, as a kill leaves it
		for _, name := range []string{"greenroom.db", "greenroom.db-wal"} {
			text, err := os.ReadFile(filepath.Join(cfg.DataDir, name))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(killed.DataDir, name), text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		r, err := server.Restore(t.Context(), killed, file, true)
		if err != nil {
			t.Fatal(err)
		}
		if c, err := sqlstore.Inspect(t.Context(), filepath.Join(r.Aside, "greenroom.db"), "x"); err != nil || c.Meetings != 5 {
			t.Errorf("aside are %+v; %v", c, err)
		}
		if c, err := sqlstore.Inspect(t.Context(), filepath.Join(killed.DataDir, "greenroom.db"), "x"); err != nil || c.Meetings != 1 {
			t.Errorf("restored are %+v; %v", c, err)
		}
	})

	t.Run("ADamagedDatabaseIsMovedAside", func(t *testing.T) {
		t.Parallel()
		cfg := dataDir(t, 2)
		file := backup(t, cfg)
		database := filepath.Join(cfg.DataDir, "greenroom.db")
		for name, text := range map[string]string{database: strings.Repeat("damaged ", 1000), database + "-wal": "a log"} {
			if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		_, err := server.Restore(t.Context(), cfg, file, false)
		says(t, err, "cannot be read", "--force")
		r, err := server.Restore(t.Context(), cfg, file, true)
		if err != nil || r.Aside == "" {
			t.Fatalf("%+v %v", r, err)
		}
		if text, err := os.ReadFile(filepath.Join(r.Aside, "greenroom.db")); err != nil || !strings.HasPrefix(string(text), "damaged") {
			t.Errorf("the damaged one is not aside: %v", err)
		}
		serving(t, cfg, 1)
	})

	t.Run("CertificatesOfOthersComeAlong", func(t *testing.T) {
		t.Parallel()
		from, to := dataDir(t, 1), dataDir(t, 1)
		put := func(cfg config.Config, name, text string) {
			path := filepath.Join(cfg.DataDir, name)
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
				t.Fatal(err)
			}
		}
		want := map[string]string{"acme/budget.json": "{}", "acme/certificates/ca/wildcard_.desk.example.com/wildcard_.desk.example.com.key": "key", "origin-certificates": "journal"}
		for name, text := range want {
			put(from, name, text)
		}
		put(from, "acme/locks/issue.lock", "somebody's")
		put(to, "acme/budget.json", "old")
		report, err := server.Restore(t.Context(), to, backup(t, from), true)
		if err != nil {
			t.Fatal(err)
		}
		for name, text := range want {
			if got, err := os.ReadFile(filepath.Join(to.DataDir, name)); err != nil || string(got) != text {
				t.Errorf("%s holds %q, %v", name, got, err)
			}
		}
		if old, err := os.ReadFile(filepath.Join(report.Aside, "acme/budget.json")); err != nil || string(old) != "old" {
			t.Errorf("aside is %q, %v", old, err)
		}
		if _, err := os.Lstat(filepath.Join(to.DataDir, "acme/locks")); err == nil {
			t.Error("a lock came along")
		}
	})

	t.Run("ADamagedBackupChangesNothing", func(t *testing.T) {
		t.Parallel()
		cfg := dataDir(t, 1)
		other := dataDir(t, 1)
		file := backup(t, other)
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		before := state(t, cfg.DataDir)
		if err := os.WriteFile(file, text[:len(text)/3], 0o600); err != nil {
			t.Fatal(err)
		}
		_, err = server.Restore(t.Context(), cfg, file, true)
		says(t, err, "not a backup that greenroom made, or it is damaged", "Nothing was changed")
		if now := state(t, cfg.DataDir); len(now) != len(before) {
			t.Errorf("left behind: %d files, not %d", len(now), len(before))
		}
	})
}
