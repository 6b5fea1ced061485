package web

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"greenroom"
	"greenroom/internal/meetings"
)

// extension is how much longer a meeting gets with one click.
const extension = 15 * time.Minute

// editForm moves and renames a meeting.
type editForm struct {
	when
	Title   string
	Version int64 // the change is refused if somebody made another one in between
	Errors  faults
	Notice  string
}

func newEditForm(m *greenroom.Meeting) editForm {
	return editForm{
		Title: m.Title, Version: m.Version,
		when: when{
			StartsAt: m.StartsAt.In(zone(m.TimeZone)).Format(wallLayout), TimeZone: m.TimeZone,
			Duration: m.Duration().String(), Durations: durations(m.Blueprint.Rules.LongestMeeting(), m.Duration()),
		},
	}
}

// edit takes the form of the meeting page. Only what differs from the meeting is asked for, so that a new
// title does not move the start of a meeting that began between two minutes.
func (w *Web) edit(rw http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	m, err := w.service.Meeting(r.Context(), id)
	if err != nil {
		return err
	}
	r.Body = http.MaxBytesReader(rw, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return tooBig(err)
	}
	was, form := newEditForm(&m), editForm{Title: strings.TrimSpace(r.PostFormValue("title")), Version: version(r), Errors: faults{}}
	form.read(r, m.Blueprint.Rules.LongestMeeting())
	in, faulty := form.request(was)
	if faulty == nil {
		if _, err = w.service.Edit(r.Context(), id, in, form.Version); err == nil {
			return w.back(rw, r)
		}
		var ok bool
		if faulty, ok = errors.AsType[*greenroom.InvalidError](err); !ok {
			return err
		}
	}
	form.Errors.add(faulty)
	form.Notice = "Nothing was changed yet: something needs a second look."
	if rest := form.Errors.elsewhere(); rest != "" {
		form.Notice = "Nothing was changed: " + rest + "."
	}
	return w.writeMeeting(rw, r, http.StatusUnprocessableEntity, m, &sentForms{edit: &form})
}

// request is what the form asks for, compared with how it was.
func (f *editForm) request(was editForm) (meetings.Edit, *greenroom.InvalidError) {
	var in meetings.Edit
	if f.Title != was.Title {
		in.Title = &f.Title
	}
	if f.Duration != was.Duration {
		in.Duration = &f.Duration
	}
	if f.TimeZone != was.TimeZone {
		in.TimeZone = &f.TimeZone
	}
	if f.StartsAt != was.StartsAt || in.TimeZone != nil {
		at, choices, err := resolve(f.StartsAt, f.TimeZone, f.Fold)
		if faulty, ok := errors.AsType[*greenroom.InvalidError](err); ok {
			f.Choices = choices
			return in, faulty
		}
		text := at.UTC().Format(time.RFC3339)
		in.StartsAt = &text
	}
	return in, nil
}

// extend moves the end. The version in the form makes a double click one extension.
func (w *Web) extend(rw http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	m, err := w.service.Meeting(r.Context(), id)
	if err != nil {
		return err
	}
	end := m.EndsAt.Add(extension).UTC().Format(time.RFC3339Nano)
	if _, err := w.service.Edit(r.Context(), id, meetings.Edit{EndsAt: &end}, version(r)); err != nil {
		return err
	}
	return w.back(rw, r)
}

func (w *Web) end(rw http.ResponseWriter, r *http.Request) error { return w.stop(rw, r, w.service.End) }

func (w *Web) cancel(rw http.ResponseWriter, r *http.Request) error {
	return w.stop(rw, r, w.service.Cancel)
}

func (w *Web) stop(rw http.ResponseWriter, r *http.Request, do func(context.Context, string) (greenroom.Meeting, error)) error {
	if _, err := do(r.Context(), r.PathValue("id")); err != nil && !errors.Is(err, greenroom.ErrEnded) {
		return err
	}
	return w.back(rw, r) // ended before the click is what the person wanted too
}

// reissue gives a seat a new link; the old one opens nothing any more.
func (w *Web) reissue(rw http.ResponseWriter, r *http.Request) error {
	if _, err := w.service.ReissueKey(r.Context(), r.PathValue("id"), r.PathValue("seat")); err != nil {
		return err
	}
	return w.back(rw, r)
}

func (w *Web) back(rw http.ResponseWriter, r *http.Request) error {
	http.Redirect(rw, r, "/meetings/"+r.PathValue("id"), http.StatusSeeOther)
	return nil
}

// version is the one the form was made for; 0, which no meeting has, compares with nothing.
func version(r *http.Request) int64 {
	v, _ := strconv.ParseInt(r.PostFormValue("version"), 10, 64)
	return v
}
