package server_test

import (
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"greenroom/internal/app/server"
	"greenroom/internal/config"
)

// TestFailedRestoreLeavesNothing restores what is no backup into directories that are new, or have nothing of ours.
func TestFailedRestoreLeavesNothing(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "no-backup.tar")
	if err := os.WriteFile(file, []byte("no backup at all"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, dir := range map[string]string{"NewDirectory": filepath.Join(t.TempDir(), "new"), "EmptyDirectory": t.TempDir()} {
		_, before := os.Stat(dir)
		_, err := server.Restore(t.Context(), config.Config{DataDir: dir}, file, false)
		says(t, err, "Nothing was changed")
		left, _ := os.ReadDir(dir)
		if _, after := os.Stat(dir); (before == nil) != (after == nil) || len(left) != 0 {
			t.Errorf("%s: left %v", name, left)
		}
	}
	cfg := dataDir(t, 1)
	was := state(t, cfg.DataDir)
	_, err := server.Restore(t.Context(), cfg, file, true)
	says(t, err, "Nothing was changed")
	if now := state(t, cfg.DataDir); len(now) != len(was) {
		t.Errorf("before: %d files, after: %d", len(was), len(now))
	}
}

// TestRootRestoresForTheOwnerOfTheDirectory checks every file that a restore as root leaves.
func TestRootRestoresForTheOwnerOfTheDirectory(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: only root can give files away")
	}
	file := backup(t, dataDir(t, 2))
	const user, group = 4711, 4712
	for name, cfg := range map[string]config.Config{"New": {DataDir: t.TempDir()}, "Old": dataDir(t, 1)} {
		if err := os.Chown(cfg.DataDir, user, group); err != nil {
			t.Fatal(err)
		}
		for path := range state(t, cfg.DataDir) {
			if err := os.Chown(path, user, group); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := server.Restore(t.Context(), cfg, file, true); err != nil {
			t.Fatal(err)
		}
		err := filepath.WalkDir(cfg.DataDir, func(path string, d os.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			if owner := info.Sys().(*syscall.Stat_t); owner.Uid != user || owner.Gid != group {
				t.Errorf("%s: %s belongs to %d:%d", name, path, owner.Uid, owner.Gid)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// TestTrustMakesNoAuthority names a directory without one, as a mistyped --data-dir does.
func TestTrustMakesNoAuthority(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "mistyped")
	for _, remove := range []bool{false, true} {
		err := server.Trust(t.Context(), config.Config{DataDir: dir}, t.TempDir(), remove, io.Discard)
		says(t, err, "no local authority in "+dir, "--data-dir")
		if _, err := os.Stat(dir); err == nil {
			t.Error("it made something")
		}
	}
}
