package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"greenroom"
	"greenroom/internal/httpapi/wire"
)

// TestClass schedules thirty students of one role from a file for later, and a class of a few for now, with real desktops. While
// that one runs, somebody is added, somebody gets a new desktop, and somebody is taken off.
func TestClass(t *testing.T) {
	t.Parallel()
	s := newInstance(t)
	s.start()
	later := s.class(t, 30, "+2h")
	if n := len(later.Seats); n != 31 || later.Seats[0].ID != "teacher" || later.Seats[30].ID != "student-30" || later.Seats[30].Name != "Student 30" {
		t.Fatalf("%d seats, the last is %+v", n, later.Seats[n-1])
	}
	links := map[string]bool{}
	for _, seat := range later.Seats {
		links[seat.JoinURL] = true
	}
	if len(links) != 31 {
		t.Errorf("%d links", len(links))
	}

	m := s.class(t, 3, "now")
	m = s.proved(m.ID)
	var added wire.AddedSeats
	s.command(t, &added, "seat", "add", m.ID, "student=Late Comer")
	if fmt.Sprint(added.Added) != "[student-4]" {
		t.Fatalf("added %v", added.Added)
	}
	m = s.proved(m.ID)
	if got := len(machines(m)); got != 5 {
		t.Errorf("%d machines for five seats", got)
	}
	before := seatOf(t, m, "student-2")
	var changed wire.Meeting
	s.command(t, &changed, "seat", "replace", m.ID, "student-2", "--reason", "the screen is frozen")
	m = s.becomes(m.ID, "have a new desktop for student-2", func(m wire.Meeting) bool {
		d := seatOf(t, m, "student-2").Desktop
		return d.Attempt == 2 && d.Phase == greenroom.Ready
	})
	if after := seatOf(t, m, "student-2"); after.JoinURL != before.JoinURL || after.Desktop.InstanceID == before.Desktop.InstanceID {
		t.Errorf("link or machine: %+v", after)
	}
	s.command(t, &changed, "seat", "remove", m.ID, "student-4")
	if len(changed.Seats) != 4 {
		t.Errorf("%d seats after the removal", len(changed.Seats))
	}
	if n := s.said(m.ID, "student-4", "took the seat student-4"); n != 1 {
		t.Errorf("the timeline says %d times that student-4 was taken off", n)
	}
	for _, id := range []string{m.ID, later.ID} {
		s.ended(id)
	}
	s.nothingLeft()
	s.stop()
}

// class schedules a teacher and n students from a file, as a spreadsheet saves it.
func (s *instance) class(t *testing.T, n int, start string) (m wire.Meeting) {
	t.Helper()
	var text strings.Builder
	text.WriteString("\ufeffName;E-Mail;Role\r\n\"Lovelace; Ada\";ada@example.com;teacher\r\n")
	for i := range n {
		fmt.Fprintf(&text, "Student %d;s%d@example.com;student\r\n", i+1, i+1)
	}
	file := filepath.Join(t.TempDir(), "class.csv")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	s.command(t, &m, "schedule", "--title", "Class", "--start", start, "--duration", "30m", "--seats", file)
	return m
}

// command runs a client command and reads its JSON.
func (s *instance) command(t *testing.T, out any, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), s.built, append(args, "-o", "json", "--server", "http://"+s.ports[0])...)
	cmd.Stderr = os.Stderr
	text, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(text, out)
	}
	if err != nil {
		t.Fatalf("greenroom %s: %v", strings.Join(args, " "), err)
	}
}

func machines(m wire.Meeting) map[string]bool {
	out := map[string]bool{}
	for _, s := range m.Seats {
		out[s.Desktop.InstanceID] = true
	}
	return out
}

func seatOf(t *testing.T, m wire.Meeting, id string) wire.Seat {
	t.Helper()
	for _, s := range m.Seats {
		if s.ID == id {
			return s
		}
	}
	t.Fatalf("no seat %s", id)
	return wire.Seat{}
}
