package web

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
)

// The bundle is built by "npm run build"; without it there is only .keep, and the program still compiles.
//
//go:embed all:static/dist
var bundle embed.FS

// assets is the bundle: files with the hash of their content in their name, and the manifest that knows the
// names by what they were made from ("app.ts" is "app-5XQK2N7A.js").
type assets struct {
	files    http.Handler
	manifest map[string]string
}

func newAssets(dist fs.FS) (*assets, error) {
	a := &assets{files: http.FileServerFS(dist)}
	text, err := fs.ReadFile(dist, "manifest.json")
	if errors.Is(err, fs.ErrNotExist) {
		return a, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the bundle's manifest: %w", err)
	}
	if err := json.Unmarshal(text, &a.manifest); err != nil {
		return nil, fmt.Errorf("read the bundle's manifest: %w", err)
	}
	return a, nil
}

// Missing reports whether the bundle was not built.
func (a *assets) Missing() bool { return a.manifest == nil }

// URL is where the file made from source is served, or "" if there is none.
func (a *assets) URL(source string) string {
	if name, ok := a.manifest[source]; ok {
		return "/static/" + name
	}
	return ""
}

// ServeHTTP serves only what the manifest names, and for ever: another content has another name. Only the licences
// keep theirs.
func (a *assets) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	for _, name := range a.manifest {
		if name == r.URL.Path {
			if name != "licenses.txt" {
				rw.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
			}
			a.files.ServeHTTP(rw, r)
			return
		}
	}
	http.NotFound(rw, r)
}
