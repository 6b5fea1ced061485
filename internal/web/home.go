package web

import (
	"net/http"
	"time"

	"greenroom"
	"greenroom/internal/meetings"
)

// atAGlance is how many meetings the first page shows under the form.
const atAGlance = 6

// homePage is the form that schedules a meeting, and what comes up next.
type homePage struct {
	frame
	Form     scheduleForm
	Upcoming []row
	More     bool
}

// row is one meeting in a list.
type row struct {
	ID       string
	Title    string
	State    pill
	StartsAt time.Time
	EndsAt   time.Time
	TimeZone string
	Seats    []rowSeat
}

type rowSeat struct {
	Role string
	Name string
}

func (w *Web) home(rw http.ResponseWriter, r *http.Request) error {
	now := time.Now()
	form := newScheduleForm(w.service.Blueprints(), now)
	return w.writeHome(rw, r, http.StatusOK, form, now)
}

func (w *Web) writeHome(rw http.ResponseWriter, r *http.Request, status int, form scheduleForm, now time.Time) error {
	upcoming, more, err := w.upcoming(r, now)
	if err != nil {
		return err
	}
	return w.view.write(rw, r, status, "home", homePage{
		frame: w.frame(r, "Schedule a meeting", "home", now), Form: form, Upcoming: upcoming, More: more,
	})
}

// frame is the frame of an organiser's page.
func (w *Web) frame(r *http.Request, title, area string, now time.Time) frame {
	return frame{Title: title, Script: "app.ts", Area: area, Now: now, SignedIn: w.signedIn(r)}
}

// upcoming lists the next meetings that are not over.
func (w *Web) upcoming(r *http.Request, now time.Time) ([]row, bool, error) {
	found, cursor, err := w.service.List(r.Context(), upcomingFilter(now))
	if err != nil {
		return nil, false, err
	}
	var rows []row
	for i := range found {
		if found[i].State() == greenroom.Ended {
			continue
		}
		if len(rows) == atAGlance {
			return rows, true, nil
		}
		rows = append(rows, newRow(&found[i]))
	}
	return rows, cursor != "", nil
}

// upcomingFilter reaches back a day, so that what is still going on is in it.
func upcomingFilter(now time.Time) meetings.Filter {
	return meetings.Filter{From: now.Add(-24 * time.Hour), Limit: pageSize}
}

func newRow(m *greenroom.Meeting) row {
	out := row{
		ID: m.ID, Title: m.Title, State: statePill(m.State(), m.EndReason),
		StartsAt: m.StartsAt, EndsAt: m.EndsAt, TimeZone: m.TimeZone,
	}
	for _, s := range m.Present() {
		out.Seats = append(out.Seats, rowSeat{Role: s.Role, Name: s.Name})
	}
	return out
}
