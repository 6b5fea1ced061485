package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/store"
)

// ids reads all pages and fails if one is longer than asked.
func ids(t *testing.T, s store.Store, f store.Filter) []string {
	t.Helper()
	var out []string
	for range 100 {
		page, next, err := s.List(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		if f.Limit > 0 && len(page) > f.Limit {
			t.Errorf("a page of %d meetings, asked for %d", len(page), f.Limit)
		}
		for _, m := range page {
			out = append(out, m.ID)
		}
		if next == "" {
			return out
		}
		f.Cursor = next
	}
	t.Fatal("the pages have no end")
	return nil
}

func listPagesWithoutGapsOrDoubles(t *testing.T, s store.Store) {
	var all []greenroom.Meeting
	for i := range 20 {
		all = append(all, create(t, s, Meeting(start.Add(time.Duration(i/7)*time.Minute)))) // many begin at once
	}
	slices.SortFunc(all, func(a, b greenroom.Meeting) int {
		if c := a.StartsAt.Compare(b.StartsAt); c != 0 {
			return c
		}
		return slices.Compare([]byte(a.ID), []byte(b.ID))
	})
	want := make([]string, len(all))
	for i, m := range all {
		want[i] = m.ID
	}
	for _, limit := range []int{0, 1, 3, 7, 10, 20, 500} {
		same(t, fmt.Sprint("pages of ", limit), want, ids(t, s, store.Filter{Limit: limit}))
	}
	newest := slices.Clone(want)
	slices.Reverse(newest)
	for _, limit := range []int{0, 3, 20} {
		same(t, fmt.Sprint("newest first, pages of ", limit), newest, ids(t, s, store.Filter{Limit: limit, Newest: true}))
	}
	// What is added behind a reader's back neither repeats nor hides what it has not seen.
	first, cursor, err := s.List(t.Context(), store.Filter{Limit: 5})
	if err != nil || len(first) != 5 {
		t.Fatalf("first page: %d, %v", len(first), err)
	}
	create(t, s, Meeting(start.Add(-time.Hour)))
	same(t, "the rest", want[5:], ids(t, s, store.Filter{Limit: 5, Cursor: cursor}))
}

func listByState(t *testing.T, s store.Store) {
	scheduled := create(t, s, Meeting(start))
	preparing := create(t, s, Meeting(start))
	preparing.Seats[0].Desktop.Phase = greenroom.Launching
	preparing = update(t, s, preparing)
	ended := create(t, s, Meeting(start))
	ended.EndReason, ended.EndedAt = greenroom.Cancelled, start
	ended = update(t, s, ended)
	waiting := inState(t, s, create(t, s, Meeting(start)), greenroom.Waiting)
	for state, want := range map[greenroom.State][]string{
		greenroom.Waiting:   {waiting.ID},
		greenroom.Scheduled: {scheduled.ID}, greenroom.Preparing: {preparing.ID}, greenroom.Ended: {ended.ID}, greenroom.InProgress: nil,
	} {
		same(t, string(state), want, ids(t, s, store.Filter{State: state}))
	}
}

// inState saves a meeting in the state.
func inState(t *testing.T, s store.Store, m greenroom.Meeting, state greenroom.State) greenroom.Meeting {
	t.Helper()
	phases := map[greenroom.State]greenroom.Phase{
		greenroom.Scheduled: greenroom.Planned, greenroom.Preparing: greenroom.Launching, greenroom.AllReady: greenroom.Ready,
		greenroom.InProgress: greenroom.InUse, greenroom.Ending: greenroom.Terminating, greenroom.Ended: greenroom.Gone,
		greenroom.Waiting: greenroom.Gone,
	}
	for i := range m.Seats {
		m.Seats[i].Desktop.Phase = phases[state]
	}
	if state == greenroom.Ending || state == greenroom.Ended {
		m.EndReason, m.EndedAt = greenroom.Cancelled, start
	}
	if got := m.State(); got != state {
		t.Fatalf("a meeting is %s, want %s", got, state)
	}
	return update(t, s, m)
}

func liveIDs(t *testing.T, s store.Store) (found []string) {
	t.Helper()
	if err := store.AllLive(t.Context(), s.Live, func(m *greenroom.Meeting) { found = append(found, m.ID) }); err != nil {
		t.Fatal(err)
	}
	return found
}

func live(t *testing.T, s store.Store) {
	if found := liveIDs(t, s); len(found) != 0 {
		t.Errorf("live in an empty store: %v", found)
	}
	var want []string
	for _, state := range greenroom.States() {
		for range 3 {
			if m := inState(t, s, create(t, s, Meeting(start)), state); state.Live() {
				want = append(want, m.ID)
			}
		}
	}
	slices.Sort(want)
	same(t, "live", want, liveIDs(t, s))
	page, next, err := s.Live(t.Context(), want[0])
	if err != nil || next != "" || len(page) != len(want)-1 || page[0].ID != want[1] {
		t.Errorf("after the first: %d meetings, %q, %v", len(page), next, err)
	}
	inState(t, s, page[0], greenroom.Ended)
	same(t, "live after an end", slices.Delete(want, 1, 2), liveIDs(t, s))
}

// liveMissesNobody reads more than one page while meetings change all that they are listed by elsewhere.
func liveMissesNobody(t *testing.T, s store.Store) {
	const n = store.MaxLive + 5
	all := make([]greenroom.Meeting, n)
	crowd(n, func(i int) { all[i] = inState(t, s, create(t, s, Meeting(start)), greenroom.AllReady) })
	want := make([]string, n)
	for i, m := range all {
		want[i] = m.ID
	}
	slices.Sort(want)
	first, cursor, err := s.Live(t.Context(), "")
	if err != nil || len(first) != store.MaxLive || cursor == "" {
		t.Fatalf("first page: %d, %q, %v", len(first), cursor, err)
	}
	for _, m := range all {
		if i, _ := slices.BinarySearch(want, m.ID); i < store.MaxLive-3 {
			continue
		}
		m.StartsAt = m.StartsAt.Add(-time.Hour)
		inState(t, s, m, greenroom.Preparing)
	}
	rest, last, err := s.Live(t.Context(), cursor)
	if err != nil || last != "" {
		t.Fatalf("second page: %q, %v", last, err)
	}
	var got []string
	for _, m := range append(first, rest...) {
		got = append(got, m.ID)
	}
	same(t, "both pages", want, got)
}

func listFromTo(t *testing.T, s store.Store) {
	var want []string
	for i := range 6 {
		want = append(want, create(t, s, Meeting(start.Add(time.Duration(i)*time.Hour))).ID)
	}
	hour := func(n int) time.Time { return start.Add(time.Duration(n) * time.Hour) }
	for name, c := range map[string]struct {
		filter store.Filter
		want   []string
	}{
		"from is included":        {store.Filter{From: hour(2)}, want[2:]},
		"to is not":               {store.Filter{To: hour(2)}, want[:2]},
		"both":                    {store.Filter{From: hour(1), To: hour(4)}, want[1:4]},
		"in another zone":         {store.Filter{From: hour(5).In(time.FixedZone("", 3600))}, want[5:]},
		"a little after one":      {store.Filter{From: hour(2).Add(time.Nanosecond)}, want[3:]},
		"a little after the last": {store.Filter{To: hour(2).Add(time.Nanosecond)}, want[:3]},
		"with a state":            {store.Filter{State: greenroom.Scheduled, From: hour(4)}, want[4:]},
		"in pages":                {store.Filter{From: hour(1), To: hour(5), Limit: 2}, want[1:5]},
	} {
		same(t, name, c.want, ids(t, s, c.filter))
	}
}

func listIsBounded(t *testing.T, s store.Store) {
	crowd(store.DefaultLimit+1, func(int) {
		if _, _, err := s.Create(t.Context(), Meeting(start), nil, store.Idempotency{}); err != nil {
			t.Error(err)
		}
	})
	page, next, err := s.List(t.Context(), store.Filter{})
	if err != nil || len(page) != store.DefaultLimit || next == "" {
		t.Errorf("without a limit: %d meetings, next %q, %v", len(page), next, err)
	}
	if all := ids(t, s, store.Filter{Limit: store.MaxLimit + 1}); len(all) != store.DefaultLimit+1 {
		t.Errorf("with too great a limit: %d meetings", len(all))
	}
}

func badCursorIsInvalid(t *testing.T, s store.Store) {
	create(t, s, Meeting(start))
	for _, cursor := range []string{"x", "!", "MTIz", "AAAA", "eA", "MSA", "' or 1=1 --"} {
		_, _, err := s.List(t.Context(), store.Filter{Cursor: cursor})
		invalid, ok := errors.AsType[*greenroom.InvalidError](err)
		if !ok || len(invalid.Fields) != 1 || invalid.Fields[0].Field != "cursor" {
			t.Errorf("cursor %q: %v", cursor, err)
		}
	}
}
