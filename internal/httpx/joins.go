package httpx

import (
	"errors"
	"net/http"
	"time"

	"greenroom"
	"greenroom/internal/access/connlimit"
)

// Bounds of entries under way, each of which writes to the store.
const (
	entriesAtOnce  = 16
	entriesWaiting = 1024
)

// Joins is in front of join links, on the pages and in the API alike. A link is looked at first: a right one is never refused
// because others guess. Entries with right links take turns by link.
type Joins struct {
	wrong   *Guesses
	entries *connlimit.Turns
}

// NewJoins lets a class behind one address mistype now and then.
func NewJoins() *Joins {
	return &Joins{wrong: NewGuesses(2*time.Second, 30), entries: connlimit.NewTurns(entriesAtOnce, entriesWaiting)}
}

// Immediate lets nothing wait: for functions, whose time costs money.
func (j *Joins) Immediate() { j.wrong.Hold = 0 }

// Ask asks about a seat, named by meeting and role, and counts a wrong link. Its error is ask's, or a Problem when the client or
// others guessed too often at this seat.
func (j *Joins) Ask(r *http.Request, meeting, role string, ask func() error) error {
	err := ask()
	switch {
	case errors.Is(err, greenroom.ErrForbidden), errors.Is(err, greenroom.ErrNotFound):
		if wait := j.wrong.Wrong(r.Context(), ClientKey(r), meeting+"/"+role); wait > 0 {
			p := TooManyRequests.Problem("Too many wrong links came from your address, or for this seat. The one you used is wrong, too: ask the organiser for your own link.")
			p.RetryAfter = wait
			return p
		}
	case err == nil:
		connlimit.Prove(r.Context(), meeting+"/"+role)
	}
	return err
}

// Enter is Ask for what writes. Whoever sends a link many times waits for the own turns.
func (j *Joins) Enter(r *http.Request, meeting, role, key string, ask func() error) error {
	return j.Ask(r, meeting, role, func() error {
		done, err := j.entries.Take(r.Context(), meeting+"/"+role+"/"+greenroom.HashSecret(key))
		if errors.Is(err, connlimit.ErrCrowded) {
			p := TooManyRequests.Problem("This link is being used too often at once. Wait a moment and try again.")
			p.RetryAfter = time.Second
			return p
		}
		if err != nil {
			return err
		}
		defer done()
		return ask()
	})
}
