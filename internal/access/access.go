// Package access is what the listeners for desktops share: their counts, how a desktop is told whom a connection is for, and how
// sessions are given time to end.
package access

import (
	"context"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/pires/go-proxyproto"

	"greenroom/internal/access/connlimit"
)

// Reason says why a connection or a request was refused.
type Reason int

// The reasons.
const (
	Unreadable  Reason = iota // nothing, too much, or no TLS came in time
	Unknown                   // no server name, or one that no desktop has
	Unproved                  // no cookie, and no good token
	Unreachable               // the desktop did not accept, or not with its key
	reasons
)

// names are those of the reasons, as metrics show them.
var names = [reasons]string{"unreadable", "unknown_name", "no_credential", "desktop_unreachable"}

// Counts of a listener. The zero value is ready.
type Counts struct {
	passed  atomic.Int64
	refused [reasons]atomic.Int64
}

// Pass counts what was passed on to a desktop.
func (c *Counts) Pass() { c.passed.Add(1) }

// Refuse counts what was refused.
func (c *Counts) Refuse(why Reason) { c.refused[why].Add(1) }

// Stats of a listener for desktops. What is not open now is counted since the start.
type Stats struct {
	Open     int              // connections
	Proved   int              // of them: with a right credential shown, or kept by their desktop
	Sessions int              // under way
	Passed   int64            // connections or requests to a desktop
	Refused  map[string]int64 // by reason
}

// Stats joins the counts with those of the connections and sessions.
func (c *Counts) Stats(pool *connlimit.Pool, sessions *Sessions) Stats {
	open := pool.Stats()
	s := Stats{Open: open.Open, Proved: open.Proved, Sessions: sessions.Open(), Passed: c.passed.Load(), Refused: map[string]int64{
		"no_room": open.Refused, "made_way": open.Evicted,
	}}
	for r, name := range names {
		s.Refused[name] = c.refused[r].Load()
	}
	return s
}

// Header says on whose behalf a connection to a desktop is made: a PROXY header of version 2.
func Header(client, local net.Addr) ([]byte, error) {
	return proxyproto.HeaderProxyFromAddrs(2, client, local).Format()
}

// Sessions are what is given time to end when a listener stops. The zero value is ready.
type Sessions struct {
	mu       sync.Mutex
	stopping bool
	open     int
	all      sync.WaitGroup // none is added once stopping
}

// Enter counts one more, unless the listener is stopping.
func (s *Sessions) Enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return false
	}
	s.open++
	s.all.Add(1)
	return true
}

// Leave counts one fewer.
func (s *Sessions) Leave() {
	s.mu.Lock()
	s.open--
	s.mu.Unlock()
	s.all.Done()
}

// Open is how many there are.
func (s *Sessions) Open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open
}

// Stopping reports whether no more may enter.
func (s *Sessions) Stopping() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopping
}

// Stop lets no more enter.
func (s *Sessions) Stop() {
	s.mu.Lock()
	s.stopping = true
	s.mu.Unlock()
}

// Drain lets no more enter, gives those that are open the time to end, cuts them then, and returns when all have left.
func (s *Sessions) Drain(d time.Duration, cut context.CancelFunc) {
	s.Stop()
	end := time.AfterFunc(d, cut)
	defer end.Stop()
	s.all.Wait()
}

// Sentence gives a verdict's words the form of one.
func Sentence(words string) string {
	if words == "" {
		return "The token was not accepted."
	}
	first, size := utf8.DecodeRuneInString(words)
	return string(unicode.ToUpper(first)) + strings.TrimSuffix(words[size:], ".") + "."
}
