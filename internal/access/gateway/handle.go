package gateway

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"greenroom"
	"greenroom/internal/access"
	"greenroom/internal/access/connlimit"
	"greenroom/internal/httpx"
	"greenroom/internal/logkey"
	"greenroom/internal/meetings"
)

// cookieOfPass holds the pass to one desktop. The prefix makes browsers insist on Secure, Path=/ and this very host:
// no desktop can set it for another, or for itself.
const cookieOfPass = "__Host-greenroom-edge"

// ServeHTTP decides who may ask which desktop for what.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if g.sockets.Stopping() {
		g.refuseStopping(w)
		return
	}
	host, ok := g.hostname(r)
	switch {
	case !ok:
		g.refuse(w, http.StatusMisdirectedRequest, message{Heading: "There is no such desktop here", Text: "Desktops are reached under their own names, through the link in the lobby."})
		return
	case r.Method == http.MethodConnect || r.Method == http.MethodTrace || r.URL.Path == "" || r.URL.Path[0] != '/':
		g.refuse(w, http.StatusMethodNotAllowed, message{Heading: "A desktop does not do that", Text: "Only requests for its pages are passed on."})
		return
	}
	way, err := g.o.Desktops.Way(r.Context(), host)
	switch {
	case errors.Is(err, greenroom.ErrNotFound) || err == nil && !way.Open && !way.Proving:
		g.refuse(w, http.StatusNotFound, message{Heading: "This desktop is gone", Text: "Its meeting has ended, or another desktop has taken its place. Go back to the lobby, or ask the organiser for your link.", Way: way})
	case err != nil:
		g.o.Logger.WarnContext(r.Context(), "desktop could not be looked up", logkey.Name, host, logkey.Err, err)
		g.refuse(w, http.StatusServiceUnavailable, message{Heading: "Your desktop cannot be found just now", Text: "It is running, and nothing is lost.", Retry: true})
	case isLook(r):
		g.pass(w, r, way)
	case !way.Open:
		g.refuse(w, http.StatusServiceUnavailable, message{Heading: "This desktop is not ready yet", Text: "It is being checked from outside, so that you get in at the first try.", Way: way, Retry: true})
	default:
		g.serve(w, r, way)
	}
}

// serve is ServeHTTP for a desktop that participants may be in.
func (g *Gateway) serve(w http.ResponseWriter, r *http.Request, way meetings.Way) {
	if why := foreign(r); why != "" {
		g.counts.Refuse(access.Unproved)
		http.Error(w, why, http.StatusForbidden)
		return
	}
	if tokens, given := r.URL.Query()["authToken"]; given && r.Method == http.MethodGet && r.Header.Get("Upgrade") == "" {
		if g.admit(w, r, way, tokens[0]) {
			g.pass(w, r, way)
		}
		return
	}
	if !g.holds(r, way) {
		g.counts.Refuse(access.Unproved)
		if r.URL.Path == "/" && r.URL.RawQuery == enteredQuery {
			g.refuse(w, http.StatusForbidden, message{Heading: "Your browser blocks cookies", Way: way,
				Text: "The desktop let you in, and your browser did not keep the cookie that shows it. Allow cookies for this site in the browser's settings, then go back to the lobby and enter again."})
			return
		}
		g.refuse(w, http.StatusForbidden, message{Heading: "This desktop opens from the lobby", Way: way,
			Text: "The address of a desktop lets nobody in by itself: the lobby gives you a way in that is yours alone. Go there and choose Enter."})
		return
	}
	g.pass(w, r, way)
}

// admit checks a token. The browser is given a pass for a good one, beside whatever the desktop answers: the token goes
// on to it, because the desktop asks about it too and takes it out of the address, or, being a DCV server, needs it there.
func (g *Gateway) admit(w http.ResponseWriter, r *http.Request, way meetings.Way, token string) bool {
	client := httpx.ClientAddr(r)
	if token == "" || len(token) > maxToken {
		g.refuseToken(w, r, way, "The token in the address is not one that greenroom gave out.")
		return false
	}
	done, err := g.checks.Take(r.Context(), httpx.ClientKey(r))
	if err != nil {
		g.refuse(w, http.StatusServiceUnavailable, message{Heading: "Many are coming at once", Text: "Your token will be checked in a moment.", Way: way, Retry: true})
		return false
	}
	verdict, pass, err := g.o.Desktops.Admit(r.Context(), way.Hostname, token, client)
	done()
	if err != nil {
		g.o.Logger.WarnContext(r.Context(), "token could not be checked", logkey.Name, way.Hostname, logkey.Err, err)
		g.refuse(w, http.StatusServiceUnavailable, message{Heading: "Your token could not be checked", Text: "The desktop is running, and nothing is lost.", Way: way, Retry: true})
		return false
	}
	if !verdict.OK {
		g.refuseToken(w, r, way, access.Sentence(verdict.Message))
		return false
	}
	connlimit.Prove(r.Context(), way.Hostname)
	http.SetCookie(w, &http.Cookie{Name: cookieOfPass, Value: pass, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	return true
}

// enteredQuery marks the request to which a desktop of greenroom's own agent sends a browser that came with a good token.
const enteredQuery = "entered"

// refuseToken says why a token is no good. Who has shown many is told to wait.
func (g *Gateway) refuseToken(w http.ResponseWriter, r *http.Request, way meetings.Way, why string) {
	g.counts.Refuse(access.Unproved)
	status := http.StatusForbidden
	if wait := g.wrong.Wrong(r.Context(), httpx.ClientKey(r), way.Hostname); wait > 0 {
		status = http.StatusTooManyRequests
		w.Header().Set("Retry-After", httpx.Seconds(wait))
	}
	g.refuse(w, status, message{Heading: "This link does not open the desktop", Text: why + freshToken, Way: way})
}

// freshToken is what a person can do whose token is no good.
const freshToken = " The lobby gives you a new one."

// holds reports whether the request has a pass to this desktop.
func (g *Gateway) holds(r *http.Request, way meetings.Way) bool {
	for _, c := range r.CookiesNamed(cookieOfPass) {
		if g.o.Desktops.Holds(way, c.Value) {
			connlimit.Prove(r.Context(), way.Hostname)
			return true
		}
	}
	return false
}

// isLook reports whether the request is the probe's, or anybody's, for the page that says whether the desktop is up.
// It stands open when desktops are reached directly, too.
func isLook(r *http.Request) bool {
	return r.Method == http.MethodGet && r.URL.Path == "/version" && r.URL.RawQuery == "" && r.ContentLength == 0 && r.Header.Get("Upgrade") == ""
}

// foreign says why a request is not of the desktop's own pages, or "". All desktops are one site to a browser, and a
// participant may have put anything on his own: only following a link is free for others.
func foreign(r *http.Request) string {
	origin, upgrade := r.Header.Get("Origin"), r.Header.Get("Upgrade")
	site, mode := r.Header.Get("Sec-Fetch-Site"), r.Header.Get("Sec-Fetch-Mode")
	safe := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case upgrade != "" && (!strings.EqualFold(upgrade, "websocket") || r.Method != http.MethodGet || r.ProtoMajor != 1):
		return "a desktop speaks WebSocket, and nothing else that a connection could be upgraded to"
	case upgrade != "" && origin != "https://"+r.Host, origin != "" && origin != "https://"+r.Host && !safe:
		return "this is for the desktop's own page"
	case site != "" && site != "same-origin" && site != "none" && (mode != "navigate" || !safe):
		return "this is for the desktop's own page"
	}
	return ""
}

// hostname is the desktop's name that the request is for. It may differ from the TLS connection's: browsers use one
// HTTP/2 connection for all names that its certificate is good for.
func (g *Gateway) hostname(r *http.Request) (string, bool) {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return g.below(host)
}

// below returns the name as it is looked up if it is one label below the zone.
func (g *Gateway) below(name string) (string, bool) {
	name = strings.ToLower(name)
	label, ok := strings.CutSuffix(name, "."+g.o.Zone)
	return name, ok && label != "" && !strings.Contains(label, ".")
}

var errSlow = errors.New("the request's body took too long")

// timedBody bounds the time in which a request's body must come. The deadline goes with the body: the answer may be a
// stream that never ends.
type timedBody struct {
	http.ResponseWriter
	body io.ReadCloser
}

func (t *timedBody) Read(p []byte) (int, error) {
	n, err := t.body.Read(p)
	switch {
	case errors.Is(err, io.EOF):
		_ = http.NewResponseController(t.ResponseWriter).SetReadDeadline(time.Time{}) // the connection is broken then
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = errSlow // the deadline stays: the server would wait for the rest of the body otherwise
	}
	return n, err
}

func (t *timedBody) Close() error { return t.body.Close() }
