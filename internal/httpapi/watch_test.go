package httpapi_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/httpapi/client"
	"greenroom/internal/httpapi/wire"
)

const longEnough = 10 * time.Second

func TestWatch(t *testing.T) {
	t.Parallel()

	t.Run("TellsEveryChangeUntilNothingRemains", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		m := r.scheduled()
		ctx, cancel := context.WithTimeout(t.Context(), longEnough)
		defer cancel()
		var states []greenroom.State
		var kinds []string
		err := r.client.Watch(ctx, m.ID, client.Watcher{
			Meeting: func(m wire.Meeting) error {
				states = append(states, m.State)
				switch m.State {
				case greenroom.Scheduled:
					r.ready(m.ID)
				case greenroom.AllReady:
					_, err := r.client.End(ctx, m.ID)
					return err
				case greenroom.Ending:
					r.change(m.ID, closed)
				}
				return nil
			},
			Event: func(e wire.Event) error {
				kinds = append(kinds, e.Kind)
				return nil
			},
		}, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(states); got != "[scheduled ready ending ended]" {
			t.Errorf("states are %s", got)
		}
		if got := fmt.Sprint(kinds); got != "[scheduled ending ended]" {
			t.Errorf("timeline is %s", got)
		}
	})

	t.Run("ResumesAfterTheLastEntry", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		m := r.scheduled()
		r.call("PATCH", "/api/v1/meetings/"+m.ID, `{"title": "Geometry"}`)
		lines := r.stream(m.ID, "1")
		for line := range lines {
			if strings.HasPrefix(line, "id: ") {
				if line != "id: 2" {
					t.Errorf("first entry is %q", line)
				}
				return
			}
		}
		t.Error("the stream ended")
	})

	t.Run("WhoHasSeenItAllIsToldNotToComeBack", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		m := r.scheduled()
		r.change(m.ID, closed)
		if a := r.call("GET", "/api/v1/meetings/"+m.ID+"/watch", nil, "Last-Event-ID", "2"); a.status != 204 {
			t.Errorf("status %d", a.status)
		}
		if a := r.call("GET", "/api/v1/meetings/"+m.ID+"/watch", nil); a.status != 200 || !strings.Contains(string(a.body), `"state":"ended"`) {
			t.Errorf("status %d: %s", a.status, a.body)
		}
	})

	t.Run("NoSuchMeeting", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		problem(t, r.call("GET", "/api/v1/meetings/zzzzzzzzzzzzzzzz/watch", nil), 404)
		if err := r.client.Watch(t.Context(), "zzzzzzzzzzzzzzzz", client.Watcher{}, time.Hour); err == nil {
			t.Error("no error")
		}
	})

	t.Run("EndsWhenTheServerStops", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		lines := r.stream(r.scheduled().ID, "")
		<-lines
		r.hub.Close()
		for range lines {
		}
	})

	t.Run("TheOldestOfTooManyMakesWay", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, func(s *setup) { s.api.Watchers = 1 })
		m := r.scheduled()
		first := r.stream(m.ID, "")
		<-first
		second := r.stream(m.ID, "")
		for range first { // until it is closed
		}
		<-second
	})

	t.Run("WhereNothingCanBeHeldItSendsWhatIsNewAndEnds", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, func(s *setup) { s.api.Hub = nil })
		m := r.scheduled()
		path := "/api/v1/meetings/" + m.ID + "/watch"
		a := r.call("GET", path, nil)
		if text := string(a.body); a.status != 200 || !strings.HasPrefix(text, "retry: 5000\n") || !strings.Contains(text, "id: 1\n") || !strings.Contains(text, "event: meeting") {
			t.Errorf("status %d: %s", a.status, text)
		}
		if a := r.call("GET", path, nil, "Last-Event-ID", "1"); strings.Contains(string(a.body), "timeline") {
			t.Errorf("tells again what is known: %s", a.body)
		}
		r.change(m.ID, closed)
		seen := 0
		if err := r.client.Watch(t.Context(), m.ID, client.Watcher{Event: func(wire.Event) error { seen++; return nil }}, time.Hour); err != nil || seen != 2 {
			t.Errorf("%v, saw %d entries", err, seen)
		}
	})

	t.Run("AnErrorOfTheWatcherEndsIt", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		enough := errors.New("enough")
		err := r.client.Watch(t.Context(), r.scheduled().ID, client.Watcher{Event: func(wire.Event) error { return enough }}, 0)
		if !errors.Is(err, enough) {
			t.Errorf("error is %v", err)
		}
	})
}

// closed ends a meeting and all that belongs to it.
func closed(m *greenroom.Meeting) []greenroom.Event {
	for i := range m.Seats {
		m.Seats[i].Desktop.Phase = greenroom.Gone
	}
	if m.EndReason == "" {
		m.EndReason = greenroom.EndedByHost
	}
	m.Closed, m.WakeAt = true, time.Time{}
	return []greenroom.Event{{At: time.Now().UTC(), Kind: greenroom.EventEnded, Message: "Nothing remains."}}
}

// stream gives the lines of a watch, until it or the test ends.
func (r *rig) stream(id, last string) <-chan string {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), longEnough)
	r.t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.server.URL+"/api/v1/meetings/"+id+"/watch", nil)
	if err != nil {
		r.t.Fatal(err)
	}
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	if ct := resp.Header.Get("Content-Type"); ct != "text/event-stream" {
		r.t.Fatalf("Content-Type is %q", ct)
	}
	lines := make(chan string, 1024)
	go func() {
		defer resp.Body.Close()
		defer close(lines)
		for s := bufio.NewScanner(resp.Body); s.Scan(); {
			lines <- s.Text()
		}
	}()
	return lines
}
