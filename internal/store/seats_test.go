package store_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"greenroom"
	"greenroom/internal/store"
	"greenroom/internal/store/storetest"
)

// class is a meeting with several seats of one role.
func class() greenroom.Meeting {
	m := storetest.Meeting(time.Date(2026, 12, 1, 15, 0, 0, 0, time.UTC))
	m.Seats = append(m.Seats, m.Clone().Seats[1])
	m.Seats[1].ID, m.Seats[2].ID = "student-1", "student-2"
	return m
}

// previous is what a version that knows one seat of a role reads of a meeting and writes again: what it does not know is gone.
func previous(t *testing.T, doc []byte) []byte {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(doc, &m); err != nil {
		t.Fatal(err)
	}
	for _, s := range m["seats"].([]any) {
		delete(s.(map[string]any), "of")
	}
	delete(m["blueprint"].(map[string]any), "roles")
	var roles struct {
		Seats []struct{ Role string }
	}
	again, err := json.Marshal(m)
	if err == nil {
		err = json.Unmarshal(again, &roles)
	}
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, s := range roles.Seats {
		if s.Role == "" || seen[s.Role] {
			t.Errorf("a previous version cannot tell the seats apart: %v", roles.Seats)
		}
		seen[s.Role] = true
	}
	return again
}

func TestPreviousVersionKeepsSeatsApart(t *testing.T) {
	t.Parallel()
	given := class()
	doc, err := store.Marshal(given)
	if err != nil {
		t.Fatal(err)
	}
	var got greenroom.Meeting
	if err := store.Unmarshal(previous(t, doc), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(given, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What the previous version stored of a seat has its role only: it is the seat's id, and links, tokens and secrets follow from it.
func TestReadsSeatsOfThePreviousVersion(t *testing.T) {
	t.Parallel()
	const doc = `{"id": "k3v9m2x7c4p8q1r5", "blueprint": {"seats": ["teacher", "s1", "s-2"]}, "dropped": {"guest": 2},
		"seats": [{"role": "teacher", "key": "K", "desktop": {"phase": "ready", "attempt": 3}}, {"role": "s1", "key": "L", "desktop": {"attempt": 1}}, {"role": "s-2", "desktop": {"attempt": 1}}]}`
	var m greenroom.Meeting
	if err := store.Unmarshal([]byte(doc), &m); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"teacher", "s1", "s-2"} {
		if s := m.Seats[i]; s.ID != want || s.Role != want {
			t.Errorf("seat %d is %q of the role %q, want %q", i, s.ID, s.Role, want)
		}
	}
	if got := m.Handle(m.Seat("teacher")).Token(); got != "k3v9m2x7c4p8q1r5.teacher.3" {
		t.Errorf("token is %s", got)
	}
}
