package web

import (
	"fmt"
	"slices"
	"time"

	"greenroom"
)

// browser is one connection to a desktop, for its organiser.
type browser struct {
	ID      string
	Client  string
	Since   time.Time
	What    string // what it does there, if that needs a word
	Closing bool
}

// browsers are the connections to a desktop that is there.
func browsers(d *greenroom.Desktop) []browser {
	var out []browser
	for _, c := range d.Present {
		b := browser{ID: c.ID, Client: c.Client, Since: c.Since, Closing: slices.Contains(d.Closing, c.ID)}
		switch {
		case c.User != "":
			b.What = c.User
		case c.Role == "watch":
			b.What = "watching"
		}
		out = append(out, b)
	}
	return out
}

// browserCount says how many there are, and where from if it is one.
func browserCount(all []browser) string {
	switch len(all) {
	case 0:
		return ""
	case 1:
		return "1 browser: " + all[0].Client
	}
	return fmt.Sprintf("%d browsers", len(all))
}
