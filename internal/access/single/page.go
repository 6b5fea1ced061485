package single

import (
	"bytes"
	"errors"
	"net/http"
	"time"

	"greenroom"
	"greenroom/internal/access"
	"greenroom/internal/access/connlimit"
	"greenroom/internal/agent/novncagent/static"
	"greenroom/internal/httpx"
	"greenroom/internal/logkey"
	"greenroom/internal/meetings"
)

// enteredQuery marks the request that follows a good token: without a pass it shows that the cookie was not kept.
const enteredQuery = "entered"

// home is the desktop's page for whoever has a pass, and the way to one for whoever has a token.
func (h *Handler) home(w http.ResponseWriter, r *http.Request) {
	way, ok := h.find(w, r)
	if !ok {
		return
	}
	if foreign(r) {
		h.refuse(w, r, http.StatusForbidden, way, static.Page{Heading: "This desktop opens from the lobby", Message: "Another site asked for it. Go to the lobby and choose Enter."})
		return
	}
	if tokens, given := r.URL.Query()["authToken"]; given {
		h.admit(w, r, way, tokens[0])
		return
	}
	_, in := h.holds(r, way)
	entered := r.URL.RawQuery == enteredQuery
	switch {
	case !in && entered:
		h.refuse(w, r, http.StatusForbidden, way, static.Page{Back: true, Heading: "Your browser blocks cookies",
			Message: "The desktop let you in, and your browser did not keep the cookie that shows it. Allow cookies for this site in the browser's settings, then go back to the lobby and enter again."})
	case !in:
		h.counts.Refuse(access.Unproved)
		h.refuse(w, r, http.StatusForbidden, way, static.Page{Heading: "This desktop opens from the lobby",
			Message: "The address of a desktop lets nobody in by itself: the lobby gives you a way in that is yours alone. Go there and choose Enter."})
	case entered:
		h.secured(w, way.InstanceID)
		http.Redirect(w, r, Prefix+way.InstanceID+"/", http.StatusSeeOther)
	case !static.Built():
		h.refuse(w, r, http.StatusInternalServerError, way, static.Page{Heading: "This build has no desktop page",
			Message: "The page's scripts are not part of this binary. Run make build, and start greenroom again."})
	default:
		h.render(w, http.StatusOK, way, "desktop.html", static.Page{})
	}
}

// find is the open way that the request's path names. What else is the case is answered.
func (h *Handler) find(w http.ResponseWriter, r *http.Request) (meetings.Way, bool) {
	way, err := h.o.Desktops.WayByInstance(r.Context(), r.PathValue("id"))
	switch {
	case errors.Is(err, greenroom.ErrNotFound), err == nil && !way.Open && !way.Proving:
		h.counts.Refuse(access.Unknown)
		h.refuse(w, r, http.StatusNotFound, way, static.Page{Heading: "This desktop is gone",
			Message: "Its meeting has ended, or another desktop has taken its place. Go back to the lobby, or ask the organiser for your link."})
	case err != nil:
		h.o.Logger.WarnContext(r.Context(), "desktop could not be looked up", logkey.Err, err)
		h.refuse(w, r, http.StatusServiceUnavailable, way, static.Page{Heading: "Your desktop cannot be found just now", Message: "It is running, and nothing is lost.", Retry: "."})
	case !way.Open:
		h.refuse(w, r, http.StatusServiceUnavailable, way, static.Page{Heading: "This desktop is not ready yet", Message: "It is being checked from outside, so that you get in at the first try.", Retry: "."})
	default:
		return way, true
	}
	return way, false
}

// foreign reports whether another site's page made the browser ask, other than by leading there.
func foreign(r *http.Request) bool {
	site, mode := r.Header.Get("Sec-Fetch-Site"), r.Header.Get("Sec-Fetch-Mode")
	return site != "" && site != "same-origin" && site != "none" && mode != "navigate"
}

// admit checks a token. A good one is answered with a pass in a cookie for this desktop alone, and with a redirect that takes the
// token out of the address bar.
func (h *Handler) admit(w http.ResponseWriter, r *http.Request, way meetings.Way, token string) {
	const fresh = " The lobby gives you a new one."
	if token == "" || len(token) > maxToken {
		h.refuseToken(w, r, way, "The token in the address is not one that greenroom gave out."+fresh)
		return
	}
	done, err := h.checks.Take(r.Context(), httpx.ClientKey(r))
	if err != nil {
		h.refuse(w, r, http.StatusServiceUnavailable, way, static.Page{Heading: "Many are coming at once", Message: "Your token will be checked in a moment.", Retry: r.URL.RequestURI()})
		return
	}
	verdict, pass, err := h.o.Desktops.Admit(r.Context(), way.Hostname, token, httpx.ClientAddr(r))
	done()
	switch {
	case err != nil:
		h.o.Logger.WarnContext(r.Context(), "token could not be checked", logkey.Instance, way.InstanceID, logkey.Err, err)
		h.refuse(w, r, http.StatusServiceUnavailable, way, static.Page{Heading: "Your token could not be checked", Message: "The desktop is running, and nothing is lost.", Retry: r.URL.RequestURI()})
	case !verdict.OK:
		h.refuseToken(w, r, way, access.Sentence(verdict.Message)+fresh)
	default:
		connlimit.Prove(r.Context(), way.InstanceID)
		http.SetCookie(w, &http.Cookie{Name: h.cookie, Value: pass, Path: Prefix + way.InstanceID + "/", Secure: h.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode})
		h.secured(w, way.InstanceID)
		http.Redirect(w, r, Prefix+way.InstanceID+"/?"+enteredQuery, http.StatusSeeOther)
	}
}

// refuseToken says why a token is no good. Who has shown many is told to wait.
func (h *Handler) refuseToken(w http.ResponseWriter, r *http.Request, way meetings.Way, why string) {
	h.counts.Refuse(access.Unproved)
	status := http.StatusForbidden
	if wait := h.wrong.Wrong(r.Context(), httpx.ClientKey(r), way.InstanceID); wait > 0 {
		status = http.StatusTooManyRequests
		w.Header().Set("Retry-After", httpx.Seconds(wait))
	}
	h.refuse(w, r, status, way, static.Page{Heading: "This link does not open the desktop", Message: why})
}

// holds returns the request's pass to this desktop, if it has one.
func (h *Handler) holds(r *http.Request, way meetings.Way) (string, bool) {
	for _, c := range r.CookiesNamed(h.cookie) {
		if h.o.Desktops.Holds(way, c.Value) {
			connlimit.Prove(r.Context(), way.InstanceID)
			return c.Value, true
		}
	}
	return "", false
}

// refuse answers with a page that says why, or to a script with the sentence alone.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, status int, way meetings.Way, p static.Page) {
	if p.Retry != "" {
		w.Header().Set("Retry-After", "2")
	}
	if r.Pattern != "GET "+Prefix+"{id}/{$}" {
		h.secured(w, "")
		http.Error(w, p.Heading+": "+p.Message, status)
		return
	}
	h.render(w, status, way, "message.html", p)
}

func (h *Handler) render(w http.ResponseWriter, status int, way meetings.Way, name string, p static.Page) {
	p.Title, p.Role, p.ReturnURL = way.Title, way.Role, way.LobbyURL
	h.secured(w, way.InstanceID)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	if err := static.Pages.ExecuteTemplate(w, name, p); err != nil {
		h.o.Logger.Debug("page not sent", logkey.Err, err)
	}
}

// static serves the page's scripts and styles. They may be of another version after an upgrade: browsers ask each time whether
// what they keep is still good.
func (h *Handler) static(w http.ResponseWriter, r *http.Request) {
	f, ok := h.files[r.PathValue("file")]
	id := r.PathValue("id")
	h.secured(w, "")
	if !ok || !greenroom.ValidInstanceID(id) {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Cache-Control", "private, no-cache")
	w.Header().Set("ETag", f.tag)
	http.ServeContent(w, r, r.PathValue("file"), time.Time{}, bytes.NewReader(f.data))
}
