package httpapi

import (
	"slices"
	"strings"
	"testing"
)

func TestParseIfMatch(t *testing.T) {
	t.Parallel()
	for s, want := range map[string][]int64{
		"": {0}, "*": {0}, " * ": {0}, `"3"`: {3}, `W/"3"`: {3}, "3": {3}, `"1", W/"2" ,"3"`: {1, 2, 3}, `"1",,"2",`: {1, 2},
		`"abc"`: {never}, `"3-gzip"`: {never}, `"0"`: {never}, `"03"`: {never}, `"a,b", "4"`: {never, 4}, `"99999999999999999999"`: {never},
		"0": nil, "-1": nil, "abc": nil, `"3`: nil, `"3" "4"`: nil, `w/"3"`: nil, `,`: nil, `W/3`: nil, `*, "3"`: nil,
		strings.Repeat(`"1",`, 65): nil,
	} {
		got, ok := parseIfMatch(s)
		if ok != (want != nil) || ok && !slices.Equal(got, want) {
			t.Errorf("%s: %v %v, want %v", s, got, ok, want)
		}
	}
}
