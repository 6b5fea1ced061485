package server

import (
	"html/template"
	"net/http"
)

// trusting says how a computer comes to trust the pages' own authority. It is plain HTTP's only page, without anything from elsewhere.
var trusting = template.Must(template.New("").Parse(`<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Trust this greenroom</title></head>
<body>
<h1>Trust this greenroom</h1>
<p>This server signs its certificate itself. Until your computer trusts it, browsers warn before they open <a href="{{.}}">{{.}}</a>.</p>
<ol>
<li>Download <a href="/ca.pem">ca.pem</a>. Ask whoever runs this server for its fingerprint if others could tamper with this network.</li>
<li>Windows: open the file and install it for "Trusted Root Certification Authorities".
macOS: open it in Keychain Access and set it to "Always Trust".
Android and iOS: open it and install it as an authority, then switch it on in the settings of certificates.
Firefox: Settings, Certificates, Authorities, Import, "Trust this CA to identify websites".
Linux: copy it to /usr/local/share/ca-certificates/greenroom.crt and run update-ca-certificates.</li>
<li>Open <a href="{{.}}">{{.}}</a>.</li>
</ol>
<p>The authority can sign for this server's own names and addresses only.</p>
</body>
</html>
`))

func trustPage(w http.ResponseWriter, public string) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	_ = trusting.Execute(w, public) // the client has gone if this fails
}
