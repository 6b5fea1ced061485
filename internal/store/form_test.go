package store_test

import (
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"greenroom"
	"greenroom/internal/store"
)

func TestUnmarshalGivesUTCInEveryCorner(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 12, 1, 7, 0, 0, 0, time.FixedZone("somewhere", -8*3600))
	var given, got greenroom.Meeting
	times := setTimes(reflect.ValueOf(&given).Elem(), at)
	doc, err := store.Marshal(given)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Unmarshal(doc, &got); err != nil {
		t.Fatal(err)
	}
	again, err := store.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	var plain greenroom.Meeting
	setTimes(reflect.ValueOf(&plain).Elem(), at.UTC())
	want, err := store.Marshal(plain)
	if err != nil {
		t.Fatal(err)
	}
	if string(again) != string(want) || times < 15 {
		t.Errorf("of %d times some are not in UTC:\n%s\n%s", times, again, want)
	}
}

// setTimes gives every time below v a value, makes whatever leads to one, and counts them.
func setTimes(v reflect.Value, at time.Time) int {
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(at))
			return 1
		}
		n := 0
		for i := range v.NumField() {
			n += setTimes(v.Field(i), at)
		}
		return n
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return setTimes(v.Elem(), at)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		return setTimes(v.Index(0), at)
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		n := setTimes(value, at)
		v.SetMapIndex(key, value)
		return n
	default:
		return 0
	}
}

func TestCursorRoundTrips(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := store.Cursor{StartsAt: rapid.Int64().Draw(t, "starts at"), ID: rapid.StringMatching(`[a-z0-9]{12,32}`).Draw(t, "id")}
		if got, err := store.ParseCursor(c.String()); err != nil || got != c {
			t.Errorf("%v came back as %v, %v", c, got, err)
		}
	})
}
