package web

import (
	"errors"
	"net/http"
	"time"

	"greenroom"
)

// exhibit is one page with canned data.
type exhibit struct {
	Name   string
	Status int
	Page   string
	Data   any
}

type galleryPage struct {
	frame
	Exhibits []exhibit
}

// Gallery shows every page in every state that looks different, with canned data: for eyes while working on
// them, and for the tests that compare them with what was agreed on.
func (w *Web) Gallery() http.Handler {
	return w.page(func(rw http.ResponseWriter, r *http.Request) error {
		all := exhibits()
		name := r.PathValue("page")
		if name == "" {
			return w.view.write(rw, r, http.StatusOK, "gallery", galleryPage{frame: frame{Title: "Gallery", Now: cannedNow}, Exhibits: all})
		}
		for _, e := range all {
			if e.Name == name {
				return w.view.write(rw, r, e.Status, e.Page, e.Data)
			}
		}
		return greenroom.ErrNotFound
	})
}

func exhibits() []exhibit {
	out := []exhibit{
		{"home", 200, "home", cannedHome(false)},
		{"home-empty", 200, "home", homePage{frame: stillFrame("Schedule a meeting", "home"), Form: cannedForm(false)}},
		{"home-faults", 422, "home", cannedHome(true)},
		{"list", 200, "list", cannedList(cannedRows())},
		{"list-empty", 200, "list", cannedList(nil)},
	}
	for _, m := range cannedMeetings() {
		p := newMeetingPage(&m.meeting, cannedEvents(&m.meeting), cannedLinks(&m.meeting), m.now)
		p.frame = stillFrame(m.meeting.Title, "list")
		p.Now = m.now
		if m.name == "meeting-faults" {
			p.Edit, p.Editing = cannedEdit(&m.meeting), true
		}
		if m.name == "meeting-people" {
			p.show(cannedPeople(&m.meeting))
		}
		if m.name == "meeting-stale-edit" {
			p.Edit, p.Editing = cannedStale(&m.meeting), true
		}
		out = append(out, exhibit{m.name, 200, "meeting", p})
	}
	for _, s := range cannedStandings() {
		p := newLobbyPage(s.standing, "k3y-of-this-seat-which-nobody-guesses-0000000", s.now)
		p.Still, p.Auto = true, !s.back
		status := http.StatusOK
		if p.Over {
			status = http.StatusGone
		}
		out = append(out, exhibit{s.name, status, "lobby", p})
	}
	out = append(out, exhibit{"enter", 200, "enter", enterPage{frame: frame{Title: "Your desktop is ready", Now: cannedNow, Bare: true}, URL: "/gallery/enter#console"}})
	for _, e := range cannedErrors() {
		out = append(out, exhibit{e.name, e.page.Status, "error", e.page})
	}
	return append(out,
		exhibit{"login", 200, "login", newLoginPage("/", false, cannedNow)},
		exhibit{"login-wrong", 403, "login", newLoginPage("/", true, cannedNow)},
	)
}

type cannedError struct {
	name string
	page errorPage
}

func cannedErrors() []cannedError {
	var out []cannedError
	for _, e := range []struct {
		name string
		err  error
	}{
		{"error-404", greenroom.ErrNotFound},
		{"error-405", &methodError{allow: []string{"GET"}}},
		{"error-409", greenroom.ErrConflict},
		{"error-410", greenroom.ErrEnded},
		{"error-500", errors.New("the disk is full")},
	} {
		p := explain(e.err)
		p.Now = cannedNow
		out = append(out, cannedError{e.name, p})
	}
	for _, e := range []struct {
		name string
		err  error
	}{
		{"join-403", greenroom.ErrForbidden}, {"join-404", greenroom.ErrNotFound}, {"join-410", greenroom.ErrEnded}, {"join-429", greenroom.ErrThrottled},
	} {
		p := explainJoin(e.err, explain(e.err))
		p.Now = cannedNow
		out = append(out, cannedError{e.name, p})
	}
	return out
}

func stillFrame(title, area string) frame {
	return frame{Title: title, Script: "app.ts", Area: area, Now: cannedNow, Still: true, SignedIn: true}
}

// cannedNow is the moment all canned data is about: eight minutes before a lesson.
var cannedNow = time.Date(2026, 12, 1, 14, 52, 0, 0, time.UTC)
