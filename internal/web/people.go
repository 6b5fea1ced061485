package web

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"greenroom"
	"greenroom/internal/meetings"
	"greenroom/internal/roster"
)

// listForm is where an organiser pastes names and addresses, one person a line.
type listForm struct {
	Prefix string // of the fields' names
	Roles  []string
	Role   string // of those whose line names none
	Text   string
	People []roster.Person // what the list says, to be looked at before it is used
	Fault  string
}

// readList reads the pasted list back. It is shown once more when it is to be looked at, or cannot be read.
func readList(r *http.Request, prefix string, roles []string) listForm {
	f := listForm{Prefix: prefix, Roles: roles, Role: r.PostFormValue(prefix + "list_role"), Text: r.PostFormValue(prefix + "list")}
	if f.Role == "" && len(roles) > 0 {
		f.Role = roles[len(roles)-1]
	}
	people, err := roster.ReadPasted(f.Text, f.Role, roles)
	if err != nil {
		f.Fault = err.Error()
	}
	f.People = people
	return f
}

func newListForm(prefix string, roles []string) listForm {
	f := listForm{Prefix: prefix, Roles: roles}
	if len(roles) > 0 {
		f.Role = roles[len(roles)-1] // teachers come before their students
	}
	return f
}

// seats are those that the list asks for.
func (f listForm) seats() []meetings.SeatInput {
	var out []meetings.SeatInput
	for _, p := range f.People {
		out = append(out, meetings.SeatInput{Role: p.Role, Name: p.Name, Email: p.Email})
	}
	return out
}

var listedSeat = regexp.MustCompile(`^seats\[(\d+)\]\.(.*)$`)

// blame moves the faults of the listed people to the list: the first of them is the seat of number first.
func (f *listForm) blame(all faults, first int) {
	for field, text := range all {
		m := listedSeat.FindStringSubmatch(field)
		if m == nil {
			continue
		}
		i, _ := strconv.Atoi(m[1])
		if i -= first; i < 0 || i >= len(f.People) {
			continue
		}
		delete(all, field)
		if f.Fault == "" {
			f.Fault = fmt.Sprintf("%s: %s", orRole(f.People[i]), text)
		}
	}
}

func orRole(p roster.Person) string {
	for _, s := range []string{p.Name, p.Email} {
		if s != "" {
			return s
		}
	}
	return roleWord(p.Role)
}

// addForm adds people to a meeting.
type addForm struct {
	Role   string
	Name   string
	Email  string
	List   listForm
	Errors faults
	Notice string
	Open   bool
}

func newAddForm(m *greenroom.Meeting) addForm {
	list := newListForm("", m.Blueprint.Seats)
	return addForm{Role: list.Role, List: list}
}

// seatForm is a form about one seat that was sent and not taken.
type seatForm struct {
	Seat   string
	What   string // "edit", "remove" or "replace"
	Name   string
	Email  string
	Reason string
	Errors faults
	Notice string
	Ask    bool // it takes a desktop from somebody: the same again means yes
}

// addSeats takes the form that adds people.
func (w *Web) addSeats(rw http.ResponseWriter, r *http.Request) error {
	m, err := w.formOf(rw, r)
	if err != nil {
		return err
	}
	form := addForm{
		Role: r.PostFormValue("role"), Name: strings.TrimSpace(r.PostFormValue("name")), Email: strings.TrimSpace(r.PostFormValue("email")),
		List: readList(r, "", m.Blueprint.Seats), Errors: faults{}, Open: true,
	}
	if form.List.Fault != "" || r.PostFormValue("preview") != "" {
		return w.writeMeeting(rw, r, http.StatusOK, m, &sentForms{add: &form})
	}
	var in []meetings.SeatInput
	if form.Name != "" || form.Email != "" || len(form.List.People) == 0 {
		in = append(in, meetings.SeatInput{Role: form.Role, Name: form.Name, Email: form.Email})
	}
	alone := len(in)
	_, _, err = w.service.AddSeats(r.Context(), m.ID, append(in, form.List.seats()...), version(r))
	if err == nil {
		return w.back(rw, r)
	}
	faulty, ok := errors.AsType[*greenroom.InvalidError](err)
	if !ok {
		return err
	}
	form.Errors.add(faulty)
	form.List.blame(form.Errors, alone)
	form.Notice = "Nobody was added yet."
	if rest := form.Errors.elsewhere(); rest != "" {
		form.Notice = "Nobody was added: " + rest + "."
	}
	return w.writeMeeting(rw, r, http.StatusUnprocessableEntity, m, &sentForms{add: &form})
}

// formOf reads a form about a meeting.
func (w *Web) formOf(rw http.ResponseWriter, r *http.Request) (greenroom.Meeting, error) {
	m, err := w.service.Meeting(r.Context(), r.PathValue("id"))
	if err != nil {
		return m, err
	}
	r.Body = http.MaxBytesReader(rw, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return m, tooBig(err)
	}
	return m, nil
}

// aboutSeat takes a form about one seat.
func (w *Web) aboutSeat(what string) func(http.ResponseWriter, *http.Request) error {
	return func(rw http.ResponseWriter, r *http.Request) error {
		m, err := w.formOf(rw, r)
		if err != nil {
			return err
		}
		form := seatForm{
			Seat: r.PathValue("seat"), What: what, Errors: faults{}, Reason: strings.TrimSpace(r.PostFormValue("reason")),
			Name: strings.TrimSpace(r.PostFormValue("name")), Email: strings.TrimSpace(r.PostFormValue("email")),
		}
		force := r.PostFormValue("force") == "true"
		switch what {
		case "edit":
			_, err = w.service.EditSeat(r.Context(), m.ID, form.Seat, meetings.SeatEdit{Name: &form.Name, Email: &form.Email}, 0)
		case "remove":
			_, err = w.service.RemoveSeat(r.Context(), m.ID, form.Seat, force, 0)
		default:
			_, err = w.service.ReplaceDesktop(r.Context(), m.ID, form.Seat, form.Reason, force, 0)
		}
		if err == nil {
			return w.back(rw, r)
		}
		status := form.refused(err)
		if status == 0 {
			return err
		}
		return w.writeMeeting(rw, r, status, m, &sentForms{seat: &form})
	}
}

// refused notes why the form was not taken, and gives the page's status; 0 if the page is of no use then.
func (f *seatForm) refused(err error) int {
	if faulty, ok := errors.AsType[*greenroom.InvalidError](err); ok {
		f.Errors.add(faulty)
		f.Notice = "Nothing was changed yet."
		return http.StatusUnprocessableEntity
	}
	if !errors.Is(err, greenroom.ErrConflict) {
		return 0
	}
	_, f.Ask = errors.AsType[*meetings.OccupiedError](err)
	f.Notice = greenroom.Sentence(err, "Somebody else changed the meeting at the same time. Try again.")
	return http.StatusConflict
}

// sentForms are the forms of a meeting's page that were sent and not taken.
type sentForms struct {
	edit *editForm
	add  *addForm
	seat *seatForm
}

// seatActions is what the template of a seat's forms needs.
type seatActions struct {
	Meeting string
	Seat    seatCard
}

func newSeatActions(meeting string, seat seatCard) seatActions { return seatActions{meeting, seat} }
