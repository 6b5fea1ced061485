package doctor_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"greenroom/internal/doctor"
)

func options(t *testing.T) doctor.Options {
	return doctor.Options{
		DataDir: filepath.Join(t.TempDir(), "not", "yet"), Zone: "desk.localhost", Listen: "127.0.0.1:0", Desktops: "127.0.0.1:0", DNS: "127.0.0.1:0",
		Applications: []string{"true"},
		Server: func(context.Context) (string, time.Time, error) {
			return "", time.Time{}, errors.New("connection refused")
		},
		Stuck: func(context.Context) ([]doctor.Finding, error) {
			return []doctor.Finding{{Check: "meeting k3v9", Detail: "does not move", Fix: "look"}}, nil
		},
		Trusted: func(context.Context) (bool, error) { return true, nil },
	}
}

func find(t *testing.T, o doctor.Options, check string) doctor.Finding {
	t.Helper()
	for _, f := range doctor.Check(t.Context(), o) {
		if strings.HasPrefix(f.Check, check) {
			return f
		}
	}
	t.Fatalf("nothing looked at %s", check)
	return doctor.Finding{}
}

func TestCheck(t *testing.T) {
	t.Parallel()

	t.Run("MissingProgramsComeWithTheCommandThatBringsThem", func(t *testing.T) {
		t.Parallel()
		o := options(t)
		o.Applications = []string{"true", "no-such-program -x"}
		if f := find(t, o, "program true"); !f.OK {
			t.Errorf("%+v", f)
		}
		if f := find(t, o, "program no-such-program"); !f.Failed() || !strings.Contains(f.Fix, "apt-get install no-such-program") {
			t.Errorf("%+v", f)
		}
	})

	t.Run("ADirectoryThatCannotBeMade", func(t *testing.T) {
		t.Parallel()
		o := options(t)
		if f := find(t, o, "data directory"); !f.OK && !f.Note {
			t.Errorf("%+v", f)
		}
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		o.DataDir = filepath.Join(file, "data")
		if f := find(t, o, "data directory"); !f.Failed() || f.Fix == "" {
			t.Errorf("%+v", f)
		}
	})

	t.Run("PortsInUseAreOursOnlyWhenGreenroomRuns", func(t *testing.T) {
		t.Parallel()
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		o := options(t)
		o.Listen = l.Addr().String()
		if f := find(t, o, "port for pages"); !f.Failed() || !strings.Contains(f.Fix, "--listen") {
			t.Errorf("%+v", f)
		}
		o.Server = func(context.Context) (string, time.Time, error) { return "v1", time.Now(), nil }
		if f := find(t, o, "port for pages"); !f.OK {
			t.Errorf("%+v", f)
		}
		if f := find(t, o, "server"); !f.OK || !strings.Contains(f.Detail, "v1") {
			t.Errorf("%+v", f)
		}
	})

	t.Run("MeetingsThatDoNotMoveAreAFailureWhenAServerAnswers", func(t *testing.T) {
		t.Parallel()
		o := options(t)
		for _, f := range doctor.Check(t.Context(), o) {
			if strings.HasPrefix(f.Check, "meeting") {
				t.Errorf("asked though no server runs: %+v", f)
			}
		}
		o.Server = func(context.Context) (string, time.Time, error) { return "v1", time.Now(), nil }
		if f := find(t, o, "meeting k3v9"); !f.Failed() || f.Fix == "" {
			t.Errorf("%+v", f)
		}
		o.Stuck = func(context.Context) ([]doctor.Finding, error) { return nil, nil }
		if f := find(t, o, "meetings"); !f.OK {
			t.Errorf("%+v", f)
		}
		o.Stuck = func(context.Context) ([]doctor.Finding, error) { return nil, errors.New("no token") }
		if f := find(t, o, "meetings"); f.Failed() || f.OK || !strings.Contains(f.Detail, "no token") {
			t.Errorf("%+v", f)
		}
	})

	t.Run("ClocksThatDiffer", func(t *testing.T) {
		t.Parallel()
		o := options(t)
		o.Server = func(context.Context) (string, time.Time, error) { return "v1", time.Now().Add(-time.Minute), nil }
		if f := find(t, o, "clock"); f.OK || !f.Note {
			t.Errorf("%+v", f)
		}
	})

	t.Run("AnAuthorityThatIsNotTrusted", func(t *testing.T) {
		t.Parallel()
		o := options(t)
		o.Trusted = func(context.Context) (bool, error) { return false, nil }
		if f := find(t, o, "local authority"); f.OK || f.Failed() || !strings.Contains(f.Fix, "greenroom trust") {
			t.Errorf("%+v", f)
		}
	})
}
