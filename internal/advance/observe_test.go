package advance_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"greenroom"
	"greenroom/internal/advance"
	"greenroom/internal/compute"
	"greenroom/internal/dns"
	"greenroom/internal/observe"
)

// TestEveryDecisionIsObserved compares what an observer sees of a life, one machine lost in it, with the timeline, and follows
// each desktop through the log from phase to phase.
func TestEveryDecisionIsObserved(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, time.Hour)
		l.Boot = 40 * time.Second
		var mu sync.Mutex
		var seen []string
		at := map[string]greenroom.Phase{}
		var log bytes.Buffer
		saves := observe.Together(observe.Log(slog.New(slog.NewTextHandler(&log, nil))), func(_ context.Context, s observe.Saved) {
			mu.Lock()
			defer mu.Unlock()
			for _, e := range s.Entries() {
				seen = append(seen, fmt.Sprint(e.Kind, e.Seat, e.Message))
				if before, known := at[e.Seat]; e.To != "" && known && before != e.From {
					t.Errorf("%s moves from %s, and was %s", e.Seat, e.From, before)
				}
				if e.To != "" {
					at[e.Seat] = e.To
				}
			}
		})
		l.advancer.Observe = observe.Decisions(saves)
		l.run(52 * time.Minute)
		l.phases(greenroom.Ready, greenroom.Ready)
		m := l.meeting()
		lost := m.Seats[0].Desktop.InstanceID
		_ = l.Terminate(t.Context(), lost)
		for range 15 {
			time.Sleep(time.Second)
			l.advance()
		}
		l.run(2 * time.Hour)
		l.phases(greenroom.Gone, greenroom.Gone)

		var told []string
		events, err := l.store.Events(t.Context(), l.id, 0, 500)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			told = append(told, fmt.Sprint(e.Kind, e.Seat, e.Message))
		}
		if diff := cmp.Diff(told, seen); diff != "" {
			t.Errorf("timeline and observer (-timeline +observer):\n%s", diff)
		}
		for _, want := range []string{
			"msg=instance_lost meeting=" + l.id + " seat=" + m.Seats[0].ID + " attempt=1 reason=\"The machine " + lost + " was lost.\"",
			"from=planned to=launching", "from=launching to=booting", "from=booting to=naming duration=4", "from=naming to=proving", "from=proving to=ready",
			"attempt=1 from=ready to=failed", "attempt=2 from=failed to=planned", "from=terminating to=gone", "msg=ending", "evidence.reason=no_show", "msg=ended",
		} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("the log lacks %q:\n%s", want, log.String())
			}
		}
		if n := strings.Count(log.String(), "meeting="+l.id); n != len(events) {
			t.Errorf("grep finds %d lines of %d entries", n, len(events))
		}
		for _, s := range m.Seats {
			if strings.Contains(log.String(), s.Key) {
				t.Error("a key is in the log")
			}
		}
	})
}

// TestTheSweepTellsTheOwner on its timeline, once, however often it has to ask.
func TestTheSweepTellsTheOwner(t *testing.T) {
	t.Parallel()
	l := newLife(t, time.Minute)
	l.advance()
	m := l.meeting()
	ghost := greenroom.Handle{Meeting: l.id, Seat: m.Seats[0].ID, Attempt: 7}
	machine := l.Launch(t.Context(), []compute.Request{{Handle: ghost}})[0].Instance.ID
	name := machine + ".desk.localhost"
	_ = l.SetRecords(t.Context(), []dns.Record{{Name: name, Address: netip.MustParseAddr("127.0.1.7")}})
	stubborn := stubborn{l.cloud}
	sweeper := &advance.Sweeper{Store: l.store, Providers: map[greenroom.Provider]compute.Provider{"local": stubborn}, Records: l.cloud,
		Kick: func(string) {}, Now: time.Now, Logger: l.advancer.Logger}
	for range 4 {
		if err := sweeper.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	events, err := l.store.Events(t.Context(), l.id, 0, 500)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range events {
		if e.Kind == greenroom.EventSweptInstance {
			got = append(got, fmt.Sprint(e.Seat, e.Attempt, e.Data["what"]))
		}
	}
	want := []string{fmt.Sprint(ghost.Seat, 7, "instance "+machine), fmt.Sprint(ghost.Seat, 7, "record "+name)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("removals on the timeline (-want +got):\n%s%s", diff, l.timeline())
	}
	if diff := cmp.Diff(m.Seats, l.meeting().Seats); diff != "" {
		t.Errorf("the sweep changed the meeting:\n%s", diff)
	}
}

// stubborn accepts removals and removes nothing.
type stubborn struct{ *cloud }

func (stubborn) Terminate(context.Context, ...string) error { return nil }
