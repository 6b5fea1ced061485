package web

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"greenroom"
	"greenroom/internal/httpx"
	"greenroom/internal/logkey"
)

// methodError is a call of a page that exists, by a method that it does not have.
type methodError struct{ allow []string }

func (e *methodError) Error() string { return "method not allowed" }

// errorPage says what happened and what the reader can do.
type errorPage struct {
	frame
	Status  int
	Heading string
	Text    string
	Hint    string
	Home    bool // offer the way to the organiser's pages
}

// page is a handler whose errors become pages. It is the edge: what is nobody's fault but ours is logged here.
func (w *Web) page(h func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		err := h(rw, r)
		if err == nil {
			return
		}
		p := explain(err)
		if strings.HasPrefix(r.URL.Path, "/join/") {
			p = explainJoin(err, p)
		}
		p.Now, p.SignedIn = time.Now(), w.signedIn(r)
		if p.Status == http.StatusInternalServerError && errors.Is(r.Context().Err(), context.Canceled) {
			rw.WriteHeader(httpx.ClientGone.Status)
			return
		}
		if p.Status >= 500 && r.Context().Err() == nil {
			// The path and never the query: join keys live there.
			w.log.ErrorContext(r.Context(), "page failed", logkey.Method, r.Method, logkey.Path, r.URL.Path, logkey.Err, err)
		}
		if me, ok := errors.AsType[*methodError](err); ok {
			rw.Header().Set("Allow", strings.Join(me.allow, ", "))
		}
		if problem, ok := errors.AsType[*httpx.Problem](err); ok && problem.RetryAfter > 0 {
			rw.Header().Set("Retry-After", httpx.Seconds(problem.RetryAfter))
		}
		if err := w.view.write(rw, r, p.Status, "error", p); err != nil {
			w.log.ErrorContext(r.Context(), "error page failed", logkey.Err, err)
			http.Error(rw, p.Heading, p.Status)
		}
	})
}

// explain chooses the page for an error.
func explain(err error) errorPage {
	p := errorPage{Home: true}
	switch _, isMethod := errors.AsType[*methodError](err); {
	case isMethod:
		p.Status, p.Heading = http.StatusMethodNotAllowed, "That does not work here"
		p.Text = "This page does not accept this kind of request."
		p.Hint = "Go back and use the buttons of the page."
	case errors.Is(err, greenroom.ErrNotFound):
		p.Status, p.Heading = http.StatusNotFound, "There is nothing here"
		p.Text = "No page or meeting has this address."
		p.Hint = "Check the link for a missing letter, or find the meeting in the list."
	case errors.Is(err, greenroom.ErrForbidden):
		p.Status, p.Heading = http.StatusForbidden, "You may not see this"
		p.Text = greenroom.Sentence(err, "You may not see this.")
		p.Hint = "Sign in with an organiser's token and try again."
	case errors.Is(err, greenroom.ErrEnded):
		p.Status, p.Heading = http.StatusGone, "This meeting is over"
		p.Text = greenroom.Sentence(err, "The meeting has ended, so nothing about it can change any more.")
		p.Hint = "Schedule a new meeting to go on."
	case errors.Is(err, greenroom.ErrConflict):
		p.Status, p.Heading = http.StatusConflict, "The meeting has changed in the meantime"
		p.Text = greenroom.Sentence(err, "Somebody else changed it, or your own click arrived twice. Nothing of this last click was done.")
		p.Hint = "Go back, look at how the meeting stands now, and try again."
	case errors.Is(err, greenroom.ErrThrottled):
		p.Status, p.Heading = http.StatusTooManyRequests, "Too many tries"
		p.Text = greenroom.Sentence(err, "There were too many requests from your address.")
		p.Hint = "Wait a minute, then try again."
		if problem, ok := errors.AsType[*httpx.Problem](err); ok {
			p.Text = problem.Detail
		}
	default:
		p.Status, p.Heading = http.StatusInternalServerError, "Internal error"
		p.Text = greenroom.Sentence(err, "Something failed on our side. Meetings that were scheduled go on as planned.")
		p.Hint = "Try again in a moment. If it stays, tell whoever runs this greenroom."
		if ie, ok := errors.AsType[*greenroom.InvalidError](err); ok {
			p.Status, p.Heading = http.StatusUnprocessableEntity, "That cannot be done"
			p.Text, p.Hint = faultSentence(ie), "Go back and change it."
		}
	}
	p.Title = p.Heading
	return p
}

// explainJoin is explain for participants: they have a link and an organiser to ask, and no list of meetings.
func explainJoin(err error, p errorPage) errorPage {
	p.Home, p.Bare = false, true
	switch {
	case errors.Is(err, errNoKey):
		p.Heading = "This address has no key"
		p.Text = errNoKey.Message + " Blocked cookies are the usual reason."
		p.Hint = "Open the link from your invitation again, complete."
	case errors.Is(err, greenroom.ErrForbidden):
		p.Heading = "This link is not valid"
		p.Text = "The key in the link is missing, incomplete, or has been replaced by a new one."
		p.Hint = "Open the link from your invitation again, complete. If it still fails, ask the organiser for a new link."
	case errors.Is(err, greenroom.ErrNotFound):
		p.Heading = "No such meeting"
		p.Text = "This link names no meeting or no seat that we know."
		p.Hint = "Check the link for a missing letter, or ask the organiser for it again."
	case errors.Is(err, greenroom.ErrEnded):
		p.Text = greenroom.Sentence(err, "The meeting has ended and its desktops are gone.")
		p.Hint = "If you did not expect this, ask the organiser."
	}
	p.Title = p.Heading
	return p
}

func faultSentence(e *greenroom.InvalidError) string {
	parts := make([]string, len(e.Fields))
	for i, f := range e.Fields {
		parts[i] = f.Message
	}
	return strings.Join(parts, "; ") + "."
}

// unknown answers what no pattern of the mux matches. Since it matches everything itself, it asks the mux
// about the other methods to tell a wrong method from a wrong address.
func unknown(mux *http.ServeMux) func(http.ResponseWriter, *http.Request) error {
	return func(_ http.ResponseWriter, r *http.Request) error {
		var allow []string
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
			other := r.Clone(r.Context())
			other.Method = method
			if _, pattern := mux.Handler(other); pattern != "/" {
				allow = append(allow, method)
			}
		}
		if len(allow) == 0 || slices.Contains(allow, r.Method) {
			return greenroom.ErrNotFound
		}
		return &methodError{allow: allow}
	}
}
