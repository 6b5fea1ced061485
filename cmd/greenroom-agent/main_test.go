package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestUsage(t *testing.T) {
	t.Parallel()
	for line, c := range map[string]struct {
		code int
		says string
	}{
		"version":                {0, "greenroom-agent "},
		"-h":                     {0, "Flags of run"},
		"dance":                  {2, "no command \"dance\""},
		"run -nonsense":          {2, "nonsense"},
		"run one":                {2, "one argument too many"},
		"run -user-data x -quic": {1, ""}, // ends with the test's context, which is over
	} {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		var out bytes.Buffer
		args := strings.Fields(line)
		if args[0] == "run" {
			args = append([]string{"run", "-state", t.TempDir()}, args[1:]...)
		}
		if code := run(ctx, args, &out, &out); code != c.code || !strings.Contains(out.String(), c.says) {
			t.Errorf("%s: %d, %s", line, code, out.String())
		}
	}
}

// TestCrossBuilds builds the program for every system it is for.
func TestCrossBuilds(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"linux/amd64", "linux/arm64", "windows/amd64", "windows/arm64"} {
		system, arch, _ := strings.Cut(target, "/")
		out := filepath.Join(t.TempDir(), "agent")
		cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", out, "greenroom/cmd/greenroom-agent")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+system, "GOARCH="+arch)
		if said, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", target, err, said)
			continue
		}
		if info, err := os.Stat(out); err != nil || info.Size() > 12<<20 {
			t.Errorf("%s: %v, %v", target, info, err)
		}
	}
}
