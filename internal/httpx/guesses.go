package httpx

import (
	"context"
	"time"
)

// Guesses counts wrong credentials, by client and by account, and delays those who show many. A right credential is checked before
// and counts nothing: whoever holds one gets in, whoever else guesses from the same address or at the same account.
type Guesses struct {
	limiter *Limiter
	held    chan struct{} // answers that are being delayed

	// Hold is how long the answer to a guesser is delayed; 0 delays nothing. Beyond a bounded number of delayed answers the others
	// go at once: they are wrong all the same.
	Hold time.Duration
}

// maxHeld bounds what delayed answers cost.
const maxHeld = 128

// NewGuesses allows burst wrong credentials of a client, and for an account, at once, and one more in every interval.
func NewGuesses(every time.Duration, burst int) *Guesses {
	return &Guesses{limiter: NewLimiter(every, burst), held: make(chan struct{}, maxHeld), Hold: 500 * time.Millisecond}
}

// Wrong counts a wrong credential of client for account; an empty account counts for the client alone. Within the limits it returns 0. Beyond, it waits a
// while and returns after how long the next try makes sense: the caller should answer that there were too many.
func (g *Guesses) Wrong(ctx context.Context, client, account string) time.Duration {
	wait, ok := g.limiter.Allow("client " + client)
	if account != "" {
		if w, fine := g.limiter.Allow("account " + account); !fine {
			wait, ok = max(wait, w), false
		}
	}
	if ok {
		return 0
	}
	g.hold(ctx)
	return max(wait, time.Second)
}

func (g *Guesses) hold(ctx context.Context) {
	if g.Hold <= 0 {
		return
	}
	select {
	case g.held <- struct{}{}:
		defer func() { <-g.held }()
	default:
		return
	}
	t := time.NewTimer(g.Hold)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
