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
	Changes []string  // what somebody else has changed since the form was opened
	Was     *editForm // the form as it was opened; nil: as it is
}

// Base is the form as it was opened, which goes along with it.
func (f editForm) Base() editForm {
	if f.Was != nil {
		return *f.Was
	}
	return f
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
	was, base := newEditForm(&m), readBase(r)
	form := editForm{Was: &base, Title: strings.TrimSpace(r.PostFormValue("title")), Version: version(r), Errors: faults{}}
	form.read(r, m.Blueprint.Rules.LongestMeeting())
	in, faulty := form.request(was)
	if faulty == nil {
		if _, err = w.service.Edit(r.Context(), id, in, form.Version); err == nil {
			return w.back(rw, r)
		}
		if errors.Is(err, greenroom.ErrConflict) {
			return w.staleEdit(rw, r, form)
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

const staleNotice = "Nothing was saved yet: somebody else has changed the meeting since you opened this form. What you typed is still here; save again to keep it."

// staleEdit answers with the form again when somebody else has changed the meeting since it was opened: what was typed stays,
// and what was changed is said.
func (w *Web) staleEdit(rw http.ResponseWriter, r *http.Request, form editForm) error {
	m, err := w.service.Meeting(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	now := newEditForm(&m)
	form.rebase(*form.Was, now)
	form.Was = &now
	form.Notice = staleNotice
	return w.writeMeeting(rw, r, http.StatusConflict, m, &sentForms{edit: &form})
}

// readBase reads the form as it was when it was opened.
func readBase(r *http.Request) editForm {
	return editForm{Title: r.PostFormValue("was_title"), when: when{
		StartsAt: r.PostFormValue("was_starts_at"), TimeZone: r.PostFormValue("was_time_zone"), Duration: r.PostFormValue("was_duration"),
	}}
}

// inWords is a field's value for people: a wall time with a space, a duration as people say it.
func inWords(value string) string {
	if d, err := time.ParseDuration(value); err == nil {
		return roughly(d)
	}
	if t, err := time.Parse(wallLayout, value); err == nil {
		return t.Format("Mon 2 Jan 2006, 15:04")
	}
	return value
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
	if _, err := w.service.ReissueKey(r.Context(), r.PathValue("id"), r.PathValue("seat"), r.PostFormValue("connections")); err != nil {
		return err
	}
	return w.back(rw, r)
}

// disconnect closes one connection to a seat's desktop. One that has gone by itself is what the person wanted, too.
func (w *Web) disconnect(rw http.ResponseWriter, r *http.Request) error {
	if _, err := w.service.Disconnect(r.Context(), r.PathValue("id"), r.PathValue("seat"), r.PathValue("connection")); err != nil && !errors.Is(err, greenroom.ErrNotFound) {
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
