package web

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"

	"greenroom/internal/meetings"
	"greenroom/internal/plaintext"
)

//go:embed templates
var templateFiles embed.FS

// renderer turns page structs into HTML. Every page is a template "page.html" that fills the blocks of
// layout.html; templates/parts holds what several pages share.
type renderer struct {
	assets *assets
	pages  map[string]*template.Template
}

// frame is what every page has. Page structs embed it.
type frame struct {
	Title    string    // of the browser's tab, before "greenroom"
	Script   string    // source of the page's script; "" for none
	Area     string    // which entry of the navigation is current
	Now      time.Time // what relative times are relative to
	Bare     bool      // no navigation: for people who are not organisers
	SignedIn bool      // there is something to sign out of
	Still    bool      // do not keep the page live: it shows canned data
}

func newRenderer(dist fs.FS) (*renderer, error) {
	a, err := newAssets(dist)
	if err != nil {
		return nil, err
	}
	v := &renderer{assets: a, pages: map[string]*template.Template{}}
	shared, err := template.New("layout.html").Funcs(v.funcs()).ParseFS(templateFiles, "templates/layout.html", "templates/parts/*.html")
	if err != nil {
		return nil, fmt.Errorf("parse templates: %w", err)
	}
	names, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		page, err := shared.Clone()
		if err != nil {
			return nil, fmt.Errorf("parse templates: %w", err)
		}
		if page, err = page.ParseFS(templateFiles, name); err != nil {
			return nil, fmt.Errorf("parse templates: %w", err)
		}
		v.pages[strings.TrimSuffix(path.Base(name), ".html")] = page
	}
	return v, nil
}

func (v *renderer) funcs() template.FuncMap {
	return template.FuncMap{
		"asset":         v.assets.URL,
		"bundleMissing": v.assets.Missing,
		"rfc3339":       func(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) },
		"day":           day,
		"clock":         clock,
		"span":          span,
		"relative":      relative,
		"roughly":       roughly,
		"roleWord":      roleWord,
		"seatActions":   newSeatActions,
		"shortDay":      func(t time.Time, zoneName string) string { return t.In(zone(zoneName)).Format("Mon 2 Jan") },
		"clockSeconds":  func(t time.Time, zoneName string) string { return t.In(zone(zoneName)).Format("15:04:05") },
		"measured":      measured,
		"offset":        func(t time.Time, zoneName string) string { return offsetName(t.In(zone(zoneName))) },
		"fault":         newFault,
		"plain":         plaintext.Clean,
		"maxTitle":      func() int { return meetings.MaxTitle },
		"maxName":       func() int { return meetings.MaxName },
		"maxEmail":      func() int { return meetings.MaxEmail },
	}
}

// execute renders one block of a page: "layout.html" is the whole page. Rendering goes to a buffer first,
// so that a template's failure becomes an error page and not half a page.
func (v *renderer) execute(page, block string, data any) ([]byte, error) {
	t, ok := v.pages[page]
	if !ok {
		return nil, fmt.Errorf("no page %q", page)
	}
	var buf bytes.Buffer
	if err := t.ExecuteTemplate(&buf, block, data); err != nil {
		return nil, fmt.Errorf("render %s: %w", page, err)
	}
	return buf.Bytes(), nil
}

// write answers with a page, or with its block "live" alone if the page's script asked for that.
func (v *renderer) write(rw http.ResponseWriter, r *http.Request, status int, page string, data any) error {
	block := "layout.html"
	if partial(r) {
		block = "live"
	}
	rw.Header().Add("Vary", "HX-Request-Type")
	return v.writeBlock(rw, status, page, block, data)
}

// writeBlock answers with one block of a page.
func (v *renderer) writeBlock(rw http.ResponseWriter, status int, page, block string, data any) error {
	html, err := v.execute(page, block, data)
	if err != nil {
		return err
	}
	h := rw.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store") // pages hold join links and the state of this second
	rw.WriteHeader(status)
	_, _ = rw.Write(html) // the reader went away: nobody to tell
	return nil
}

// partial reports whether htmx asked, and for the live part of the page only.
func partial(r *http.Request) bool { return r.Header.Get("HX-Request-Type") == "partial" }
