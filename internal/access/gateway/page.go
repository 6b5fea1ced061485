package gateway

import (
	"crypto/sha256"
	"encoding/base64"
	"html/template"
	"net/http"
	"strconv"

	"greenroom/internal/logkey"
	"greenroom/internal/meetings"
)

// message is a page of the gateway's own.
type message struct {
	Heading, Text string
	Way           meetings.Way // may be empty
	Retry         bool         // the page tries again by itself
}

// style has the colours of greenroom's own pages. Nothing is fetched: those are on another host.
const style = `:root{color-scheme:light dark;--paper:#f7f6f2;--card:#fff;--ink:#1b201d;--soft:#59625c;--line:#e3e1d9;--accent:#17694b;--on-accent:#fff}` +
	`@media(prefers-color-scheme:dark){:root{--paper:#101411;--card:#181e1a;--ink:#e6ebe7;--soft:#a4aea7;--line:#2a322d;--accent:#5cc998;--on-accent:#06281a}}` +
	`*{box-sizing:border-box}body{font:1.0625rem/1.6 Inter,system-ui,sans-serif;background:var(--paper);color:var(--ink);margin:0;min-height:100vh;display:grid;place-items:center;padding:1.25rem}` +
	`main{width:100%;max-width:34rem;background:var(--card);border:1px solid var(--line);border-radius:.75rem;padding:1.75rem}` +
	`h1{font-size:1.5rem;line-height:1.25;margin:.25rem 0 1rem}p{margin:0 0 1rem}p:last-child{margin:0}.kicker,.soft{color:var(--soft)}.kicker{margin:0}.role{text-transform:capitalize}` +
	`a{display:inline-block;padding:.6rem 1.1rem;border-radius:.5rem;background:var(--accent);color:var(--on-accent);text-decoration:none;font-weight:600}a:focus-visible{outline:3px solid var(--ink);outline-offset:2px}`

var page = template.Must(template.New("").Parse(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{{.Heading}}</title>
<link rel="icon" href="data:,">
<style>` + style + `</style>
</head>
<body>
<main>
{{with .Way.Title}}<p class="kicker">{{.}}{{with $.Way.Role}} · <span class="role">{{.}}</span>{{end}}</p>{{end}}
<h1>{{.Heading}}</h1>
<p>{{.Text}}</p>
{{if .Retry}}<p class="soft" role="status">This page tries again by itself every two seconds.</p>{{end}}
{{with .Way.LobbyURL}}<p><a href="{{.}}">Go to the lobby</a></p>{{end}}
</main>
</body>
</html>
`))

var policy = func() string {
	sum := sha256.Sum256([]byte(style))
	return "default-src 'none'; img-src data:; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
}()

const retryAfter = 2 // seconds

// refuse answers with a page that says why.
func (g *Gateway) refuse(w http.ResponseWriter, status int, m message) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	if m.Retry {
		h.Set("Retry-After", strconv.Itoa(retryAfter))
		h.Set("Refresh", strconv.Itoa(retryAfter))
	}
	w.WriteHeader(status)
	if err := page.Execute(w, m); err != nil {
		g.o.Logger.Debug("page not sent", logkey.Err, err)
	}
}

func (g *Gateway) refuseStopping(w http.ResponseWriter) {
	w.Header().Set("Connection", "close")
	g.refuse(w, http.StatusServiceUnavailable, message{Heading: "This server is being restarted", Text: "Your desktop goes on.", Retry: true})
}
