package httpx

import (
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"greenroom/internal/logkey"
)

// MaxBody bounds what a request may send, in bytes, where a handler sets no lower bound.
const MaxBody = 256 << 10

// csp forbids everything that the pages do not need; scripts and styles come as files of our own only.
const csp = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"font-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// Options of a Guard.
type Options struct {
	Logger    *slog.Logger
	Hosts     *Hosts     // whom requests may be for; required
	Proxies   Proxies    // whose forwarding headers are believed
	Organiser *Organiser // nil: every caller is the organiser (a loopback listener in the default mode)
	// Observe is told of each request when it is answered; nil: nobody is.
	Observe func(Answer)
}

// Guard wraps the whole server. In order: the client's address is found, the request is logged, panics become a 500, security headers are
// set, strange hosts and sites are refused, the body is bounded, and the organiser's routes are closed to others.
func Guard(next http.Handler, o Options) http.Handler {
	next = routed(next)
	if o.Organiser != nil {
		next = o.Organiser.Require(next)
	} else {
		next = onLoopback(next)
	}
	next = sameSite(next)
	next = o.Hosts.Require(next)
	next = bounded(next)
	next = headers(next)
	next = recovered(next, o.Logger)
	next = logged(next, o)
	return o.Proxies.Require(next)
}

func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h["X-Content-Type-Options"] = nosniff
		h["Referrer-Policy"] = noReferrer // join keys are in addresses
		h["Cross-Origin-Resource-Policy"] = sameOrigin
		if !strings.HasPrefix(r.URL.Path, "/api/") { // JSON is no document: these would only be bytes on the busiest answers
			h["Content-Security-Policy"] = cspValue
			h["Cross-Origin-Opener-Policy"] = sameOrigin
		}
		next.ServeHTTP(w, r)
	})
}

// Header values are shared between requests: setting them costs no memory.
var (
	cspValue   = []string{csp}
	nosniff    = []string{"nosniff"}
	noReferrer = []string{"no-referrer"}
	sameOrigin = []string{"same-origin"}
)

// sameSite refuses unsafe requests that another site's page makes a browser send.
func sameSite(next http.Handler) http.Handler {
	check := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if check.Check(r) != nil {
			CrossOrigin.Problem("A page of another site sent this request. Do it from greenroom's own pages, or without a browser.").Write(w)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func bounded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength > MaxBody {
			w.Header().Set("Connection", "close") // the rest of the body is not worth reading
			TooLarge.Problem("The body is larger than anything this server takes.").Write(w)
			return
		}
		if r.Body != nil && r.Body != http.NoBody {
			r.Body = http.MaxBytesReader(w, r.Body, MaxBody)
		}
		next.ServeHTTP(w, r)
	})
}

func recovered(next http.Handler, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(v)
			}
			log.ErrorContext(r.Context(), "request panicked", logkey.Method, r.Method, logkey.Path, Path(r), logkey.Panic, v, logkey.Stack, string(debug.Stack()))
			if sw, ok := w.(*statusWriter); ok && sw.status != 0 {
				panic(http.ErrAbortHandler) // half an answer is out: cut it off, or it would look whole
			}
			ProblemOf(errors.New("panic")).Write(w)
		}()
		next.ServeHTTP(w, r)
	})
}

// logged tells of every request: what only reads, and what machines say, at level debug when it goes well, and
// everything else at info.
func logged(next http.Handler, o Options) http.Handler {
	log := o.Logger
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		r, c := called(r)
		sw := &statusWriter{ResponseWriter: w}
		defer func() {
			took := time.Since(began)
			c.Status = sw.status
			if o.Observe != nil {
				o.Observe(Answer{Route: c.Route, Status: sw.status, Took: took, Stream: sw.stream()})
			}
			level := slog.LevelInfo
			if sw.status == ClientGone.Status || sw.status < http.StatusBadRequest && (r.Method == http.MethodGet || r.Method == http.MethodHead || strings.HasPrefix(r.URL.Path, "/agent/")) {
				level = slog.LevelDebug
			}
			if log.Enabled(r.Context(), level) {
				log.LogAttrs(r.Context(), level, "request", slog.String(logkey.Method, r.Method), slog.String(logkey.Path, Path(r)),
					slog.Int(logkey.Status, sw.status), slog.Duration(logkey.Duration, took), slog.String(logkey.By, c.By), slog.String(logkey.Client, c.Address))
			}
		}()
		next.ServeHTTP(sw, r)
	})
}

// statusWriter remembers the status. http.ResponseController reaches what it wraps.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
