package server

import (
	"maps"
	"os"
	"path/filepath"
	"testing"
)

// put writes files, whose directories it makes.
func put(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func content(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		if d.IsDir() {
			all[name] = "a directory"
			return nil
		}
		text, err := os.ReadFile(path)
		all[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestSwapIsUndone(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]map[string]string{
		"All":        {"greenroom.db": "old", "greenroom.db-wal": "old log", "ca.key": "old key", "ca.pem": "old pem", "acme/a/b": "old acme", "other": "x"},
		"NoDatabase": {"ca.key": "old key", "ca.pem": "old pem"},
		"Nothing":    {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dataDir, dir := t.TempDir(), t.TempDir()
			put(t, dataDir, before)
			put(t, dir, map[string]string{"greenroom.db": "new", "ca.key": "new key", "ca.pem": "new pem", "acme/c": "new acme"})
			was := content(t, dataDir)
			x := &exchange{dataDir: dataDir, dir: dir}
			if err := x.all(); err != nil {
				t.Fatal(err)
			}
			if now := content(t, dataDir); now["greenroom.db"] != "new" || now["acme/c"] != "new acme" || now["acme/a/b"] != "" {
				t.Errorf("it did not exchange: %v", now)
			}
			if err := x.back(); err != nil {
				t.Error(err)
			}
			if now := content(t, dataDir); !maps.Equal(was, now) {
				t.Errorf("before: %v\nafter it was undone: %v", was, now)
			}
		})
	}
}

// TestSwapThatFailsChangesNothing meets a directory where a file should be.
func TestSwapThatFailsChangesNothing(t *testing.T) {
	t.Parallel()
	dataDir, dir := t.TempDir(), t.TempDir()
	put(t, dataDir, map[string]string{"greenroom.db": "old", "ca.key": "old key", "ca.pem/x": "a directory with something in it", "acme/a": "old acme"})
	put(t, dir, map[string]string{"greenroom.db": "new", "ca.key": "new key", "ca.pem": "new pem", "acme/c": "new acme"})
	was := content(t, dataDir)
	if aside, err := swap(dataDir, dir); err == nil || aside != "" {
		t.Errorf("it succeeded: %q", aside)
	}
	if now := content(t, dataDir); !maps.Equal(was, now) {
		t.Errorf("before: %v\nafter: %v", was, now)
	}
}
