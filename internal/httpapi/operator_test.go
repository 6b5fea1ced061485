package httpapi_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/httpapi/wire"
)

func TestPark(t *testing.T) {
	t.Parallel()

	t.Run("HoldsAndLetsGo", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		id := r.scheduled().ID
		a := r.call("POST", "/api/v1/meetings/"+id+"/park", `{"for": "30m", "reason": "looking"}`)
		m := doc[wire.Meeting](t, a, 200)
		if m.ParkedUntil == nil || m.ParkedReason != "looking" || m.Version != 2 || a.header.Get("ETag") != `"2"` {
			t.Fatalf("%s, ETag %s", a.body, a.header.Get("ETag"))
		}
		if left := time.Until(*m.ParkedUntil); left > 30*time.Minute || left < 29*time.Minute {
			t.Errorf("parked for %s", left)
		}
		p := doc[wire.Plan](t, r.call("GET", "/api/v1/meetings/"+id+"/plan", nil), 200)
		if len(p.Steps) != 0 || p.ParkedUntil == nil || !p.WakeAt.Equal(*m.ParkedUntil) || len(p.Seats) != 2 || !strings.Contains(p.Seats[0].Next, "parking") {
			t.Errorf("the plan is %+v", p)
		}
		again := doc[wire.Meeting](t, r.call("POST", "/api/v1/meetings/"+id+"/park", nil), 200) // without a body: an hour
		if !again.ParkedUntil.After(*m.ParkedUntil) || again.ParkedReason != "" {
			t.Errorf("parked again until %v because of %q", again.ParkedUntil, again.ParkedReason)
		}
		for range 2 { // the second time there is nothing to let go of
			if m := doc[wire.Meeting](t, r.call("POST", "/api/v1/meetings/"+id+"/resume", nil), 200); m.ParkedUntil != nil || m.Version != 4 {
				t.Errorf("resumed: parked until %v, version %d", m.ParkedUntil, m.Version)
			}
		}
		events := doc[wire.Events](t, r.call("GET", "/api/v1/meetings/"+id+"/events", nil), 200).Events
		if e := events[1]; e.Kind != "parked" || e.Data["reason"] != "looking" || e.Data["client"] == "" || e.Data["until"] == "" {
			t.Errorf("the timeline says %+v", e)
		}
		if e := events[3]; e.Kind != "resumed" || e.Data["client"] == "" || len(events) != 4 {
			t.Errorf("the timeline says %+v", events)
		}
	})

	t.Run("FaultsAreNamed", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		path := "/api/v1/meetings/" + r.scheduled().ID + "/park"
		for body, field := range map[string]string{
			`{"for": "13h"}`:     "for",
			`{"for": "-1h"}`:     "for",
			`{"for": "a while"}`: "for",
			`{"for": 3}`:         "for",
			`{"until": "x"}`:     "until",
			`{"reason": "a\nb"}`: "reason",
			fmt.Sprintf(`{"reason": %q}`, strings.Repeat("x", 201)): "reason",
		} {
			if p := problem(t, r.call("POST", path, body), http.StatusUnprocessableEntity); p.Field != field {
				t.Errorf("%.40s: the fault is at %q", body, p.Field)
			}
		}
		problem(t, r.call("POST", "/api/v1/meetings/zzzzzzzzzzzzzzzz/park", nil), 404)
	})

	t.Run("TheOrganisersEndLetsGo", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		for _, how := range []string{"end", "cancel"} {
			id := r.scheduled().ID
			r.call("POST", "/api/v1/meetings/"+id+"/park", nil)
			if m := doc[wire.Meeting](t, r.call("POST", "/api/v1/meetings/"+id+"/"+how, nil), 200); m.ParkedUntil != nil || m.EndReason == nil {
				t.Errorf("%s: parked until %v, ended as %v", how, m.ParkedUntil, m.EndReason)
			}
			// what is ending can be held, too, and asking for the end again lets go
			if m := doc[wire.Meeting](t, r.call("POST", "/api/v1/meetings/"+id+"/park", nil), 200); m.ParkedUntil == nil {
				t.Error("an ending meeting is not parked")
			}
			if m := doc[wire.Meeting](t, r.call("POST", "/api/v1/meetings/"+id+"/"+how, nil), 200); m.ParkedUntil != nil {
				t.Errorf("%s again: parked until %v", how, m.ParkedUntil)
			}
			r.change(id, func(m *greenroom.Meeting) []greenroom.Event {
				m.Closed = true
				return nil
			})
			problem(t, r.call("POST", "/api/v1/meetings/"+id+"/park", nil), http.StatusGone)
			if a := r.call("POST", "/api/v1/meetings/"+id+"/resume", nil); a.status != 200 {
				t.Errorf("resume of a closed meeting: %d", a.status)
			}
		}
	})

	t.Run("WhoHasADesktopGetsInAndWhoWaitsIsTold", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		m := r.scheduled()
		r.ready(m.ID)
		r.change(m.ID, func(m *greenroom.Meeting) []greenroom.Event {
			m.Seat("student").Desktop.Phase = greenroom.Booting
			return nil
		})
		r.call("POST", "/api/v1/meetings/"+m.ID+"/park", nil)
		if e := doc[wire.Entry](t, r.call("POST", r.join(m, "teacher"), nil), 200); e.URL == "" {
			t.Error("no way in")
		}
		s := doc[wire.Standing](t, r.call("GET", r.join(m, "student"), nil), 202)
		for _, say := range []string{"parked", "at the latest", "Stay on this page", "organiser"} {
			if !strings.Contains(s.Message, say) {
				t.Errorf("%q does not say %q", s.Message, say)
			}
		}
	})
}

func TestStuckMeetings(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if got := doc[wire.StuckMeetings](t, r.call("GET", "/api/v1/stuck", nil), 200); len(got.Stuck) != 0 || got.More {
		t.Errorf("%+v", got)
	}
	forgotten, slow, over := r.scheduled().ID, r.scheduled().ID, r.scheduled().ID
	long := time.Now().Add(-time.Hour)
	r.change(forgotten, func(m *greenroom.Meeting) []greenroom.Event { // no desktop yet: found by its wake alone
		m.WakeAt = long
		return nil
	})
	r.change(slow, func(m *greenroom.Meeting) []greenroom.Event {
		d := &m.Seat("student").Desktop
		d.Phase, d.Error, d.Timings[greenroom.Booting] = greenroom.Booting, "No answer.", long
		m.WakeAt = time.Now().Add(time.Hour)
		return nil
	})
	r.change(over, func(m *greenroom.Meeting) []greenroom.Event {
		m.EndReason, m.EndedAt, m.Closed, m.WakeAt = greenroom.Completed, long, true, long
		return nil
	})
	got := doc[wire.StuckMeetings](t, r.call("GET", "/api/v1/stuck", nil), 200)
	if len(got.Stuck) != 2 || got.Stuck[0].Meeting != forgotten || got.Stuck[0].Kind != "overdue" || got.Stuck[0].Error != nil {
		t.Fatalf("%+v", got)
	}
	s := got.Stuck[1]
	if s.Meeting != slow || s.Kind != "slow_stage" || s.Role != "student" || s.Error == nil || *s.Error != "No answer." || s.Since == nil || !strings.Contains(s.Fix, slow) {
		t.Errorf("%+v", s)
	}
	problem(t, r.call("GET", "/api/v1/stuck?"+url.Values{"x": {"1"}}.Encode(), nil), 422)
}

func TestStuckIsBounded(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for range 201 {
		r.change(r.scheduled().ID, func(m *greenroom.Meeting) []greenroom.Event {
			m.WakeAt = time.Now().Add(-time.Hour)
			return nil
		})
	}
	if got := doc[wire.StuckMeetings](t, r.call("GET", "/api/v1/stuck", nil), 200); len(got.Stuck) != 200 || !got.More {
		t.Errorf("%d findings, more: %t", len(got.Stuck), got.More)
	}
}
