package limits

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestJudge(t *testing.T) {
	t.Parallel()
	files, cpu, space := all[0], all[5], all[2]
	for _, c := range []struct {
		of           limit
		have         uint64
		low, useless bool
		says         string
	}{
		{files, 64, true, true, "open files is 64, and greenroom needs 4096"},
		{files, 1024, true, false, "is 1024"},
		{files, 4096, false, false, ""},
		{files, unlimited, false, false, ""},
		{space, 1 << 30, true, true, "address space is 1024 MiB, and greenroom needs 8192 MiB"},
		{cpu, 3600, true, false, "is 3600 s, and greenroom needs no limit"},
		{cpu, unlimited, false, false, ""},
	} {
		f, low := c.of.judge(c.have)
		if low != c.low || f.Useless != c.useless || !strings.Contains(f.Message, c.says) || low && f.Fix == "" {
			t.Errorf("%s of %d: %v %+v", c.of.name, c.have, low, f)
		}
	}
}

func TestTheLowestControlGroupCounts(t *testing.T) {
	t.Parallel()
	for name, membership := range map[string]string{"version 1": "9:name=systemd:/\n8:pids:/a/b\n0::/x\n", "version 2": "0::/a/b\n"} {
		mount := t.TempDir()
		dir := mount
		if name == "version 1" {
			dir = filepath.Join(mount, "pids")
		}
		file := filepath.Join(mount, "membership")
		if err := os.MkdirAll(filepath.Join(dir, "a", "b"), 0o700); err != nil {
			t.Fatal(err)
		}
		for path, text := range map[string]string{file: membership, filepath.Join(dir, "a", "b", "pids.max"): "max\n", filepath.Join(dir, "a", "pids.max"): "100\n"} {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if n, ok := tasks(file, mount); n != 100 || !ok {
			t.Errorf("%s: %d %v", name, n, ok)
		}
	}
	if _, ok := tasks("/nowhere", "/nowhere"); ok {
		t.Error("nothing has a bound")
	}
}
