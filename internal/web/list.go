package web

import (
	"net/http"
	"net/url"
	"time"

	"greenroom"
	"greenroom/internal/meetings"
)

// pageSize is how many meetings a page of the list holds.
const pageSize = 50

// listPage is the list of meetings, a page at a time.
type listPage struct {
	frame
	Filters []listFilter
	Rows    []row
	Empty   string // what to say if there is no row
	Next    string // where the next page is; "" on the last
	Later   bool   // this is not the first page
}

// listFilter is one choice of what to list.
type listFilter struct {
	Name    string
	URL     string
	Current bool
}

// listChoices are the filters; the first is the default.
var listChoices = []struct{ show, name, empty string }{
	{"upcoming", "Upcoming", "Nothing is coming up."},
	{string(greenroom.Scheduled), greenroom.Scheduled.Label(), "No meeting is waiting for its time."},
	{string(greenroom.Preparing), greenroom.Preparing.Label(), "No desktop is being started."},
	{string(greenroom.AllReady), greenroom.AllReady.Label(), "No meeting has all its desktops ready and waiting."},
	{string(greenroom.InProgress), greenroom.InProgress.Label(), "No meeting is going on."},
	{string(greenroom.Waiting), greenroom.Waiting.Label(), "No meeting waits for people without a desktop."},
	{string(greenroom.Ended), greenroom.Ended.Label(), "No meeting has ended yet."},
	{"all", "All", "No meeting was ever scheduled here."},
}

func (w *Web) list(rw http.ResponseWriter, r *http.Request) error {
	now, show, cursor := time.Now(), r.URL.Query().Get("state"), r.URL.Query().Get("cursor")
	chosen := listChoices[0]
	page := listPage{frame: w.frame(r, "Meetings", "list", now), Later: cursor != ""}
	for _, c := range listChoices {
		if c.show == show {
			chosen = c
		}
	}
	for _, c := range listChoices {
		page.Filters = append(page.Filters, listFilter{Name: c.name, URL: listURL(c.show, ""), Current: c == chosen})
	}
	filter := meetings.Filter{Limit: pageSize, Cursor: cursor}
	switch chosen.show {
	case "upcoming":
		filter.From = upcomingFilter(now).From
	case "all":
		filter.Newest = true
	default:
		filter.State = greenroom.State(chosen.show)
		filter.Newest = filter.State == greenroom.Ended
	}
	found, next, err := w.service.List(r.Context(), filter)
	if err != nil {
		return err
	}
	for i := range found {
		if chosen.show == "upcoming" && found[i].State() == greenroom.Ended {
			continue
		}
		page.Rows = append(page.Rows, newRow(&found[i]))
	}
	page.Empty = chosen.empty
	if next != "" {
		page.Next = listURL(chosen.show, next)
	}
	return w.view.write(rw, r, http.StatusOK, "list", page)
}

func listURL(show, cursor string) string {
	q := url.Values{}
	if show != listChoices[0].show {
		q.Set("state", show)
	}
	if cursor != "" {
		q.Set("cursor", cursor)
	}
	if len(q) == 0 {
		return "/meetings"
	}
	return "/meetings?" + q.Encode()
}
