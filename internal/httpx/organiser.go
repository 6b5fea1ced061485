package httpx

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"greenroom"
	"greenroom/internal/access/connlimit"
	"greenroom/internal/caller"
)

// Cookie holds the API token of an organiser who signed in on a page.
const Cookie = "greenroom_token"

// LoginPath is the page where organisers sign in.
const LoginPath = "/login"

// Organiser closes the organiser's routes to everybody who has no API token.
type Organiser struct {
	hashes func(ctx context.Context) ([]string, error)
	wrong  *Guesses
}

// NewOrganiser accepts the tokens with the hashes that hashes returns, as made by greenroom.HashSecret. It is asked each time:
// they may be kept where they can change, and where reading them may fail.
func NewOrganiser(hashes func(ctx context.Context) ([]string, error)) *Organiser {
	return &Organiser{hashes: hashes, wrong: NewGuesses(6*time.Second, 10)}
}

// Good reports whether token is an organiser's. Every hash is compared, in constant time.
func (o *Organiser) Good(ctx context.Context, token string) (bool, error) {
	hashes, err := o.hashes(ctx)
	if err != nil {
		return false, fmt.Errorf("read the organisers' tokens: %w", err)
	}
	hash, good := greenroom.HashSecret(token), false
	for _, known := range hashes {
		good = greenroom.SameSecret(known, hash) || good
	}
	return good && token != "", nil
}

// Immediate lets nothing wait: for functions, whose time costs money.
func (o *Organiser) Immediate() { o.wrong.Hold = 0 }

// check judges the token of a call. A right one is never refused; ten wrong ones a minute of a client are told that they are
// wrong, and more of them are delayed.
func (o *Organiser) check(r *http.Request, token string) error {
	good, err := o.Good(r.Context(), token)
	if err != nil {
		return err
	}
	if good {
		connlimit.Prove(r.Context(), greenroom.HashSecret(token))
		return nil
	}
	if wait := o.Wrong(r); wait > 0 {
		p := TooManyRequests.Problem("Too many wrong tokens came from your address, and this one is wrong, too. Make one with: greenroom token")
		p.RetryAfter = wait
		return p
	}
	return Unauthorised.Problem("The token is not valid. Make one with: greenroom token")
}

// Wrong counts a wrong token of the client, on the sign-in page as well, and delays who shows many: then it returns after how long
// another try makes sense.
func (o *Organiser) Wrong(r *http.Request) time.Duration {
	return o.wrong.Wrong(r.Context(), ClientKey(r), "")
}

// Require lets through what needs no organiser, and callers that have a token as bearer or cookie. Others
// are sent to the sign-in page if they asked for a page, and get a 401 if not.
func (o *Organiser) Require(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if open(r.URL.Path) {
			name(r, visitor(r))
			next.ServeHTTP(w, r)
			return
		}
		if DesktopToken(r) != "" && r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/session-data") {
			name(r, caller.Desktop)
			next.ServeHTTP(w, r)
			return
		}
		token := tokenOf(r)
		err := error(Unauthorised.Problem("Organisers' calls need an API token: Authorization: Bearer TOKEN. Make one with: greenroom token"))
		if token != "" {
			err = o.check(r, token)
		}
		switch {
		case err == nil:
			name(r, caller.Organiser(greenroom.HashSecret(token)))
			next.ServeHTTP(w, r)
		case wantsPage(r):
			w.Header().Set("Cache-Control", "no-store")
			http.Redirect(w, r, LoginPath+"?next="+url.QueryEscape(r.URL.RequestURI()), http.StatusSeeOther)
		default:
			ProblemOf(err).Write(w)
		}
	})
}

// open reports whether a path needs no organiser: it is the participants', with a key of their own, the
// desktops', with a secret of their own, or shows nothing of meetings ("/check/" is the lobby's look at the browser).
func open(path string) bool {
	if strings.Contains(path, "..") { // it may lead out of where it seems to be
		return false
	}
	switch path {
	case "/healthz", "/readyz", "/ca.pem", "/favicon.ico", LoginPath, "/logout":
		return true
	}
	for _, prefix := range []string{"/join/", "/api/v1/join/", "/agent/", "/dcv/", "/static/", "/check/", "/d/"} {
		if strings.HasPrefix(path, prefix) {
			return true
		}
	}
	return false
}

func tokenOf(r *http.Request) string {
	if bearer := Bearer(r); bearer != "" {
		return bearer
	}
	if c, err := r.Cookie(Cookie); err == nil {
		return c.Value
	}
	return ""
}

// DesktopToken is the request's bearer token if it has the form of a desktop's, which names its seat before a
// full stop; organisers' tokens have none. Whether it is good is for the desktop's calls to judge.
func DesktopToken(r *http.Request) string {
	if token := Bearer(r); strings.Contains(token, ".") {
		return token
	}
	return ""
}

// Bearer is the request's bearer token, "" if there is none.
func Bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

func wantsPage(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.Contains(r.Header.Get("Accept"), "text/html") && !strings.HasPrefix(r.URL.Path, "/api/")
}
