package novncagent

import (
	"net/http"
	"sync"
	"time"

	"greenroom"
	"greenroom/internal/access/connlimit"
	"greenroom/internal/agent/agentapi"
)

// session is a browser that came in with a good token.
type session struct {
	used  time.Time     // last
	links int           // as the verdict on its token said, see agentapi.Orders
	ended chan struct{} // closed when it is dropped
}

// sessions are the browsers that came in. They live as long as the desktop, unless the control plane ends them.
type sessions struct {
	mu    sync.Mutex
	byID  map[string]*session
	last  time.Time // when the last one was made
	links int       // sessions made with fewer are over
}

func newSessions() *sessions { return &sessions{byID: map[string]*session{}} }

// justAdded reports whether somebody came in with a good token a moment ago.
func (s *sessions) justAdded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.last.IsZero() && time.Since(s.last) < justNow
}

// add makes a session; when there are too many, the one that was idle longest goes. It is false where the link that the token
// was given for has been replaced since the verdict.
func (s *sessions) add(links int) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if links < s.links {
		return "", false
	}
	if len(s.byID) >= maxSessions {
		oldest := ""
		for id, one := range s.byID {
			if oldest == "" || one.used.Before(s.byID[oldest].used) {
				oldest = id
			}
		}
		s.drop(oldest)
	}
	id := greenroom.NewSecret()
	s.last = time.Now()
	s.byID[id] = &session{used: s.last, links: links, ended: make(chan struct{})}
	return id, true
}

// of reports whether the request is of a session.
func (s *sessions) of(r *http.Request) bool {
	_, ended := s.find(r)
	return ended != nil
}

// find returns the id of the request's session and what is closed when that ends; nil if the request has none. The ids are random
// and long: looking one up tells nothing about the others.
func (s *sessions) find(r *http.Request) (string, <-chan struct{}) {
	cookie, err := r.Cookie(agentapi.SessionCookie)
	if err != nil {
		return "", nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.byID[cookie.Value]
	if one == nil {
		return "", nil
	}
	one.used = time.Now()
	connlimit.Prove(r.Context(), proofOfSession)
	return cookie.Value, one.ended
}

// relinked ends the sessions that were made with fewer links, now and to come.
func (s *sessions) relinked(links int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.links = max(s.links, links)
	for id, one := range s.byID {
		if one.links < s.links {
			s.drop(id)
		}
	}
}

// end ends one session.
func (s *sessions) end(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(id)
}

// drop is end for who holds the lock.
func (s *sessions) drop(id string) {
	if one := s.byID[id]; one != nil {
		delete(s.byID, id)
		close(one.ended)
	}
}
