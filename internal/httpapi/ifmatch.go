package httpapi

import (
	"strconv"
	"strings"
)

// never is a version that no meeting has.
const never = -1

// maxVersions bounds a list in If-Match.
const maxVersions = 64

// parseIfMatch reads If-Match (RFC 9110): one entity tag or a list of them. The first is 0 for any version. Tags that are not ours match
// nothing. A weak tag stands for its version: proxies that compress an answer weaken its tag, and a version is the meeting's and not
// the bytes'. A version without quotation marks is taken, too, as before.
func parseIfMatch(s string) (versions []int64, ok bool) {
	if s = strings.TrimSpace(s); s == "" || s == "*" {
		return []int64{0}, true
	}
	if v, err := strconv.ParseInt(s, 10, 64); err == nil {
		return []int64{v}, v > 0
	}
	for len(versions) < maxVersions {
		s = strings.TrimLeft(s, " \t,")
		if s == "" {
			return versions, len(versions) > 0
		}
		rest, quoted := strings.CutPrefix(strings.TrimPrefix(s, "W/"), `"`)
		tag, after, closed := strings.Cut(rest, `"`)
		if after = strings.TrimLeft(after, " \t"); !quoted || !closed || after != "" && after[0] != ',' {
			return nil, false
		}
		v, err := strconv.ParseInt(tag, 10, 64)
		if err != nil || v <= 0 || strconv.FormatInt(v, 10) != tag {
			v = never
		}
		versions, s = append(versions, v), after
	}
	return nil, false
}
