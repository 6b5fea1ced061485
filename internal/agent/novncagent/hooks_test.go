package novncagent_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"greenroom/internal/agent/agentapi"
	"greenroom/internal/agent/agenttest"
)

// hooked starts an agent whose desktop has these hooks, by path below their directory.
func hooked(t *testing.T, scripts map[string]string) (m *machine, dir string) {
	t.Helper()
	dir = t.TempDir()
	for path, script := range scripts {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("#!/bin/sh\ncd "+dir+"\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	control := agenttest.NewControlPlane(t)
	control.Hooks = dir
	return bootUntil(t, time.Now().Add(time.Hour), control), dir
}

func TestHooks(t *testing.T) {
	t.Parallel()
	t.Run("WarmUpOnTheScreenThenReadyThenTheEnd", func(t *testing.T) {
		t.Parallel()
		m, dir := hooked(t, map[string]string{
			"warmup.d/10-kiosk": `xterm -e "sleep 300" & echo "$GREENROOM_TITLE $GREENROOM_ROLE $DISPLAY" > warm; sleep 0.2; touch warmed`,
			"end.d/10-upload":   `echo working; echo session-data-url: s3://bucket/$GREENROOM_ROLE`,
		})
		m.control.AwaitReady(t, m.handle)
		if text, err := os.ReadFile(filepath.Join(dir, "warm")); err != nil || !strings.HasPrefix(string(text), "Algebra teacher :") {
			t.Errorf("warmed up with %q: %v", text, err)
		}
		if _, err := os.Stat(filepath.Join(dir, "warmed")); err != nil {
			t.Error("ready before the hooks had ended")
		}
		m.control.Change(m.handle, func(k *agenttest.Machine) {
			if !k.Report.EndHooks {
				t.Error("nobody would wait for the end hooks")
			}
			k.Orders = agentapi.Orders{Ending: "The meeting has ended."}
		})
		m.control.Await(t, m.handle, "the end hooks' end", func(k *agenttest.Machine) bool { return k.Report.Ended })
		m.control.Change(m.handle, func(k *agenttest.Machine) {
			if k.Data != "s3://bucket/teacher" {
				t.Errorf("session data %q", k.Data)
			}
		})
	})
	t.Run("AFailureIsTold", func(t *testing.T) {
		t.Parallel()
		m, _ := hooked(t, map[string]string{"warmup.d/10-bad": `echo no room; exit 1`})
		m.control.Await(t, m.handle, "the error", func(k *agenttest.Machine) bool {
			return strings.Contains(k.Report.Error, "10-bad failed: exit status 1. It said: no room") && !k.Report.Ready
		})
	})
}
