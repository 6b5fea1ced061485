package store

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"

	"greenroom"
)

// Marshal gives the form in which implementations keep a meeting or an event.
func Marshal(v any) ([]byte, error) {
	doc, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	return doc, nil
}

// Unmarshal reads what Marshal wrote into v, a pointer. All times in it are in UTC, whatever they were given in.
func Unmarshal(doc []byte, v any) error {
	if err := json.Unmarshal(doc, v); err != nil {
		return fmt.Errorf("decode: %w", err)
	}
	if m, ok := v.(*greenroom.Meeting); ok {
		m.FillRoles()
	}
	UTC(v)
	return nil
}

// UTC puts every time in v, a pointer, into UTC, without the reading of a monotonic clock: as Unmarshal would give it.
func UTC(v any) { utc(reflect.ValueOf(v).Elem()) }

var (
	timeType    = reflect.TypeFor[time.Time]()
	timingsType = reflect.TypeFor[map[greenroom.Phase]time.Time]()
)

// walkers visit the times in a value of a type; nil for a type that holds none.
var walkers sync.Map // of reflect.Type to func(reflect.Value)

// utc visits every time in v. It reflects, so that a new field cannot be forgotten; what there is to visit is found out once.
func utc(v reflect.Value) {
	if walk := walker(v.Type()); walk != nil {
		walk(v)
	}
}

func walker(t reflect.Type) func(reflect.Value) {
	if known, ok := walkers.Load(t); ok {
		return known.(func(reflect.Value))
	}
	walk := newWalker(t)
	walkers.Store(t, walk)
	return walk
}

func newWalker(t reflect.Type) func(reflect.Value) {
	switch t.Kind() {
	case reflect.Struct:
		return structWalker(t)
	case reflect.Pointer:
		if walk := walker(t.Elem()); walk != nil {
			return func(v reflect.Value) {
				if !v.IsNil() {
					walk(v.Elem())
				}
			}
		}
	case reflect.Slice:
		if walk := walker(t.Elem()); walk != nil {
			return func(v reflect.Value) {
				for i := range v.Len() {
					walk(v.Index(i))
				}
			}
		}
	case reflect.Map:
		switch {
		case t == timingsType:
			return timingsToUTC
		case walker(t.Elem()) != nil:
			panic("store: times in a " + t.String() + " are not put into UTC")
		}
	default: // holds no time
	}
	return nil
}

func structWalker(t reflect.Type) func(reflect.Value) {
	if t == timeType {
		return func(v reflect.Value) {
			at := v.Addr().Interface().(*time.Time)
			if utc := at.Round(0).UTC(); *at != utc {
				*at = utc
			}
		}
	}
	type field struct {
		index int
		walk  func(reflect.Value)
	}
	var fields []field
	for i := range t.NumField() {
		if walk := walker(t.Field(i).Type); walk != nil {
			fields = append(fields, field{i, walk})
		}
	}
	if len(fields) == 0 {
		return nil
	}
	return func(v reflect.Value) {
		for _, f := range fields {
			f.walk(v.Field(f.index))
		}
	}
}

func timingsToUTC(v reflect.Value) {
	timings := v.Interface().(map[greenroom.Phase]time.Time)
	for phase, at := range timings {
		if utc := at.Round(0).UTC(); at != utc {
			timings[phase] = utc
		}
	}
}

// Bounds of a page of List.
const (
	DefaultLimit = 50
	MaxLimit     = 500
)

// PageSize is how many meetings f asks for, within the bounds.
func (f Filter) PageSize() int {
	if f.Limit <= 0 {
		return DefaultLimit
	}
	return min(f.Limit, MaxLimit)
}

// Cursor is a place in the order of List: after the meeting that starts then and has that id.
type Cursor struct {
	StartsAt int64 // microseconds since 1970
	ID       string
}

// CursorAfter is the place after m.
func CursorAfter(m greenroom.Meeting) Cursor {
	return Cursor{StartsAt: m.StartsAt.UnixMicro(), ID: m.ID}
}

// String is the cursor as clients see it: opaque.
func (c Cursor) String() string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(c.StartsAt, 10) + " " + c.ID))
}

// ParseCursor reads what String wrote; anything else is an InvalidError on the field "cursor".
func ParseCursor(s string) (Cursor, error) {
	raw, err := base64.RawURLEncoding.DecodeString(s)
	micros, id, ok := strings.Cut(string(raw), " ")
	at, err2 := strconv.ParseInt(micros, 10, 64)
	c := Cursor{StartsAt: at, ID: id}
	if err != nil || err2 != nil || !ok || id == "" || c.String() != s {
		var e greenroom.InvalidError
		e.Add("cursor", "a cursor is what the page before gave as its next one; %.40q is not", s)
		return Cursor{}, e.Err()
	}
	return c, nil
}
