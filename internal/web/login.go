package web

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"greenroom/internal/httpx"
)

// maxForm bounds every form: the longest legitimate one is a meeting with all its seats.
const maxForm = 256 << 10

type loginPage struct {
	frame
	Next  string
	Wrong bool
}

// signedIn reports whether the request carries an organiser's token.
func (w *Web) signedIn(r *http.Request) bool {
	c, err := r.Cookie(httpx.Cookie)
	if err != nil || w.goodToken == nil {
		return false
	}
	good, err := w.goodToken(r.Context(), c.Value)
	return err == nil && good
}

func (w *Web) showLogin(rw http.ResponseWriter, r *http.Request) error {
	next := localPath(r.URL.Query().Get("next"))
	if partial(r) { // a page that was open when its right to be ended: it asks as a whole, and is sent here
		rw.Header().Set("HX-Refresh", "true")
		rw.WriteHeader(http.StatusUnauthorized)
		return nil
	}
	if w.goodToken == nil || w.signedIn(r) {
		http.Redirect(rw, r, next, http.StatusSeeOther)
		return nil
	}
	return w.view.write(rw, r, http.StatusOK, "login", newLoginPage(next, false, time.Now()))
}

func (w *Web) login(rw http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(rw, r.Body, maxForm)
	next, token := localPath(r.PostFormValue("next")), strings.TrimSpace(r.PostFormValue("token"))
	good := true
	if w.goodToken != nil {
		var err error
		if good, err = w.goodToken(r.Context(), token); err != nil {
			return err
		}
	}
	if !good {
		if w.wrong != nil {
			if wait := w.wrong(r); wait > 0 {
				p := httpx.TooManyRequests.Problem("Too many wrong tokens came from your address, and this one is wrong, too.")
				p.RetryAfter = wait
				return p
			}
		}
		return w.view.write(rw, r, http.StatusForbidden, "login", newLoginPage(next, true, time.Now()))
	}
	http.SetCookie(rw, w.cookie(httpx.Cookie, token, "/", 30*24*time.Hour))
	http.Redirect(rw, r, next, http.StatusSeeOther)
	return nil
}

func (w *Web) logout(rw http.ResponseWriter, r *http.Request) error {
	http.SetCookie(rw, w.cookie(httpx.Cookie, "", "/", -time.Second))
	http.Redirect(rw, r, "/login", http.StatusSeeOther)
	return nil
}

func newLoginPage(next string, wrong bool, now time.Time) loginPage {
	return loginPage{frame: frame{Title: "Sign in", Now: now, Bare: true}, Next: next, Wrong: wrong}
}

// cookie is one that scripts cannot read and other sites cannot send along with a form. Lax and not Strict,
// so that a link in an e-mail leads in.
func (w *Web) cookie(name, value, path string, life time.Duration) *http.Cookie {
	return &http.Cookie{
		Name: name, Value: value, Path: path, MaxAge: int(life / time.Second),
		HttpOnly: true, Secure: w.secure, SameSite: http.SameSiteLaxMode,
	}
}

// localPath is p if it is a path on this server, and "/" otherwise: a sign-in must not send people elsewhere.
func localPath(p string) string {
	u, err := url.Parse(p)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(p, "/") || strings.HasPrefix(p, "//") || strings.ContainsAny(p, "\\\r\n\t") {
		return "/"
	}
	return p
}
