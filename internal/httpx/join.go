package httpx

import (
	"errors"
	"net/http"
	"time"

	"greenroom"
)

// JoinRates bound how often participants may ask.
type JoinRates struct {
	Every      time.Duration // one entry per link and client, on average
	Burst      int
	WrongEvery time.Duration // one wrong link per client, on average
	WrongBurst int
}

// DefaultJoinRates let a lobby ask many times a second, and a class behind one address mistype now and then.
func DefaultJoinRates() JoinRates {
	return JoinRates{Every: time.Second / 20, Burst: 40, WrongEvery: 2 * time.Second, WrongBurst: 30}
}

// JoinLimits bound guesses per client, and entries per link that is known to be right, whether they come to the page or to the
// API: both share one. To look with a right link is as cheap as to be refused, and is not bounded. A class behind one address is
// not locked out by one who mistypes: links that were right before stay open, and a guesser who used up the guesses learns
// nothing, since no further link is even looked at.
type JoinLimits struct{ right, wrong *Limiter }

// NewJoinLimits makes the limits of one server.
func NewJoinLimits(r JoinRates) *JoinLimits {
	return &JoinLimits{right: NewLimiter(r.Every, r.Burst), wrong: NewLimiter(r.WrongEvery, r.WrongBurst)}
}

// Ask calls ask, which looks at the link or enters by it, if the limits allow it, and charges what came of it. Otherwise it
// returns ErrThrottled and after how long the next try makes sense.
func (l *JoinLimits) Ask(r *http.Request, meeting, role, key string, ask func() error) (wait time.Duration, err error) {
	client := ClientKey(r)
	link := meeting + "/" + role + "/" + key + "@" + client
	if wait, ok := l.before(link, client, r.Method); !ok {
		return max(wait, time.Second), greenroom.ErrThrottled
	}
	err = ask()
	l.after(link, client, r.Method, err)
	return 0, err
}

// before reports whether the call may be made, and if not, how long to wait.
func (l *JoinLimits) before(link, client, method string) (time.Duration, bool) {
	limiter, key := l.wrong, client
	if l.right.Known(link) {
		if method == http.MethodGet {
			return 0, true
		}
		limiter, key = l.right, link
	}
	wait, spent := limiter.Spent(key)
	return wait, !spent
}

// after charges an entry to the link if it was right, and any call to the client if it was not.
func (l *JoinLimits) after(link, client, method string, err error) {
	if errors.Is(err, greenroom.ErrForbidden) || errors.Is(err, greenroom.ErrNotFound) {
		l.wrong.Allow(client)
		return
	}
	if method != http.MethodGet || !l.right.Known(link) {
		l.right.Allow(link)
	}
}
