package httpapi_test

import (
	"strings"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/httpapi/wire"
)

// inUse has somebody connected to each seat's desktop.
func (r *rig) inUse(id string) {
	r.ready(id)
	r.change(id, func(m *greenroom.Meeting) []greenroom.Event {
		for i := range m.Seats {
			d := &m.Seats[i].Desktop
			d.Phase, d.Timings[greenroom.InUse] = greenroom.InUse, time.Now().UTC()
			d.Agent = greenroom.AgentFacts{KeyHash: "5d41", Connections: 1, ConnectedAt: time.Now().UTC()}
			d.Present = []greenroom.Connection{{ID: "c1", Client: "203.0.113.7", Since: time.Now().UTC(), Role: "owner"}}
		}
		return nil
	})
}

// fields are the names of a problem's fields.
func fields(t *testing.T, a answer, status int) string {
	t.Helper()
	var names []string
	for _, f := range problem(t, a, status).Errors {
		names = append(names, f.Field)
	}
	return strings.Join(names, " ")
}

func TestAddSeats(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.scheduled()
	path := "/api/v1/meetings/" + m.ID + "/seats"
	one := wire.NewSeats{Role: "student", Name: "Student Two"}

	t.Run("OneOrMany", func(t *testing.T) {
		r := r.in(t)
		got := r.call("POST", path, one)
		added := doc[wire.AddedSeats](t, got, 201)
		if len(added.Added) != 1 || len(added.Seats) != 3 || got.header.Get("ETag") == "" || got.header.Get("Idempotent-Replayed") != "" {
			t.Errorf("%+v", added.Added)
		}
		many := doc[wire.AddedSeats](t, r.call("POST", path, wire.NewSeats{Seats: []wire.SeatInput{{Role: "student"}, {Role: "student"}}}), 201)
		if len(many.Added) != 2 || many.Version != added.Version+1 {
			t.Errorf("%+v", many.Added)
		}
	})
	t.Run("Refusals", func(t *testing.T) {
		r := r.in(t)
		for name, c := range map[string]struct {
			body   any
			want   string
			status int
		}{
			"none":           {wire.NewSeats{}, "seats", 422},
			"both":           {wire.NewSeats{Role: "student", Seats: []wire.SeatInput{{Role: "student"}}}, "seats", 422},
			"no such role":   {wire.NewSeats{Role: "wizard"}, "seats[0].role", 422},
			"bad address":    {wire.NewSeats{Seats: []wire.SeatInput{{Role: "student"}, {Role: "student", Email: "foo"}}}, "seats[1].email", 422},
			"unknown member": {`{"role": "student", "colour": "red"}`, "colour", 422},
		} {
			if got := fields(t, r.call("POST", path, c.body), c.status); got != c.want {
				t.Errorf("%s: fields %q, want %q", name, got, c.want)
			}
		}
		problem(t, r.call("POST", "/api/v1/meetings/zzzzzzzzzzzzzzzz/seats", one), 404)
		problem(t, r.call("POST", path, one, "If-Match", `"1"`), 412)
		if got := fields(t, r.call("POST", path, one, "If-Match", "one"), 422); got != "If-Match" {
			t.Errorf("fields %q", got)
		}
	})
	t.Run("TheSameKeyAddsOnce", func(t *testing.T) {
		r := r.in(t)
		first := doc[wire.AddedSeats](t, r.call("POST", path, one, "Idempotency-Key", "k1"), 201)
		got := r.call("POST", path, one, "Idempotency-Key", "k1", "If-Match", `"1"`)
		again := doc[wire.AddedSeats](t, got, 201)
		if got.header.Get("Idempotent-Replayed") != "true" || len(again.Seats) != len(first.Seats) || again.Added[0] != first.Added[0] || again.Version != first.Version {
			t.Errorf("%s: %+v after %+v", got.header.Get("Idempotent-Replayed"), again.Added, first.Added)
		}
		if got := fields(t, r.call("POST", path, wire.NewSeats{Role: "student", Name: "Another"}, "Idempotency-Key", "k1"), 409); got != "Idempotency-Key" {
			t.Errorf("fields %q", got)
		}
		if got := fields(t, r.call("POST", path, one, "Idempotency-Key", strings.Repeat("k", 256)), 422); got != "Idempotency-Key" {
			t.Errorf("fields %q", got)
		}
		if other := doc[wire.AddedSeats](t, r.call("POST", path, one, "Idempotency-Key", "k2"), 201); other.Added[0] == first.Added[0] {
			t.Error("another key adds nothing")
		}
	})
	t.Run("NotAfterTheEnd", func(t *testing.T) {
		r := r.in(t)
		m := r.scheduled()
		doc[wire.Meeting](t, r.call("POST", "/api/v1/meetings/"+m.ID+"/cancel", nil), 200)
		problem(t, r.call("POST", "/api/v1/meetings/"+m.ID+"/seats", one), 410)
	})
}

func TestEditSeat(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.scheduled()
	path := "/api/v1/meetings/" + m.ID + "/seats/student"
	name, email, bad := "Sam", "sam@example.com", "foo"
	got := doc[wire.Meeting](t, r.call("PATCH", path, wire.SeatEdit{Name: &name, Email: &email}, "If-Match", `W/"1"`), 200)
	if s := seat(t, got, "student"); s.Name != name || s.Email != email || s.JoinURL != seat(t, m, "student").JoinURL || got.Version != 2 {
		t.Errorf("%+v", s)
	}
	if again := doc[wire.Meeting](t, r.call("PATCH", path, wire.SeatEdit{Name: &name}), 200); seat(t, again, "student").Email != email {
		t.Error("what is absent does not stay")
	}
	problem(t, r.call("PATCH", path, wire.SeatEdit{Name: &name}, "If-Match", `"1"`), 412)
	problem(t, r.call("PATCH", path+"-9", wire.SeatEdit{Name: &name}), 404)
	if got := fields(t, r.call("PATCH", path, wire.SeatEdit{Email: &bad}), 422); got != "email" {
		t.Errorf("fields %q", got)
	}
}

func TestRemoveSeat(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.scheduled()
	r.inUse(m.ID)
	path := "/api/v1/meetings/" + m.ID + "/seats/student"
	if p := problem(t, r.call("DELETE", path, nil), 409); p.Type != "/problems/occupied" {
		t.Errorf("%+v", p)
	}
	problem(t, r.call("DELETE", path+"?force=true", nil, "If-Match", `"7"`), 412)
	problem(t, r.call("DELETE", path+"-9", nil), 404)
	if got := doc[wire.Meeting](t, r.call("DELETE", path+"?force=true", nil, "If-Match", "*"), 200); len(got.Seats) != 1 {
		t.Errorf("%d seats", len(got.Seats))
	}
	problem(t, r.call("DELETE", "/api/v1/meetings/"+m.ID+"/seats/teacher?force=true", nil), 409) // the only one
}

func TestReplaceDesktop(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.scheduled()
	path := "/api/v1/meetings/" + m.ID + "/seats/student/replace"
	problem(t, r.call("POST", path, wire.Replace{Reason: "none yet"}), 409)
	r.inUse(m.ID)
	if got := fields(t, r.call("POST", path, wire.Replace{}), 422); got != "reason" {
		t.Errorf("fields %q", got)
	}
	if p := problem(t, r.call("POST", path, wire.Replace{Reason: "frozen"}), 409); p.Type != "/problems/occupied" {
		t.Errorf("%+v", p)
	}
	problem(t, r.call("POST", strings.Replace(path, "student", "student-9", 1), wire.Replace{Reason: "frozen"}), 404)
	doc[wire.Meeting](t, r.call("POST", path, wire.Replace{Reason: "frozen", Force: true}), 200)
}

func TestNewLink(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.scheduled()
	r.inUse(m.ID)
	path := "/api/v1/meetings/" + m.ID + "/seats/student/key"
	links := map[string]bool{seat(t, m, "student").JoinURL: true}
	for i, c := range []struct {
		body    any
		rekeyed int
	}{{nil, 1}, {wire.NewLink{}, 2}, {wire.NewLink{Connections: "cut"}, 3}, {wire.NewLink{Connections: "keep"}, 3}} {
		got := doc[wire.Meeting](t, r.call("POST", path, c.body), 200)
		stored, err := r.store.Meeting(t.Context(), m.ID)
		if link := seat(t, got, "student").JoinURL; err != nil || links[link] || stored.Seat("student").Rekeyed != c.rekeyed {
			t.Errorf("%d: %s, cut %d times, %v", i, link, stored.Seat("student").Rekeyed, err)
		}
		links[seat(t, got, "student").JoinURL] = true
	}
	if got := fields(t, r.call("POST", path, `{"connections": "drop"}`), 422); got != "connections" {
		t.Errorf("fields %q", got)
	}
	problem(t, r.call("POST", strings.Replace(path, "student", "student-9", 1), nil), 404)
}

func TestDisconnect(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.scheduled()
	r.inUse(m.ID)
	path := "/api/v1/meetings/" + m.ID + "/seats/student/connections/"
	r.change(m.ID, func(m *greenroom.Meeting) []greenroom.Event {
		m.Seat("student").Desktop.Tokens = []greenroom.Token{{Hash: "a", Client: "203.0.113.7"}, {Hash: "b", Client: "203.0.113.8"}}
		return nil
	})
	got := doc[wire.Meeting](t, r.call("DELETE", path+"c1", nil), 200)
	if c := seat(t, got, "student").Desktop.Connections; len(c) != 1 || c[0].Client != "203.0.113.7" || c[0].Role != "owner" {
		t.Errorf("%+v", c)
	}
	stored, err := r.store.Meeting(t.Context(), m.ID)
	if d := stored.Seat("student").Desktop; err != nil || len(d.Closing) != 1 || len(d.Tokens) != 1 || d.Tokens[0].Hash != "b" {
		t.Errorf("%+v %v", d, err)
	}
	doc[wire.Meeting](t, r.call("DELETE", path+"c1", nil), 200) // again
	problem(t, r.call("DELETE", path+"c2", nil), 404)
	problem(t, r.call("DELETE", strings.Replace(path, "student", "student-9", 1)+"c1", nil), 404)
	r.change(m.ID, func(m *greenroom.Meeting) []greenroom.Event {
		m.Blueprint.Protocol = greenroom.DCV
		return nil
	})
	problem(t, r.call("DELETE", path+"c1", nil), 409)
}

func seat(t *testing.T, m wire.Meeting, id string) wire.Seat {
	t.Helper()
	for _, s := range m.Seats {
		if s.ID == id {
			return s
		}
	}
	t.Fatalf("no seat %s", id)
	return wire.Seat{}
}
