package observe_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/caller"
	"greenroom/internal/certs"
	"greenroom/internal/compute"
	"greenroom/internal/dns"
	"greenroom/internal/observe"
	"greenroom/internal/store"
	"greenroom/internal/store/memstore"
)

var noon = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

func at(seconds int) time.Time { return noon.Add(time.Duration(seconds) * time.Second) }

func meeting() greenroom.Meeting {
	return greenroom.Meeting{ID: "k3v9k3v9k3v9k3v9", WakeAt: at(60), Seats: []greenroom.Seat{{
		ID: "teacher", Key: "hush",
		Desktop: greenroom.Desktop{Phase: greenroom.Launching, Attempt: 1, Timings: map[greenroom.Phase]time.Time{greenroom.Launching: at(0)}},
	}}}
}

func phase(to greenroom.Phase, seconds int) greenroom.Event {
	return greenroom.Event{At: at(seconds), Kind: greenroom.EventPhase, Seat: "teacher", Attempt: 1, Message: "Because.", Data: map[string]string{"phase": string(to)}}
}

// TestEntries follows a desktop through several moves in one change, and tells moves from what only names a phase.
func TestEntries(t *testing.T) {
	t.Parallel()
	var got []observe.Entry
	see := observe.Decisions(func(_ context.Context, s observe.Saved) { got = s.Entries() })
	before, after := meeting(), meeting()
	see(t.Context(), &before, &after, []greenroom.Event{
		{At: at(1), Kind: greenroom.EventRetry, Seat: "teacher", Data: map[string]string{"phase": "launching"}},
		phase(greenroom.Booting, 2), phase(greenroom.Naming, 5),
		{At: at(9), Kind: greenroom.EventFailed, Seat: "teacher", Data: map[string]string{"phase": "naming"}},
		phase(greenroom.Failed, 10), // what was left is gone: no move
		phase(greenroom.Planned, 11),
		{At: at(12), Kind: greenroom.EventEnding},
	})
	want := []string{" > 0s", "launching > booting 2s", "booting > naming 3s", "naming > failed 4s", " > 0s", "failed > planned 2s", " > 0s"}
	if len(got) != len(want) {
		t.Fatalf("%d entries, want %d", len(got), len(want))
	}
	for i, e := range got {
		if s := fmt.Sprintf("%s > %s %s", e.From, e.To, e.Took); strings.Replace(s, "  ", " ", 1) != want[i] && s != want[i] {
			t.Errorf("entry %d: %q, want %q", i, s, want[i])
		}
	}
}

func TestLog(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	saves := observe.Log(slog.New(slog.NewTextHandler(&out, nil)))
	before, after := meeting(), meeting()
	observe.Decisions(saves)(t.Context(), &before, &after, []greenroom.Event{phase(greenroom.Booting, 2)})
	for _, want := range []string{"level=INFO", "msg=phase", "meeting=k3v9k3v9k3v9k3v9", "seat=teacher", "attempt=1", "from=launching", "to=booting", "duration=2s", "reason=Because.", "wake=2026-12-01T12:01:00.000Z"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the line lacks %s: %s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "by=") || strings.Contains(out.String(), "hush") {
		t.Errorf("the line of a decision: %s", out.String())
	}

	out.Reset()
	ctx := caller.With(t.Context(), &caller.Caller{By: caller.Organiser(greenroom.HashSecret("token")), Address: "192.0.2.7"})
	s := observe.Store{Store: memstore.New(), Saves: saves}
	m, _, err := s.Create(ctx, meeting(), []greenroom.Event{{At: noon, Kind: greenroom.EventScheduled, Message: "Scheduled.", Data: map[string]string{"blueprint": "default"}}}, store.Idempotency{})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"msg=scheduled", "by=organiser:" + greenroom.HashSecret("token")[:8] + " ", "client=192.0.2.7", "evidence.blueprint=default"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the line lacks %s: %s", want, out.String())
		}
	}
	out.Reset()
	m.Rev = 17
	if _, err := s.Update(ctx, m, []greenroom.Event{{At: noon, Kind: greenroom.EventChanged}}); !errors.Is(err, greenroom.ErrConflict) || out.Len() > 0 {
		t.Errorf("%v; what was not saved is in the log: %s", err, out.String())
	}
}

type world struct{ err error }

func (w world) Launch(_ context.Context, requests []compute.Request) []compute.Outcome {
	return []compute.Outcome{{}, {Err: w.err}}[:len(requests)]
}
func (world) Places(greenroom.Blueprint) []string                        { return nil }
func (w world) List(context.Context, string) ([]compute.Instance, error) { return nil, w.err }
func (w world) Terminate(context.Context, ...string) error               { return w.err }
func (w world) SetRecords(context.Context, []dns.Record) error           { return w.err }
func (w world) DeleteRecords(context.Context, []string) error            { return w.err }
func (w world) GetRecords(context.Context) ([]dns.Record, error)         { return nil, w.err }

// TestCalls sees every call, with what came of it.
func TestCalls(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		want observe.Outcome
	}{
		{nil, observe.OK}, {certs.ErrPending, observe.Pending}, {&dns.ThrottledError{}, observe.Throttled}, {&compute.QueuedError{}, observe.Throttled},
		{fmt.Errorf("x: %w", greenroom.ErrCapacity), observe.Capacity}, {&greenroom.UserError{Cause: greenroom.ErrPermanent}, observe.Refused},
		{&dns.RecordError{Err: greenroom.ErrConflict}, observe.Refused}, {context.Canceled, observe.Cancelled}, {context.DeadlineExceeded, observe.Failed}, {errors.New("x"), observe.Failed},
	} {
		var got []string
		calls := func(ctx context.Context, call observe.Call) (context.Context, func(error)) {
			return ctx, func(err error) {
				got = append(got, call.System+" "+call.Do)
				if o := observe.OutcomeOf(err); o != c.want {
					t.Errorf("%v after %s: %s, want %s", c.err, call.Do, o, c.want)
				}
			}
		}
		p := observe.Provider{Provider: world{c.err}, Name: "x", Calls: observe.CallsTogether(calls)}
		p.Launch(t.Context(), make([]compute.Request, 2))
		_, _ = p.List(t.Context(), "")
		_ = p.Terminate(t.Context(), "i")
		z := observe.Zone{Zone: world{c.err}, Name: "x", Calls: calls}
		_ = z.SetRecords(t.Context(), nil)
		_ = z.DeleteRecords(t.Context(), nil)
		_, _ = z.GetRecords(t.Context())
		if want := "[compute launch compute list compute terminate dns set dns delete dns get]"; fmt.Sprint(got) != want {
			t.Errorf("saw %v, want %s", got, want)
		}
	}
}
