package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"greenroom"
	"greenroom/internal/httpapi/client"
	"greenroom/internal/httpapi/wire"
	"greenroom/internal/httpx"
)

func TestStartTime(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 12, 1, 15, 0, 0, 0, time.UTC)
	for text, want := range map[string]string{"now": "now", "+10m": "2026-12-01T15:10:00Z", "+0s": "2026-12-01T15:00:00Z", "2026-12-02T00:00:00+01:00": "2026-12-02T00:00:00+01:00"} {
		if got, err := startTime(text, now); got != want || err != nil {
			t.Errorf("%q is %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "soon", "+", "+ten", "+-5m", "15:00", "2026-12-01"} {
		if _, err := startTime(text, now); !errors.As(err, new(*usageError)) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestParseSeats(t *testing.T) {
	t.Parallel()
	got, err := parseSeats([]string{"teacher=Ada", "student=Bob <bob@example.com>", "guest="})
	want := []wire.SeatInput{{Role: "teacher", Name: "Ada"}, {Role: "student", Name: "Bob", Email: "bob@example.com"}, {Role: "guest"}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	for _, text := range []string{"teacher", "=Ada", ""} {
		if _, err := parseSeats([]string{text}); !errors.As(err, new(*usageError)) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestErrorsAreSentences(t *testing.T) {
	t.Parallel()
	var one, two greenroom.InvalidError
	one.Add("zone", "must be a name")
	two.Add("zone", "must be a name")
	two.Add("listen", "must be an address")
	for _, c := range []struct {
		err  error
		want string
	}{
		{&client.UnreachableError{URL: "http://x", Cause: errors.New("refused")}, `no answer from http://x (refused). Start a server with "greenroom serve", or name another with --server or GREENROOM_SERVER.`},
		{httpx.InvalidInput.Fields(httpx.FieldProblem{Field: "title", Message: "give one"}), "title: give one"},
		{httpx.InvalidInput.Fields(httpx.FieldProblem{Field: "a", Message: "b"}, httpx.FieldProblem{Field: "c", Message: "d"}), "the server refused this:\n  a: b\n  c: d"},
		{one.Err(), "zone: must be a name"},
		{two.Err(), "the configuration has faults:\n  zone: must be a name\n  listen: must be an address"},
		{&greenroom.UserError{Message: "The disk is full.", Cause: errors.New("ENOSPC")}, "The disk is full."},
		{context.Canceled, "interrupted"},
	} {
		if got := explain(c.err); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

func TestWhatOthersWroteCannotSteerTheTerminal(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := &program{stdout: &out, output: "table", getenv: func(string) string { return "" }}
	m := wire.Meeting{Title: "a\x1b[2Jb\u009bc", Seats: []wire.Seat{{ID: "teacher", Role: "teacher", Name: "x\ny"}}}
	if err := p.printMeeting(m); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(out.String(), "\x1b\u009b") || !strings.Contains(out.String(), "teacher: xy") {
		t.Errorf("%q", out.String())
	}
}
