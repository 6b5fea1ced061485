package storetest

import (
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/store"
)

// spoil changes everything that m points at.
func spoil(m greenroom.Meeting) {
	m.Blueprint.Seats[0], m.Blueprint.Applications[0] = "spoilt", "spoilt"
	clear(m.Blueprint.Rules.StageDeadline)
	for i := range m.Seats {
		s := &m.Seats[i]
		s.Name, s.SessionData.URL = "spoilt", "spoilt"
		clear(s.Desktop.Timings)
		clear(s.Desktop.Tokens)
		if s.Desktop.Proof != nil {
			s.Desktop.Proof.Steps[0].Detail = "spoilt"
		}
	}
}

func valuesAreTheCallersOwn(t *testing.T, s store.Store) {
	given := Meeting(start)
	want := given.Clone()
	events := []greenroom.Event{event(greenroom.EventScheduled, start)}
	created := create(t, s, given, events...)
	want.Rev = 1
	spoil(given)
	events[0].Data["why"] = "spoilt"
	same(t, "after what was given to Create was changed", want, get(t, s, want.ID))
	spoil(created)
	same(t, "after what Create returned was changed", want, get(t, s, want.ID))
	spoil(get(t, s, want.ID))
	same(t, "after what Meeting returned was changed", want, get(t, s, want.ID))
	listed, _, err := s.List(t.Context(), store.Filter{})
	if err != nil || len(listed) != 1 {
		t.Fatalf("list: %d, %v", len(listed), err)
	}
	spoil(listed[0])
	given = want.Clone()
	updated := update(t, s, given)
	want.Rev++
	spoil(given)
	spoil(updated)
	same(t, "after what Update was given and returned was changed", want, get(t, s, want.ID))
	got, err := s.Events(t.Context(), want.ID, 0, 1)
	if err != nil || len(got) != 1 || got[0].Data["why"] != "because" {
		t.Errorf("events are %v, %v", got, err)
	}
}

func timesAreUTC(t *testing.T, s store.Store) {
	zone := time.FixedZone("somewhere", -8*3600)
	m := Meeting(start.In(zone))
	e := event(greenroom.EventScheduled, start.In(zone))
	want := Meeting(start)
	// Times compare as instants, so only their zone can tell; it does when printed.
	check := func(what string, got greenroom.Meeting) {
		t.Helper()
		for name, pair := range map[string][2]time.Time{
			"starts_at":    {want.StartsAt, got.StartsAt},
			"wake_at":      {want.WakeAt, got.WakeAt},
			"timings":      {want.Seats[0].Desktop.Timings[greenroom.Planned], got.Seats[0].Desktop.Timings[greenroom.Planned]},
			"token":        {want.Seats[0].Desktop.Tokens[0].ExpiresAt, got.Seats[0].Desktop.Tokens[0].ExpiresAt},
			"proof":        {want.Seats[0].Desktop.Proof.At, got.Seats[0].Desktop.Proof.At},
			"session data": {want.Seats[0].SessionData.At, got.Seats[0].SessionData.At},
		} {
			same(t, what+" "+name, pair[0].String(), pair[1].String())
		}
	}
	created := create(t, s, m, e)
	check("created", created)
	check("read", get(t, s, m.ID))
	check("updated", update(t, s, created))
	listed, _, err := s.List(t.Context(), store.Filter{})
	if err != nil || len(listed) != 1 {
		t.Fatalf("list: %d, %v", len(listed), err)
	}
	check("listed", listed[0])
	due, err := s.Due(t.Context(), start, 1)
	if err != nil || len(due) != 1 {
		t.Fatalf("due: %v, %v", due, err)
	}
	same(t, "due", want.WakeAt.String(), due[0].At.String())
	events, err := s.Events(t.Context(), m.ID, 0, 1)
	if err != nil || len(events) != 1 {
		t.Fatalf("events: %v, %v", events, err)
	}
	same(t, "event", start.String(), events[0].At.String())
}
