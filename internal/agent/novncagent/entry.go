package novncagent

import (
	"cmp"
	"context"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"greenroom/internal/access/connlimit"
	"greenroom/internal/agent/agentapi"
	"greenroom/internal/agent/link"
	"greenroom/internal/agent/novncagent/static"
	"greenroom/internal/dcv"
	"greenroom/internal/logkey"
)

// enteredQuery marks the request that follows a good token: without a session it shows that the cookie was not kept.
const enteredQuery = "entered"

// justNow is how long that request may take.
const justNow = time.Minute

// proofOfSession is what a connection has shown whose browser has a session.
const proofOfSession = "session"

// maxToken bounds what is handed to the verifier.
const maxToken = 512

// home is the desktop for whoever has a session, and the way to one for whoever has a token.
func (s *server) home(w http.ResponseWriter, r *http.Request) {
	if tokens, given := r.URL.Query()["authToken"]; given {
		s.enter(w, r, tokens[0])
		return
	}
	entered := r.URL.RawQuery == enteredQuery
	switch in := s.sessions.of(r); {
	case in && entered:
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	case !in && entered && s.sessions.justAdded():
		s.render(w, http.StatusUnauthorized, "message.html", static.Page{Title: s.title, Role: s.role, ReturnURL: s.returnURL(), Back: true,
			Heading: "Your browser blocks cookies", Message: "The desktop let you in, and your browser did not keep the cookie that shows it. " +
				"Allow cookies for this site in the browser's settings, then go back to the lobby and enter again."})
		return
	case !in:
		s.refuse(w, http.StatusUnauthorized, "This desktop opens from the lobby",
			"This page was opened without a token, and a token is what the lobby gives you. Go there and choose Enter.")
		return
	}
	if n, _ := s.notice.Get(); n.Ending != "" {
		s.refuse(w, http.StatusGone, "This desktop is closing", n.Ending)
		return
	}
	if !static.Built() {
		s.refuse(w, http.StatusInternalServerError, "This build has no desktop page",
			"The page's scripts are not part of this binary. Run make build, and start greenroom again.")
		return
	}
	s.render(w, http.StatusOK, "desktop.html", static.Page{Title: s.title, Role: s.role, ReturnURL: s.returnURL()})
}

// enter checks the token by asking the verifier, exactly as a DCV server does, and makes a session of it. The
// redirect takes the token out of the address bar.
func (s *server) enter(w http.ResponseWriter, r *http.Request, token string) {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || token == "" || len(token) > maxToken {
		s.refuse(w, http.StatusForbidden, "This link does not open the desktop", "The token in the address is not one that greenroom gave out.")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), link.CallTime)
	defer cancel()
	done, err := s.verifies.Take(ctx, connlimit.Network(from.Addr()).String())
	if err != nil {
		s.wait(w, r, "Many are coming at once", "Your token will be checked in a moment.")
		return
	}
	verdict, err := s.verify(ctx, token, from.Addr().Unmap().WithZone("").String())
	done()
	if err != nil {
		s.logger.Warn("token could not be checked", logkey.Err, err)
		s.wait(w, r, "The control plane cannot be reached", "Your token could not be checked just now. The desktop is running, and nothing is lost.")
		return
	}
	id, ok := "", verdict.OK
	if ok {
		links, _ := strconv.Atoi(verdict.Header.Get(agentapi.LinksHeader)) // 0 if it tells none
		id, ok = s.sessions.add(links)
	}
	if !ok {
		s.refuse(w, http.StatusForbidden, "This link does not open the desktop", cmp.Or(verdict.Message, "The token was not accepted."))
		return
	}
	connlimit.Prove(r.Context(), proofOfSession)
	http.SetCookie(w, &http.Cookie{Name: agentapi.SessionCookie, Value: id, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	http.Redirect(w, r, "/?"+enteredQuery, http.StatusSeeOther)
}

// verify asks whether token is good for a participant at client, as a DCV server would.
func (s *server) verify(ctx context.Context, token, client string) (dcv.Verdict, error) {
	e, err := s.control.Facts()
	if err != nil {
		return dcv.Verdict{}, err
	}
	return dcv.Ask(ctx, s.control.HTTP, e.VerifyURL, agentapi.SessionID, token, client)
}

func (s *server) refuse(w http.ResponseWriter, status int, heading, message string) {
	s.render(w, status, "message.html", static.Page{Title: s.title, Role: s.role, Heading: heading, Message: message, ReturnURL: s.returnURL()})
}

// wait is a page that tries again by itself.
func (s *server) wait(w http.ResponseWriter, r *http.Request, heading, message string) {
	w.Header().Set("Retry-After", "2")
	s.render(w, http.StatusServiceUnavailable, "message.html", static.Page{Title: s.title, Role: s.role, Heading: heading,
		Message: message, Retry: r.URL.RequestURI(), ReturnURL: s.returnURL()})
}

func (s *server) render(w http.ResponseWriter, status int, name string, p static.Page) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	if err := static.Pages.ExecuteTemplate(w, name, p); err != nil {
		s.logger.Debug("page not sent", logkey.Err, err)
	}
}

// returnURL is the lobby, if it is known and a web address.
func (s *server) returnURL() string {
	e, err := s.control.Facts()
	if err != nil {
		return ""
	}
	u, err := url.Parse(e.ReturnURL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return ""
	}
	return u.String()
}
