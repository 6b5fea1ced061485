package storetest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/store"
)

func settingIsFirstWriterWins(t *testing.T, s store.Store) {
	const callers = 16
	got := make([]string, callers)
	crowd(callers, func(i int) {
		value, err := s.Setting(t.Context(), "name", fmt.Sprint("value ", i))
		if err != nil {
			t.Error(err)
		}
		got[i] = value
	})
	if n := len(slices.Compact(slices.Sorted(slices.Values(got)))); n != 1 {
		t.Errorf("callers got %d values, want one: %v", n, got)
	}
	for name, want := range map[string]string{"name": got[0], "other": "late"} {
		if value, err := s.Setting(t.Context(), name, "late"); err != nil || value != want {
			t.Errorf("setting %s is %q, want %q; %v", name, value, want, err)
		}
	}
}

func recordsRoundTrip(t *testing.T, s store.Store) {
	a := store.Record{Name: "a.desk.localhost", Address: netip.MustParseAddr("127.0.1.1"), Owner: "greenroom/x"}
	b := store.Record{Name: "b.desk.localhost", Address6: netip.MustParseAddr("2001:db8::1"), Owner: "greenroom/x"}
	read := func() []store.Record {
		t.Helper()
		got, err := s.Records(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(got, func(x, y store.Record) int { return slices.Compare([]byte(x.Name), []byte(y.Name)) })
		return got
	}
	put := func(records ...store.Record) {
		t.Helper()
		if err := s.PutRecords(t.Context(), records); err != nil {
			t.Fatal(err)
		}
	}
	put(a, b)
	sameRecords(t, []store.Record{a, b}, read())
	a.Address, a.Address6 = netip.MustParseAddr("127.0.1.2"), netip.MustParseAddr("2001:db8::2")
	put(a)
	sameRecords(t, []store.Record{a, b}, read())
	if err := s.DeleteRecords(t.Context(), []string{a.Name, "unknown.example"}); err != nil {
		t.Fatal(err)
	}
	sameRecords(t, []store.Record{b}, read())
	put()
}

func recordIsAsItIsNow(t *testing.T, s store.Store) {
	a := store.Record{Name: "a.desk.localhost", Address: netip.MustParseAddr("127.0.1.1"), Owner: "greenroom/x"}
	b := store.Record{Name: "b.desk.localhost", Address: netip.MustParseAddr("127.0.1.2"), Owner: "greenroom/x"}
	if _, err := s.Record(t.Context(), a.Name); !errors.Is(err, greenroom.ErrNotFound) {
		t.Errorf("before it is put: %v", err)
	}
	if err := s.PutRecords(t.Context(), []store.Record{a, b}); err != nil {
		t.Fatal(err)
	}
	a.Address6, a.Owner = netip.MustParseAddr("2001:db8::1"), "greenroom/y"
	if err := s.PutRecords(t.Context(), []store.Record{a}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []store.Record{a, b} {
		if got, err := s.Record(t.Context(), want.Name); err != nil || got != want {
			t.Errorf("record is %v, want %v; %v", got, want, err)
		}
	}
	if err := s.DeleteRecords(t.Context(), []string{a.Name}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Record(t.Context(), a.Name); !errors.Is(err, greenroom.ErrNotFound) {
		t.Errorf("after it was deleted: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Record(ctx, b.Name); err == nil || errors.Is(err, greenroom.ErrNotFound) {
		t.Errorf("a cancelled look says %v", err)
	}
}

func textsComeAndGo(t *testing.T, s store.Store) {
	const name, other = "_acme-challenge.desk.localhost", "_acme-challenge.i-1.desk.localhost"
	want := func(name string, want ...string) {
		t.Helper()
		if got, err := s.Texts(t.Context(), name); err != nil || !slices.Equal(got, want) {
			t.Errorf("the texts of %s are %q, want %q; %v", name, got, want, err)
		}
	}
	done := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	want(name)
	done(s.PutText(t.Context(), name, "b", start))
	done(s.PutText(t.Context(), name, "A", start.Add(-time.Hour)))
	done(s.PutText(t.Context(), name, "b", start))
	done(s.PutText(t.Context(), other, "b", start))
	want(name, "A", "b")
	done(s.Forget(t.Context(), start.Add(-time.Minute)))
	want(name, "b")
	done(s.DeleteText(t.Context(), name, "b"))
	done(s.DeleteText(t.Context(), name, "b"))
	want(name)
	want(other, "b")
}

func sameRecords(t *testing.T, want, got []store.Record) {
	t.Helper()
	if !slices.Equal(want, got) {
		t.Errorf("records are %v, want %v", got, want)
	}
}

func pingAnswers(t *testing.T, s store.Store) {
	if err := s.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Ping(ctx); err == nil {
		t.Error("a cancelled ping succeeded")
	}
}
