package localcompute

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestADesktopSpeaksUTF8(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ from, want []string }{
		"nothing is set":          {[]string{"PATH=/bin", "SECRET=x"}, []string{"PATH=/bin", "LANG=C.UTF-8"}},
		"an empty one":            {[]string{"LANG="}, []string{"LANG=C.UTF-8"}},
		"C":                       {[]string{"LANG=C", "TZ=UTC"}, []string{"TZ=UTC", "LANG=C.UTF-8"}},
		"POSIX above a good one":  {[]string{"LANG=de_DE.UTF-8", "LC_ALL=POSIX"}, []string{"LANG=C.UTF-8"}},
		"a chosen one":            {[]string{"LANG=de_DE.UTF-8"}, []string{"LANG=de_DE.UTF-8"}},
		"a chosen one above C":    {[]string{"LANG=C", "LC_ALL=ja_JP.UTF-8"}, []string{"LANG=C", "LC_ALL=ja_JP.UTF-8"}},
		"C for messages alone":    {[]string{"LANG=de_DE.UTF-8", "LC_MESSAGES=C"}, []string{"LANG=de_DE.UTF-8", "LC_MESSAGES=C"}},
		"a sort order stays":      {[]string{"LC_COLLATE=C"}, []string{"LC_COLLATE=C", "LANG=C.UTF-8"}},
		"C.UTF-8 is good already": {[]string{"LC_CTYPE=C.UTF-8"}, []string{"LC_CTYPE=C.UTF-8"}},
	} {
		if diff := cmp.Diff(c.want, (&host{opts: Options{Environ: c.from}}).environ()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
