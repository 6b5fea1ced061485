package hooks

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"greenroom"
	"greenroom/internal/agent/agentapi"
)

func write(t *testing.T, dir, name, script string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), mode); err != nil {
		t.Fatal(err)
	}
}

func TestOrderAndChoice(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "20-b", `echo b >> out; echo last`, 0o755)
	write(t, dir, "10-a", `echo a >> out`, 0o755)
	write(t, dir, "15-not", `echo not >> out`, 0o644)
	write(t, dir, ".hidden", `echo hidden >> out`, 0o755)
	if err := os.Mkdir(filepath.Join(dir, "05-dir"), 0o755); err != nil {
		t.Fatal(err)
	}
	last, err := Run{Dir: dir, WD: dir, Env: os.Environ()}.Do(t.Context())
	text, _ := os.ReadFile(filepath.Join(dir, "out"))
	if err != nil || last != "last" || string(text) != "a\nb\n" {
		t.Errorf("ran %q, last %q, %v", text, last, err)
	}
	if _, err := (Run{Dir: filepath.Join(dir, "none")}).Do(t.Context()); err != nil {
		t.Errorf("no directory is no fault: %v", err)
	}
}

func TestTimes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "10-slow", `echo waiting; sleep 300`, 0o755)
	for name, r := range map[string]Run{"each": {Dir: dir, Each: 200 * time.Millisecond}, "the whole": {Dir: dir, Whole: 200 * time.Millisecond}} {
		r.Env = os.Environ()
		began := time.Now()
		_, err := r.Do(t.Context())
		if said := greenroom.Sentence(err, ""); !strings.Contains(said, "10-slow did not end within") || !strings.Contains(said, "waiting") || time.Since(began) > 20*time.Second {
			t.Errorf("%s: after %s: %v", name, time.Since(began), err)
		}
	}
}

func TestWhatIsLeftRunningHoldsUpNobody(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "10-kiosk", `(sleep 1; echo alive > after) & echo started`, 0o755)
	began := time.Now()
	if last, err := (Run{Dir: dir, WD: dir, Env: os.Environ()}).Do(t.Context()); err != nil || last != "started" {
		t.Fatalf("%q %v", last, err)
	}
	if took := time.Since(began); took > 900*time.Millisecond && took > 10*settle {
		t.Logf("took %s", took) // a busy machine; the next look is what counts
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if text, _ := os.ReadFile(filepath.Join(dir, "after")); string(text) == "alive\n" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("what the hook left running was ended")
		}
	}
}

func TestHostileOutput(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "10-hostile", `head -c 20000000 /dev/zero | tr '\0' 'x'; printf '\033[2J\r\xff\xe2\x80\xaebad\n'; exit 7`, 0o755)
	_, err := Run{Dir: dir, Env: os.Environ()}.Do(t.Context())
	said := greenroom.Sentence(err, "")
	if len([]rune(said)) > 300 || strings.ContainsAny(said, "\x1b\r\u202e") || !strings.Contains(said, "exit status 7") || !strings.HasSuffix(said, "bad") {
		t.Errorf("said %.400q", said)
	}
}

func TestWhatHooksAreTold(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 12, 1, 15, 0, 0, 0, time.UTC)
	m := agentapi.Meeting{ID: "k3v9", Title: "Algebra\x00\x1b", Role: "teacher", Name: "Ada", VideoURL: "https://meet/k3v9", StartsAt: at, EndsAt: at.Add(time.Hour)}
	want := []string{"A=b", "GREENROOM_MEETING_ID=k3v9", "GREENROOM_TITLE=Algebra", "GREENROOM_ROLE=teacher", "GREENROOM_NAME=Ada", "GREENROOM_VIDEO_URL=https://meet/k3v9",
		"GREENROOM_STARTS_AT=2026-12-01T15:00:00Z", "GREENROOM_ENDS_AT=2026-12-01T16:00:00Z", "GREENROOM_HOSTNAME=i-1.desk", "GREENROOM_MEETING_FILE=/f"}
	if diff := cmp.Diff(want, Environ([]string{"A=b"}, m, "i-1.desk", "/f")); diff != "" {
		t.Error(diff)
	}
	for line, where := range map[string]string{"session-data-url: s3://b/k": "s3://b/k", "session-data-url:": "", "done": "", "see session-data-url: x": ""} {
		if got := SessionData(line); got != where {
			t.Errorf("%q tells %q", line, got)
		}
	}
}

func TestRunnersOfWindows(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{`10-a.PS1`: "powershell.exe -NoProfile -NonInteractive -ExecutionPolicy Bypass -File 10-a.PS1", "b.cmd": "cmd.exe /d /c b.cmd", "c.exe": "c.exe", "readme.txt": "", "noending": ""} {
		if got := strings.Join(runner(path), " "); got != want {
			t.Errorf("%s: %q", path, got)
		}
	}
}
