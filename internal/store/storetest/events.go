package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/store"
)

func eventsInOrderWithSeq(t *testing.T, s store.Store) {
	a := event(greenroom.EventScheduled, start)
	b := event(greenroom.EventPhase, start.Add(-time.Hour)) // the order is that of the writes, not of the times
	c := event(greenroom.EventPhase, start)
	d := event(greenroom.EventEnded, start)
	m := create(t, s, Meeting(start), a, b)
	update(t, s, m, c, d)
	other := create(t, s, Meeting(start), a)
	want := []greenroom.Event{a, b, c, d}
	for i := range want {
		want[i].Seq = int64(i + 1)
	}
	for _, page := range []struct {
		after int64
		limit int
		want  []greenroom.Event
	}{{0, 10, want}, {0, 3, want[:3]}, {1, 2, want[1:3]}, {3, 10, want[3:]}, {4, 10, nil}, {99, 10, nil}} {
		got, err := s.Events(t.Context(), m.ID, page.after, page.limit)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) == 0 && len(page.want) == 0 {
			continue
		}
		same(t, fmt.Sprintf("after %d, at most %d", page.after, page.limit), page.want, got)
	}
	got, err := s.Events(t.Context(), other.ID, 0, 10)
	if err != nil || len(got) != 1 || got[0].Seq != 1 {
		t.Errorf("the other meeting's events are %v, %v", got, err)
	}
}

func recentEventsNewestFirst(t *testing.T, s store.Store) {
	var want []greenroom.Event
	for i := range 5 {
		e := event(greenroom.EventReady, start.Add(time.Duration((i*3)%5)*time.Second))
		create(t, s, Meeting(start), event(greenroom.EventScheduled, start.Add(time.Hour)), e)
		e.Seq = 2
		want = append(want, e)
	}
	slices.SortFunc(want, func(a, b greenroom.Event) int { return b.At.Compare(a.At) })
	for _, limit := range []int{10, 3} {
		got, err := s.RecentEvents(t.Context(), greenroom.EventReady, limit)
		if err != nil {
			t.Fatal(err)
		}
		same(t, fmt.Sprint("at most ", limit), want[:min(limit, len(want))], got)
	}
	if got, err := s.RecentEvents(t.Context(), greenroom.EventEnded, 10); err != nil || len(got) != 0 {
		t.Errorf("events of another kind: %v, %v", got, err)
	}
}

func dueIsSortedAndBounded(t *testing.T, s store.Store) {
	var want []store.Wake
	for i := range 10 {
		m := Meeting(start)
		m.WakeAt = start.Add(time.Duration((i*7)%10) * time.Second)
		create(t, s, m)
		want = append(want, store.Wake{Meeting: m.ID, At: m.WakeAt})
	}
	never := Meeting(start)
	never.WakeAt = time.Time{}
	create(t, s, never)
	slices.SortFunc(want, func(a, b store.Wake) int { return a.At.Compare(b.At) })
	for _, ask := range []struct {
		before time.Duration
		limit  int
		want   int
	}{{time.Hour, 100, 10}, {time.Hour, 4, 4}, {5 * time.Second, 100, 5}, {5*time.Second + time.Microsecond, 100, 6}, {0, 100, 0}} {
		got, err := s.Due(t.Context(), start.Add(ask.before), ask.limit)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) == 0 && ask.want == 0 {
			continue
		}
		same(t, fmt.Sprintf("before start+%s, at most %d", ask.before, ask.limit), want[:ask.want], got)
	}
}

func closedIsNotDue(t *testing.T, s store.Store) {
	m := create(t, s, Meeting(start))
	m.Closed = true
	closed := update(t, s, m)
	born := Meeting(start)
	born.Closed = true
	create(t, s, born)
	if due, err := s.Due(t.Context(), start.Add(time.Hour), 10); err != nil || len(due) != 0 {
		t.Errorf("due: %v, %v", due, err)
	}
	same(t, "the meeting itself", closed, get(t, s, m.ID))
}

func dueFollowsEverySave(t *testing.T, s store.Store) {
	m := create(t, s, Meeting(start))
	for _, at := range []time.Time{start, start.Add(time.Second), {}, start.Add(-time.Second), start.Add(-time.Second)} {
		m.WakeAt = at
		m = update(t, s, m)
		due, err := s.Due(t.Context(), start.Add(time.Hour), 10)
		switch {
		case err != nil:
			t.Fatal(err)
		case at.IsZero():
			if len(due) != 0 {
				t.Errorf("due without a wake: %v", due)
			}
		default:
			same(t, "due", []store.Wake{{Meeting: m.ID, At: at}}, due)
		}
	}
}
