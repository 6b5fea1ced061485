package server

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"greenroom/internal/access"
	"greenroom/internal/meetings"
	"greenroom/internal/plan"
)

// TestStuckMeetingsAreCounted counts a meeting with two findings once, and a parked one not at all.
func TestStuckMeetingsAreCounted(t *testing.T) {
	t.Parallel()
	m := newMetrics("v1")
	m.countStuck([]meetings.Stuck{
		{Meeting: "one", Trouble: plan.Trouble{Kind: "overdue"}},
		{Meeting: "one", Trouble: plan.Trouble{Kind: "slow_stage"}},
		{Meeting: "two", Trouble: plan.Trouble{Kind: "given_up"}},
		{Meeting: "three", Trouble: plan.Trouble{Kind: "parked", Note: true}},
	})
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "greenroom_meetings_stuck" {
			if got := f.GetMetric()[0].GetGauge().GetValue(); got != 2 {
				t.Errorf("%v meetings are stuck, want 2", got)
			}
			return
		}
	}
	t.Error("the metric is not there")
}

func TestDesktopListenerMetrics(t *testing.T) {
	t.Parallel()
	m := newMetrics("test")
	m.registry.MustRegister(newDesktopListener(func() access.Stats {
		return access.Stats{Open: 3, Proved: 2, Sessions: 1, Passed: 7, Refused: map[string]int64{"no_room": 5}}
	}))
	w := httptest.NewRecorder()
	m.handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	for _, line := range []string{"open_connections 3", "proved_connections 2", "open_sessions 1", "passed_total 7", `refused_total{reason="no_room"} 5`} {
		if !strings.Contains(w.Body.String(), "\ngreenroom_desktop_listener_"+line+"\n") {
			t.Errorf("not exported: %s", line)
		}
	}
}
