package web

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"greenroom"
	"greenroom/internal/meetings"
	"greenroom/internal/roster"
)

// scheduleForm is the form as the person sees it: what they wrote stays when it was not right.
type scheduleForm struct {
	when
	Title      string
	Now        bool // start at once
	Blueprints []blueprintChoice
	Errors     faults
	Notice     string        // what is shown above the form if it was not taken
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
	Roles   []roleRows
	List    listForm
	named   int // rows that were filled in
}

// roleRows are the rows of one role.
type roleRows struct {
	Field   string // <blueprint>.<role>
	Role    string
	Rows    []seatRow
	Unnamed int // seats without a name
	Many    bool
}

// seatRow is one seat to fill in; one that stays empty is ignored. Its fields are named <blueprint>.<role>.name and .email, as
// those of the other rows of the role: a form without scripts sends the rows of every blueprint.
type seatRow struct {
	ID     string // of the row in the page
	Number string // of the row in its role, from the second on
	Name   string
	Email  string
	At     string // where faults of this seat are noted: "seats[1]"
}

// maxRows bounds the rows that a form proposes; more are added with a button, or pasted.
const maxRows = 6

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
		c := blueprintChoice{Name: b.Name, Current: b.Name == chosen || chosen == "" && i == 0, List: newListForm(b.Name+".", b.Seats)}
		if r != nil {
			c.List = readList(r, b.Name+".", b.Seats)
		}
		for _, name := range b.Seats {
			role, _ := b.Role(name)
			c.Roles = append(c.Roles, c.rows(role, r))
		}
		out[i] = c
	}
	return out
}

// Unnamed reports whether seats without a name are asked for.
func (c blueprintChoice) Unnamed() bool {
	return slices.ContainsFunc(c.Roles, func(r roleRows) bool { return r.Unnamed > 0 })
}

// rows are the rows of a role: as many as its count at first, and then as were sent.
func (c *blueprintChoice) rows(role greenroom.Role, r *http.Request) roleRows {
	out := roleRows{Field: c.Name + "." + role.Name, Role: role.Name, Many: role.Max != 1}
	names, addresses, n := []string(nil), []string(nil), min(max(role.Count, 1), maxRows)
	if r != nil {
		names, addresses = r.PostForm[out.Field+".name"], r.PostForm[out.Field+".email"]
		n = min(max(len(names), len(addresses), 1), roster.MaxPeople)
		out.Unnamed, _ = strconv.Atoi(r.PostFormValue(out.Field + ".unnamed"))
	}
	at := func(list []string, i int) string {
		if i < len(list) {
			return strings.TrimSpace(list[i])
		}
		return ""
	}
	for i := range n {
		row := seatRow{ID: out.Field, Name: at(names, i), Email: at(addresses, i)}
		if i > 0 {
			row.ID, row.Number = fmt.Sprint(out.Field, ".", i+1), fmt.Sprint(" ", i+1)
		}
		if row.Name != "" || row.Email != "" {
			row.At = fmt.Sprintf("seats[%d]", c.named)
			c.named++
		}
		out.Rows = append(out.Rows, row)
	}
	return out
}

// seats are those that were filled in, then those of the list, then those without a name.
func (c *blueprintChoice) seats() []meetings.SeatInput {
	var named, unnamed []meetings.SeatInput
	for _, role := range c.Roles {
		for _, row := range role.Rows {
			if row.At != "" {
				named = append(named, meetings.SeatInput{Role: role.Role, Name: row.Name, Email: row.Email})
			}
		}
		for range min(max(role.Unnamed, 0), greenroom.MaxRoleCount+1) {
			unnamed = append(unnamed, meetings.SeatInput{Role: role.Role})
		}
	}
	return append(append(named, c.List.seats()...), unnamed...)
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
	current := form.current()
	if r.PostFormValue("preview") != "" || current.List.Fault != "" {
		return w.writeHome(rw, r, http.StatusOK, form, now)
	}
	if len(in.Seats) == 0 && faulty == nil {
		faulty = &greenroom.InvalidError{}
		faulty.Add("seats", "name at least one person, or say how many seats there are without a name")
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
	current.List.blame(form.Errors, current.named)
	form.Notice = "Not scheduled yet: something needs a second look."
	if rest := form.Errors.elsewhere(); rest != "" {
		form.Notice = "Not scheduled yet: " + rest + "."
	}
	return w.writeHome(rw, r, http.StatusUnprocessableEntity, form, now)
}

// current is the blueprint that is chosen.
func (f *scheduleForm) current() *blueprintChoice {
	for i := range f.Blueprints {
		if f.Blueprints[i].Current {
			return &f.Blueprints[i]
		}
	}
	return &f.Blueprints[0]
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
			in.Seats = b.seats()
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
