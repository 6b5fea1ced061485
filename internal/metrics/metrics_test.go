package metrics

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/httpx"
	"greenroom/internal/meetings"
	"greenroom/internal/observe"
	"greenroom/internal/plan"
	"greenroom/internal/store"
	"greenroom/internal/store/memstore"
)

// wants compares lines of what Prometheus would scrape.
func wants(t *testing.T, m *Set, lines ...string) {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, line := range lines {
		if !strings.Contains(w.Body.String(), "\n"+line+"\n") {
			t.Errorf("%s is not there", line)
		}
	}
}

// TestStuckMeetingsAreCounted counts a meeting with two findings once, and a parked one not at all.
func TestStuckMeetingsAreCounted(t *testing.T) {
	t.Parallel()
	m := New("v1")
	m.Stuck([]meetings.Stuck{
		{Meeting: "one", Trouble: plan.Trouble{Kind: "overdue"}},
		{Meeting: "one", Trouble: plan.Trouble{Kind: "slow_stage"}},
		{Meeting: "two", Trouble: plan.Trouble{Kind: "given_up"}},
		{Meeting: "three", Trouble: plan.Trouble{Kind: "parked", Note: true}},
	})
	wants(t, m, "greenroom_meetings_stuck 2")
}

func TestWhatIsSeenIsCounted(t *testing.T) {
	t.Parallel()
	m := New("v1")
	wants(t, m, `greenroom_meetings_ended_total{reason="no_show"} 0`, `greenroom_events_total{kind="swept"} 0`, `greenroom_desktops{phase="ready"} 0`)
	m.Saved(t.Context(), observe.Saved{Meeting: greenroom.Meeting{EndReason: greenroom.NoShow}, Events: []greenroom.Event{
		{Kind: greenroom.EventEnding},
		{Kind: greenroom.EventReady, Data: map[string]string{"launching": "0.5", "booting": "40", "naming": "1", "proving": "2", "total": "43.5", "proof_dns": "1ms"}},
	}})
	_, end := m.Call(t.Context(), observe.Call{System: observe.Compute, Name: "ec2", Do: "launch"})
	end(greenroom.ErrCapacity)
	m.Answer(httpx.Answer{Route: "GET /x/{id}", Status: 200, Took: time.Millisecond})
	m.Answer(httpx.Answer{Status: 401})
	m.Answer(httpx.Answer{Route: "GET /events", Status: 200, Stream: true, Took: time.Hour})
	m.Effect(plan.Prove, time.Second, errors.New("x"))
	m.LostLines(func() uint64 { return 3 })
	wants(t, m,
		`greenroom_meetings_ended_total{reason="no_show"} 1`, `greenroom_events_total{kind="desktop_ready"} 1`,
		`greenroom_desktop_stage_seconds_sum{stage="booting"} 40`, `greenroom_desktop_ready_seconds_sum 43.5`,
		`greenroom_call_seconds_count{call="launch",name="ec2",outcome="capacity",system="compute"} 1`,
		`greenroom_http_requests_total{route="GET /x/{id}",status="200"} 1`, `greenroom_http_requests_total{route="none",status="401"} 1`,
		`greenroom_http_requests_total{route="GET /events",status="200"} 1`, `greenroom_effect_failures_total{effect="prove"} 1`, `greenroom_log_lines_lost_total 3`)
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if strings.Contains(w.Body.String(), `greenroom_http_request_seconds_count{route="GET /events"}`) {
		t.Error("a stream counts as a slow answer")
	}
}

// TestCensus counts the seats of meetings as they start, each once, and desktops by phase.
func TestCensus(t *testing.T) {
	t.Parallel()
	db := memstore.New()
	noon := time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
	for i, c := range []struct {
		starts, created, ready time.Duration // after noon; ready 0: never
		cancelled              bool
	}{
		{time.Minute, -time.Hour, 30 * time.Second, false},     // in time
		{time.Minute, -time.Hour, 90 * time.Second, false},     // too late
		{time.Minute, -time.Hour, 0, false},                    // never
		{time.Minute, 30 * time.Second, 0, false},              // short notice
		{time.Minute, -time.Hour, 0, true},                     // not held
		{10 * time.Minute, -time.Hour, 2 * time.Minute, false}, // still to come
	} {
		m := greenroom.Meeting{ID: greenroom.NewMeetingID(), StartsAt: noon.Add(c.starts), EndsAt: noon.Add(time.Hour), CreatedAt: noon.Add(c.created), Blueprint: greenroom.DefaultBlueprint()}
		d := greenroom.Desktop{Phase: greenroom.Booting, Attempt: 1, Timings: map[greenroom.Phase]time.Time{}}
		if c.ready != 0 {
			d.Phase, d.Timings[greenroom.Ready] = greenroom.Ready, noon.Add(c.ready)
		}
		if c.cancelled {
			m.EndReason, m.EndedAt, d.Phase = greenroom.Cancelled, noon, greenroom.Gone
		}
		m.Seats = []greenroom.Seat{{Role: "teacher", Desktop: d}}
		if _, _, err := db.Create(t.Context(), m, nil, store.Idempotency{}); err != nil {
			t.Fatal(i, err)
		}
	}
	m := New("v1")
	m.census.until = noon
	for _, at := range []time.Duration{0, 2 * time.Minute, 3 * time.Minute, 4 * time.Minute} {
		if err := m.census.take(t.Context(), db, noon.Add(at)); err != nil {
			t.Fatal(err)
		}
	}
	wants(t, m, `greenroom_seats_at_start_total{ready="yes"} 1`, `greenroom_seats_at_start_total{ready="no"} 2`, `greenroom_seats_at_start_total{ready="short_notice"} 1`,
		`greenroom_desktops{phase="ready"} 3`, `greenroom_desktops{phase="booting"} 2`, `greenroom_desktops{phase="gone"} 0`)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := m.Count(ctx, db); err != nil {
		t.Error(err)
	}
}
