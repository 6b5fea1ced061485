package web

import (
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

func TestAssets(t *testing.T) {
	t.Parallel()

	t.Run("AMissingBundleIsSaidAndBreaksNothing", func(t *testing.T) {
		t.Parallel()
		v, err := newRenderer(fstest.MapFS{".keep": {}})
		if err != nil {
			t.Fatal(err)
		}
		page, err := v.execute("login", "layout.html", newLoginPage("/", false, time.Time{}))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(page), "make build") || strings.Contains(string(page), "/static/") {
			t.Errorf("the page does not say how to build the bundle, or names files that are not there:\n%s", page)
		}
	})
	t.Run("ABrokenManifestIsAnError", func(t *testing.T) {
		t.Parallel()
		if _, err := newAssets(fstest.MapFS{"manifest.json": {Data: []byte("{")}}); err == nil {
			t.Error("no error")
		}
	})
	t.Run("OnlyWhatTheManifestNamesIsServedAndForEver", func(t *testing.T) {
		t.Parallel()
		a, err := newAssets(fstest.MapFS{
			"manifest.json": {Data: []byte(`{"app.ts": "app-1.js"}`)}, "app-1.js": {Data: []byte("js")}, "secret": {Data: []byte("s")},
		})
		if err != nil {
			t.Fatal(err)
		}
		if a.URL("app.ts") != "/static/app-1.js" || a.URL("other.ts") != "" {
			t.Errorf("app.ts is at %q, other.ts at %q", a.URL("app.ts"), a.URL("other.ts"))
		}
		for path, want := range map[string]int{"app-1.js": 200, "secret": 404, "manifest.json": 404, "": 404, ".": 404} {
			rw := httptest.NewRecorder()
			r := httptest.NewRequest("GET", "/", nil)
			r.URL.Path = path
			a.ServeHTTP(rw, r)
			if rw.Code != want {
				t.Errorf("%q: %d, want %d", path, rw.Code, want)
			}
			if want == 200 && !strings.Contains(rw.Header().Get("Cache-Control"), "immutable") {
				t.Errorf("%q is not served for ever", path)
			}
		}
	})
}
