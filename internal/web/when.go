package web

import (
	"errors"
	"net/http"
	"time"

	"greenroom"
)

// whenHint says what a date, a time and a zone in a form mean.
type whenHint struct {
	At    time.Time
	Fault string
}

// UTC is the instant in the zone that everybody shares.
func (h whenHint) UTC() string { return h.At.UTC().Format("Mon 2 Jan, 15:04 UTC") }

// Hint is what the fields mean as they stand; faults stand beside their fields already.
func (f when) Hint() whenHint {
	at, _, err := resolve(f.StartsAt, f.TimeZone, f.Fold)
	if err != nil {
		return whenHint{}
	}
	return whenHint{At: at}
}

// explainWhen answers the form while it is filled in. The browser could reckon this itself, but its table of
// time zones may be older or newer than the server's, and the server's is the one that counts.
func (w *Web) explainWhen(rw http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	at, _, err := resolve(q.Get("starts_at"), q.Get("time_zone"), q.Get("fold"))
	hint := whenHint{At: at}
	if ie, ok := errors.AsType[*greenroom.InvalidError](err); ok {
		hint.Fault = ie.Fields[0].Message
	}
	return w.view.writeBlock(rw, http.StatusOK, "home", "when", hint)
}
