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
	for state, want := range map[greenroom.State][]string{
		greenroom.Scheduled: {scheduled.ID}, greenroom.Preparing: {preparing.ID}, greenroom.Ended: {ended.ID}, greenroom.InProgress: nil,
	} {
		same(t, string(state), want, ids(t, s, store.Filter{State: state}))
	}
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
