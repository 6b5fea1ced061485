package timezone_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"greenroom/internal/timezone"
)

func TestLoad(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"UTC": "UTC", "Europe/Berlin": "Europe/Berlin", "America/Argentina/Buenos_Aires": "America/Argentina/Buenos_Aires", "Etc/GMT+5": "Etc/GMT+5",
		"US/Pacific": "America/Los_Angeles", "Asia/Calcutta": "Asia/Kolkata", "Europe/Kiev": "Europe/Kyiv", "America/Buenos_Aires": "America/Argentina/Buenos_Aires",
		"GMT": "UTC", "Zulu": "UTC", "Iceland": "Atlantic/Reykjavik", "Europe/Oslo": "Europe/Oslo", "Europe/Amsterdam": "Europe/Amsterdam",
	} {
		loc, err := timezone.Load(name)
		if err != nil || loc.String() != want {
			t.Errorf("Load(%q) is %v, %v; want %s", name, loc, err, want)
		}
	}
	for _, name := range []string{
		"", "Local", "local", "localtime", "posixrules", "Factory", "right/UTC", "right/Europe/Berlin", "posix/Europe/Berlin", "Right/UTC", "SystemV/PST8",
		"/usr/share/zoneinfo/UTC", "../UTC", "Europe/../UTC", "Europe/", "/UTC", "Europe//Berlin", `Europe\Berlin`, "Europe/Berlin\x00", " UTC", "UTC\n",
		"Mars/Base", "europe/berlin/", "+01:00", "tzdata.zi", "zone.tab", strings.Repeat("a", 1000),
	} {
		if loc, err := timezone.Load(name); err == nil {
			t.Errorf("Load(%q) is %v, want an error", name, loc)
		}
	}
}

// Every listed name must be one that clocks can be read in, and a legacy name must show the same time as today's.
func TestTheListIsRight(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("zones.txt")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for line := range strings.Lines(string(text)) {
		names := strings.Fields(line)
		for _, name := range names {
			loc, err := timezone.Load(name)
			if err != nil || loc.String() != names[0] {
				t.Fatalf("%s: %v, %v", name, loc, err)
			}
			own, err := time.LoadLocation(name)
			if err != nil {
				t.Fatal(err)
			}
			if a, b := now.In(own).Format("15:04"), now.In(loc).Format("15:04"); a != b {
				t.Errorf("clocks in %s show %s, and in %s %s", name, a, names[0], b)
			}
		}
	}
}

func TestShow(t *testing.T) {
	t.Parallel()
	if got := timezone.Show("no/zone"); got != time.UTC {
		t.Errorf("got %v", got)
	}
	if got := timezone.Show("Europe/Kiev").String(); got != "Europe/Kyiv" {
		t.Errorf("got %v", got)
	}
}

// A program in a directory of its own sees no database of its host, as in a container from scratch.
func TestNoDatabaseOnTheHost(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	build := exec.Command("go", "build", "-o", filepath.Join(root, "zones"), "./testdata/zones")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.Command("/zones", "Europe/Berlin", "Asia/Calcutta", "UTC", "right/UTC")
	cmd.Env = []string{"ZONEINFO=/nowhere"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
	}
	cmd.Dir = "/"
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if want := "Europe/Berlin +01:00\nAsia/Kolkata +05:30\nUTC +00:00\nunknown time zone \"right/UTC\"\n"; string(out) != want {
		t.Errorf("got\n%swant\n%s", out, want)
	}
}

func TestParseTime(t *testing.T) {
	t.Parallel()
	want := time.Date(2026, 12, 1, 15, 0, 0, 0, time.UTC)
	for _, text := range []string{"2026-12-01T15:00:00Z", "2026-12-01t15:00:00z", "2026-12-01T15:00:00z", "2026-12-01t16:00:00+01:00", "2026-12-01t15:00:00.000z"} {
		if got, err := timezone.ParseTime(text); err != nil || !got.Equal(want) {
			t.Errorf("%s is %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "now", "2026-12-01", "2026-12-01T15:00:00", "2026-12-01 15:00:00Z", "2026-13-01T15:00:00Z",
		"2026-12-01T5:00:00Z", "2026-12-01T15:00:00,5Z", "2026-12-01T15:00:00+24:00", "2026-12-31T23:59:60Z", "10000-01-01T00:00:00Z"} {
		if got, err := timezone.ParseTime(text); err == nil {
			t.Errorf("%q is %v, want an error", text, got)
		}
	}
}
