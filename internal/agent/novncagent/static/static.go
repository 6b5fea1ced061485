// Package static holds the page in which a browser shows a desktop that speaks noVNC: the desktop's own agent serves it, and
// greenroom where desktops are below its own address. All addresses in it are relative to where it is served.
package static

import (
	"embed"
	"html/template"
	"io/fs"
)

//go:embed all:dist *.html
var files embed.FS

// Pages are the templates desktop.html and message.html.
var Pages = template.Must(template.ParseFS(files, "*.html"))

// Page is what the templates show.
type Page struct {
	Title     string // of the meeting
	Role      string
	Heading   string
	Message   string
	ReturnURL string
	Retry     string // address to try again by itself
	Back      bool   // the lobby is the page before this one: its address has the key
}

// Dist returns the scripts and styles.
func Dist() fs.FS {
	dist, err := fs.Sub(files, "dist")
	if err != nil {
		panic(err) // the path is a constant, and valid
	}
	return dist
}

// Built reports whether the scripts are part of this binary.
func Built() bool {
	_, err := fs.Stat(files, "dist/desktop.js")
	return err == nil
}
