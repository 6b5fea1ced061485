package web

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"greenroom"
	"greenroom/internal/meetings"
)

// scheduleForm is the form as the person sees it: what they wrote stays when it was not right.
type scheduleForm struct {
	when
	Title      string
	Now        bool // start at once
	Blueprints []blueprintChoice
	Errors     faults
	Notice     string        // what stands above the form if it was not taken
	Key        string        // the idempotency key: a form sent twice makes one meeting
	Fresh      bool          // nothing was filled in yet: the script may choose the browser's zone and the next half hour
	Lead       time.Duration // how far ahead that is at least
}

// when is the part of a form that says when a meeting is.
type when struct {
	StartsAt  string // wallLayout
	TimeZone  string
	Fold      string   // "first" or "second" of a time that comes twice
	Choices   []choice // offered when Fold is needed
	Duration  string
	Durations []option
}

type option struct {
	Value string
	Label string
}

// blueprintChoice is one blueprint with the rows of its seats.
type blueprintChoice struct {
	Name    string
	Current bool
	Seats   []seatRow
}

// seatRow is one seat to fill in. Its fields are named <blueprint>.<role>.name and .email: a form without
// scripts sends the rows of every blueprint.
type seatRow struct {
	Field string
	Role  string
	Name  string
	Email string
	At    string // where faults of this seat are noted: "seats[1]"
}

// whenFields is what the template of the fields of when needs.
type whenFields struct {
	When   when
	Errors faults
	Prefix string // of the ids: two such forms may stand on one page
}

// Fields are the form's fields of when, for the template they share.
func (f scheduleForm) Fields(prefix string) whenFields { return whenFields{f.when, f.Errors, prefix} }

// Fields are the form's fields of when, for the template they share.
func (f editForm) Fields(prefix string) whenFields { return whenFields{f.when, f.Errors, prefix} }

// newScheduleForm proposes the next half hour for which there is time to start desktops.
func newScheduleForm(blueprints []greenroom.Blueprint, now time.Time) scheduleForm {
	lead := time.Duration(blueprints[0].Rules.Lead)
	start := now.UTC().Add(lead + 30*time.Minute - 1).Truncate(30 * time.Minute)
	return scheduleForm{
		when:       when{StartsAt: start.Format(wallLayout), TimeZone: "UTC", Duration: "1h0m0s", Durations: durations(longest(blueprints), time.Hour)},
		Blueprints: blueprintChoices(blueprints, nil, ""),
		Key:        greenroom.NewSecret(), Fresh: true, Lead: lead,
	}
}

func blueprintChoices(blueprints []greenroom.Blueprint, r *http.Request, chosen string) []blueprintChoice {
	out := make([]blueprintChoice, len(blueprints))
	for i, b := range blueprints {
		out[i] = blueprintChoice{Name: b.Name, Current: b.Name == chosen || chosen == "" && i == 0}
		for n, role := range b.Seats {
			s := seatRow{Field: b.Name + "." + role, Role: role, At: fmt.Sprintf("seats[%d]", n)}
			if r != nil {
				s.Name, s.Email = strings.TrimSpace(r.PostFormValue(s.Field+".name")), strings.TrimSpace(r.PostFormValue(s.Field+".email"))
			}
			out[i].Seats = append(out[i].Seats, s)
		}
	}
	return out
}

// durations are the usual ones up to the longest allowed, and current.
func durations(longest, current time.Duration) []option {
	var out []option
	add := func(d time.Duration) { out = append(out, option{Value: d.String(), Label: roughly(d)}) }
	for _, minutes := range []int{15, 30, 45, 60, 90, 120, 180, 240, 360, 480, 720} {
		d := time.Duration(minutes) * time.Minute
		if current > 0 && current < d {
			add(current)
			current = 0
		}
		if d == current {
			current = 0
		}
		if d <= longest {
			add(d)
		}
	}
	if current > 0 {
		add(current)
	}
	return out
}

func longest(blueprints []greenroom.Blueprint) time.Duration {
	var d time.Duration
	for _, b := range blueprints {
		d = max(d, b.Rules.LongestMeeting())
	}
	return d
}

func (w *Web) schedule(rw http.ResponseWriter, r *http.Request) error {
	now := time.Now()
	form, in, faulty, err := w.readSchedule(rw, r)
	if err != nil {
		return err
	}
	if faulty == nil {
		m, _, err := w.service.Schedule(r.Context(), in, form.Key)
		if err == nil {
			http.Redirect(rw, r, "/meetings/"+m.ID, http.StatusSeeOther)
			return nil
		}
		if errors.Is(err, greenroom.ErrConflict) {
			form.Key = greenroom.NewSecret()
			form.Notice = "This form has scheduled a meeting before. Send it again to schedule another one."
			return w.writeHome(rw, r, http.StatusConflict, form, now)
		}
		var ok bool
		if faulty, ok = errors.AsType[*greenroom.InvalidError](err); !ok {
			return err
		}
	}
	form.Errors.add(faulty)
	form.Notice = "Not scheduled yet: something needs a second look."
	if rest := form.Errors.elsewhere(); rest != "" {
		form.Notice = "Not scheduled yet: " + rest + "."
	}
	return w.writeHome(rw, r, http.StatusUnprocessableEntity, form, now)
}

// readSchedule reads the form back, and the request it means. The faults are those that only the form can
// have: times that no clock shows. Everything else is for package meetings to judge.
func (w *Web) readSchedule(rw http.ResponseWriter, r *http.Request) (scheduleForm, meetings.Schedule, *greenroom.InvalidError, error) {
	r.Body = http.MaxBytesReader(rw, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return scheduleForm{}, meetings.Schedule{}, nil, tooBig(err)
	}
	blueprints := w.service.Blueprints()
	form := scheduleForm{
		Title: strings.TrimSpace(r.PostFormValue("title")), Now: r.PostFormValue("start") == "now",
		Key: r.PostFormValue("idempotency_key"), Errors: faults{},
		Blueprints: blueprintChoices(blueprints, r, r.PostFormValue("blueprint")),
	}
	form.read(r, longest(blueprints))
	in := meetings.Schedule{
		Title: form.Title, StartsAt: "now", Duration: form.Duration, TimeZone: form.TimeZone, Blueprint: r.PostFormValue("blueprint"),
	}
	for _, b := range form.Blueprints {
		if b.Current {
			in.Blueprint = b.Name
			for _, s := range b.Seats {
				in.Seats = append(in.Seats, meetings.SeatInput{Role: s.Role, Name: s.Name, Email: s.Email})
			}
		}
	}
	if form.Now {
		return form, in, nil, nil
	}
	at, choices, err := resolve(form.StartsAt, form.TimeZone, form.Fold)
	if faulty, ok := errors.AsType[*greenroom.InvalidError](err); ok {
		form.Choices = choices
		return form, in, faulty, nil
	}
	in.StartsAt = at.UTC().Format(time.RFC3339)
	return form, in, nil, nil
}

func (f *when) read(r *http.Request, longest time.Duration) {
	f.StartsAt, f.TimeZone = r.PostFormValue("starts_at"), r.PostFormValue("time_zone")
	f.Fold, f.Duration = r.PostFormValue("fold"), r.PostFormValue("duration")
	if f.TimeZone == "" {
		f.TimeZone = "UTC"
	}
	d, _ := time.ParseDuration(f.Duration) // a wrong one is not offered again; package meetings says what is wrong
	f.Durations = durations(longest, d)
}

// tooBig explains a form that cannot be read.
func tooBig(err error) error {
	e := &greenroom.InvalidError{}
	e.Add("form", "the form could not be read, or is larger than %d KiB", maxForm>>10)
	return errors.Join(e, err)
}
