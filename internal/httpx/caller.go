package httpx

import (
	"net/http"
	"strings"
	"time"

	"greenroom/internal/caller"
)

// Answer is how one request was answered.
type Answer struct {
	Route  string // pattern with its method, such as "GET /api/v1/meetings/{id}"; empty: none was reached
	Status int
	Took   time.Duration
	Stream bool // it went on as long as the client listened
}

// called returns r with its caller in the context. Whoever has put one there before gets it completed.
func called(r *http.Request) (*http.Request, *caller.Caller) {
	c := caller.In(r.Context())
	if c == nil {
		c = &caller.Caller{}
		r = r.WithContext(caller.With(r.Context(), c))
	}
	c.Address = ClientAddr(r)
	return r, c
}

// routed notes the pattern of the route that answers.
func routed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if c := caller.In(r.Context()); c != nil {
				c.Route = r.Pattern
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// onLoopback names callers where everybody who comes is the organiser.
func onLoopback(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		by := caller.Loopback
		if open(r.URL.Path) {
			by = visitor(r)
		}
		if DesktopToken(r) != "" {
			by = caller.Desktop
		}
		name(r, by)
		next.ServeHTTP(w, r)
	})
}

// name says who the caller of r is.
func name(r *http.Request, by string) {
	if c := caller.In(r.Context()); c != nil {
		c.By = by
	}
}

// visitor is who calls a route that is open to those who are no organisers.
func visitor(r *http.Request) string {
	for _, prefix := range []string{"/agent/", "/dcv/"} {
		if strings.HasPrefix(r.URL.Path, prefix) {
			return caller.Desktop
		}
	}
	for _, prefix := range []string{"/join/", "/api/v1/join/", "/check/", "/d/"} {
		if strings.HasPrefix(r.URL.Path, prefix) {
			return caller.Participant
		}
	}
	return caller.Public
}

// stream reports whether the answer is a stream of server-sent events or a connection of another protocol.
func (w *statusWriter) stream() bool {
	return w.status == http.StatusSwitchingProtocols || strings.HasPrefix(w.Header().Get("Content-Type"), "text/event-stream")
}
