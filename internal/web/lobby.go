package web

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"greenroom"
	"greenroom/internal/httpx"
	"greenroom/internal/meetings"
)

// seatCookie remembers a seat's key for its own lobby only, so that a desktop can send its person back to
// the lobby without the key in an address.
const seatCookie = "greenroom_seat"

// lobbyPage is where a participant waits.
type lobbyPage struct {
	frame
	Meeting  string
	Heading  string
	Seat     string // its id
	Role     string
	Name     string
	Key      string
	State    pill
	StartsAt time.Time
	EndsAt   time.Time
	OpensAt  time.Time
	TimeZone string
	ZoneHint string
	Headline string // what is going on, in a few words
	Message  string // and in a sentence, with what to do
	Stages   []stage
	Estimate time.Duration
	RetryIn  time.Duration
	VideoURL string
	CanEnter bool
	Wanted   bool
	Failing  bool
	Over     bool
	Early    bool // the desktop is not started yet
	Auto     bool // enter without a click as soon as that is possible
	Plain    bool // no socket can be held open: the connection is checked by requests
}

// errNoKey is for who comes without a key: the address was shortened, or the browser keeps no cookies.
var errNoKey = &greenroom.UserError{Message: "The address has no key, and your browser has not kept the one of your link.", Cause: greenroom.ErrForbidden}

// lobby shows the state of a seat. It changes nothing: programs that preview links fetch links.
func (w *Web) lobby(rw http.ResponseWriter, r *http.Request) error {
	id, seat := r.PathValue("id"), r.PathValue("seat")
	key, fromLink := seatKey(r)
	if key == "" {
		return errNoKey
	}
	var st meetings.Standing
	err := w.joins.Ask(r, id, seat, func() (err error) {
		st, err = w.service.Standing(r.Context(), id, seat, key)
		return err
	})
	if err != nil && (!errors.Is(err, greenroom.ErrEnded) || st.Meeting == "") {
		return err
	}
	now := time.Now()
	p := newLobbyPage(st, key, now)
	p.Plain = w.hub == nil
	p.Auto = fromLink && r.URL.Query().Get("back") == ""
	if fromLink {
		life := max(24*time.Hour, st.EndsAt.Add(24*time.Hour).Sub(now))
		http.SetCookie(rw, w.cookie(seatCookie, key, r.URL.Path, life))
	}
	status := http.StatusOK
	if p.Over {
		status = http.StatusGone
	}
	return w.view.write(rw, r, status, "lobby", p)
}

// seatKey is the key in the link, or else the one remembered; the second result tells which.
func seatKey(r *http.Request) (string, bool) {
	if key := r.URL.Query().Get("key"); key != "" {
		return key, true
	}
	if c, err := r.Cookie(seatCookie); err == nil {
		return c.Value, false
	}
	return "", false
}

// enter is the way in for browsers without scripts; the lobby's script uses the JSON API. A redirect would
// be stopped by the page's own policy, which lets forms lead to this server only; hence a page with the link.
func (w *Web) enter(rw http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(rw, r.Body, maxForm)
	id, seat, key := r.PathValue("id"), r.PathValue("seat"), r.PostFormValue("key")
	var st meetings.Standing
	err := w.joins.Enter(r, id, seat, key, func() (err error) {
		st, err = w.service.Enter(r.Context(), id, seat, key, httpx.ClientAddr(r))
		return err
	})
	if err != nil {
		return err
	}
	if !strings.HasPrefix(st.URL, "https://") && !strings.HasPrefix(st.URL, "http://") {
		http.SetCookie(rw, w.cookie(seatCookie, key, r.URL.Path, 24*time.Hour))
		http.Redirect(rw, r, r.URL.Path, http.StatusSeeOther)
		return nil
	}
	return w.view.write(rw, r, http.StatusOK, "enter", enterPage{
		frame: frame{Title: "Your desktop is ready", Now: time.Now(), Bare: true}, URL: st.URL,
	})
}

// enterPage leads on to the desktop.
type enterPage struct {
	frame
	URL string
}

func newLobbyPage(st meetings.Standing, key string, now time.Time) lobbyPage {
	p := lobbyPage{
		frame:   frame{Title: st.Title, Script: "lobby.ts", Now: now, Bare: true},
		Meeting: st.Meeting, Heading: st.Title, Seat: st.Seat, Role: st.Role, Name: st.Name, Key: key,
		State: statePill(st.State, st.EndReason), StartsAt: st.StartsAt, EndsAt: st.EndsAt, OpensAt: st.OpensAt,
		TimeZone: st.TimeZone, ZoneHint: zoneHint(st.StartsAt, st.TimeZone), Message: st.Message,
		Estimate: st.Estimate, RetryIn: st.RetryIn, VideoURL: st.VideoURL,
		CanEnter: st.CanEnter, Wanted: st.Wanted, Failing: st.Failing,
		Over: st.EndReason != "" || st.State == greenroom.Ending || st.State == greenroom.Ended,
	}
	p.Early = !p.Over && !p.CanEnter && !p.Wanted && !st.Parked && st.Phase == greenroom.Planned && now.Before(st.OpensAt)
	p.Headline = headline(&p, st)
	for _, s := range st.Stages {
		word := s.Phase.Words().Step
		if word == "" || st.Parked { // a stage that does not advance must not look as if it moved
			continue
		}
		p.Stages = append(p.Stages, stage{Word: word, Done: s.Done, Current: s.Current, At: s.Since, Expected: s.Expected})
	}
	if p.Early || p.CanEnter {
		p.Message = "" // the page says it in its own way
	}
	return p
}

func headline(p *lobbyPage, st meetings.Standing) string {
	switch {
	case p.Over:
		return st.EndReason.Words().Headline
	case p.CanEnter:
		return "Your desktop is ready"
	case st.Parked:
		return "This meeting is parked"
	case p.Wanted && p.Failing:
		return "Your desktop could not be started"
	case p.Wanted:
		return "Your desktop was removed"
	case p.Failing:
		return "This takes longer than usual"
	case p.Early:
		return "You are early, and in the right place"
	default:
		return "Your desktop is being prepared"
	}
}
