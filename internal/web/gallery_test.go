package web_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"greenroom/internal/web"
)

var update = flag.Bool("update", false, "write the golden files anew")

// hashed is what depends on the bundle: its files' names, and the elements that only stand there if it was built.
var hashed = regexp.MustCompile(`(?m)^(?:<link rel="(?:icon|preload|stylesheet)".*|<script type="module".*|<p role="alert">The styles and scripts.*)\n`)

// TestMain refuses to compare pages without their scripts and styles: every one of them would differ.
func TestMain(m *testing.M) {
	if _, err := os.Stat(filepath.Join("static", "dist", "manifest.json")); err != nil {
		fmt.Fprintln(os.Stderr, "The pages' scripts and styles are not built: run make assets, then the tests again.")
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func TestGallery(t *testing.T) {
	t.Parallel()
	s := open(t, func(o *web.Options) { o.Gallery = true })
	names := regexp.MustCompile(`/gallery/([a-z0-9-]+)`).FindAllStringSubmatch(s.get(t, "/gallery").body, -1)
	if len(names) < 30 {
		t.Fatalf("only %d pages", len(names))
	}
	for _, n := range names {
		t.Run(n[1], func(t *testing.T) {
			t.Parallel()
			body := s.get(t, n[0]).body
			golden(t, n[1], body)
			check(t, body)
		})
	}
}

func golden(t *testing.T, name, body string) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name+".html")
	got := hashed.ReplaceAllString(body, "")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("the page differs from what was agreed on; look at it, then run the test with -update:\n%s", diff)
	}
}

// check looks at what every page must have, and must not.
func check(t *testing.T, body string) {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	labels, ids, count := map[string]bool{}, map[string]int{}, map[string]int{}
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		count[n.Data]++
		if id := attr(n, "id"); id != "" {
			ids[id]++
		}
		if n.Data == "label" {
			labels[attr(n, "for")] = true
		}
		for _, a := range n.Attr {
			if strings.HasPrefix(a.Key, "on") || a.Key == "style" || strings.HasPrefix(strings.TrimSpace(a.Val), "javascript:") {
				t.Errorf("<%s %s=%q>: the policy forbids it", n.Data, a.Key, a.Val)
			}
		}
		if n.Data == "style" || n.Data == "script" && attr(n, "src") == "" {
			t.Errorf("inline <%s>: the policy forbids it", n.Data)
		}
	}
	for id, times := range ids {
		if times > 1 {
			t.Errorf("id %q stands %d times", id, times)
		}
	}
	for n := range doc.Descendants() {
		if n.Type == html.ElementNode && (n.Data == "input" || n.Data == "select") && attr(n, "type") != "hidden" && !labels[attr(n, "id")] && !inside(n, "label") {
			t.Errorf("<%s name=%q> has no label", n.Data, attr(n, "name"))
		}
		if n.Type == html.ElementNode && attr(n, "aria-describedby") != "" && ids[attr(n, "aria-describedby")] == 0 {
			t.Errorf("aria-describedby=%q names nothing", attr(n, "aria-describedby"))
		}
		if n.Type == html.ElementNode && n.Data == "html" && attr(n, "lang") != "en" {
			t.Error("the page's language is not said")
		}
	}
	if count["h1"] != 1 || count["title"] != 1 || count["main"] != 1 {
		t.Errorf("%d h1, %d title, %d main; want one of each", count["h1"], count["title"], count["main"])
	}
}

func attr(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func inside(n *html.Node, element string) bool {
	for a := range n.Ancestors() {
		if a.Data == element {
			return true
		}
	}
	return false
}
