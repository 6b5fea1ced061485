package greenroom_test

import (
	"reflect"
	"slices"
	"testing"

	"greenroom"
)

// TestEveryValueHasWords keeps a new phase, state, end reason or removal reason from being shown as an empty text.
func TestEveryValueHasWords(t *testing.T) {
	t.Parallel()
	for _, p := range greenroom.Phases() {
		w := p.Words()
		full(t, "phase", p, struct{ Label, Participant string }{w.Label, w.Participant})
		if p.Starting() {
			full(t, "stage", p, w)
		}
	}
	for _, s := range greenroom.States() {
		full(t, "state", s, struct{ Label string }{s.Label()})
	}
	for _, r := range greenroom.EndReasons() {
		full(t, "end reason", r, r.Words())
	}
	for _, r := range greenroom.RemovalReasons() {
		full(t, "removal reason", r, r.Words())
	}
}

// full fails for each text of words, a struct of strings, that is empty.
func full[T ~string](t *testing.T, kind string, value T, words any) {
	t.Helper()
	v := reflect.ValueOf(words)
	for i := range v.NumField() {
		if v.Field(i).String() == "" {
			t.Errorf("the %s %q has no %s in words.go", kind, value, v.Type().Field(i).Name)
		}
	}
}

// TestEveryConstantIsListed compares the constants of the package with its lists: the tests that go through the lists would
// miss a value that is in none.
func TestEveryConstantIsListed(t *testing.T) {
	t.Parallel()
	listed := map[string][]string{
		"Phase": texts(greenroom.Phases()), "State": texts(greenroom.States()), "EndReason": texts(greenroom.EndReasons()),
		"RemovalReason": texts(greenroom.RemovalReasons()), "Provider": texts(greenroom.Providers()), "Protocol": texts(greenroom.Protocols()),
	}
	found := map[string]int{}
	for _, c := range constants(t, ".") {
		values, ok := listed[c.typ]
		if !ok {
			continue
		}
		found[c.typ]++
		if !slices.Contains(values, c.value) {
			t.Errorf("%s is a %s, and the list of them does not hold %q", c.name, c.typ, c.value)
		}
	}
	for typ := range listed {
		if found[typ] == 0 {
			t.Errorf("no constant of type %s was found", typ)
		}
	}
}

// TestUnknownReasons: what a newer version stored is shown all the same.
func TestUnknownReasons(t *testing.T) {
	t.Parallel()
	full(t, "end reason", greenroom.EndReason("of_tomorrow"), greenroom.EndReason("of_tomorrow").Words())
	full(t, "removal reason", greenroom.RemovalReason("of_tomorrow"), greenroom.RemovalReason("of_tomorrow").Words())
	if w := greenroom.RemovalReason("").Words(); w.Because != "" || w.Participant == "" {
		t.Errorf("without a reason: %+v", w)
	}
}

func texts[T ~string](values []T) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = string(v)
	}
	return out
}
