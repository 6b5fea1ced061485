package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"greenroom"
)

func TestScheduleFormMakesNoSeatOfAnEmptyRow(t *testing.T) {
	t.Parallel()
	s := open(t)
	m := s.scheduled(t, "default.teacher.name", "", "default.teacher.email", "")
	if len(m.Seats) != 1 || m.Seats[0].Role != "student" {
		t.Errorf("seats are %+v", m.Seats)
	}
	s.post(t, "/meetings", form("default.teacher.name", "", "default.teacher.email", "", "default.student.name", " ", "default.student.email", "")).
		want(t, http.StatusUnprocessableEntity, "name at least one person")
}

func TestScheduleFormTakesAListAndSeatsWithoutNames(t *testing.T) {
	t.Parallel()
	s := open(t)
	list := []string{"default.list", "Grace Hopper <grace@example.com>\nAlan\talan@example.com\n", "default.list_role", "student", "default.teacher.unnamed", "1"}
	f := form(list...)
	f["default.student.name"] = []string{"One", "", "Three"}
	f["default.student.email"] = []string{"", "", ""}
	f.Set("preview", "1")
	s.post(t, "/meetings", f).want(t, http.StatusOK, "2 people in the list", "<bdi>Grace Hopper</bdi>", `value="Three"`)
	f.Del("preview")
	r := s.post(t, "/meetings", f)
	r.want(t, http.StatusSeeOther)
	m, err := s.service.Meeting(t.Context(), strings.TrimPrefix(r.Header.Get("Location"), "/meetings/"))
	var got []string
	for _, seat := range m.Seats {
		got = append(got, seat.Role+":"+seat.Name)
	}
	if want := "teacher:Ada student:One student:Three student:Grace Hopper student:Alan teacher:"; strings.Join(got, " ") != want || err != nil {
		t.Errorf("got %v, want %s (%v)", got, want, err)
	}
	f.Set("idempotency_key", "key-3")
	f.Set("default.list", "Ada\nx\ty\tz\n")
	s.post(t, "/meetings", f).want(t, http.StatusOK, `id="default.list-fault"`, "line 2: ")
	f.Set("idempotency_key", "key-2")
	f.Set("default.list", "Bob, not@@an.address")
	s.post(t, "/meetings", f).want(t, http.StatusUnprocessableEntity, `id="default.list-fault"`, "Bob: ")
}

func TestMeetingPageChangesSeats(t *testing.T) {
	t.Parallel()
	s := open(t)
	m := s.scheduled(t)
	page := "/meetings/" + m.ID
	s.post(t, page+"/seats", values("role", "student", "name", "Late", "list", "Later <later@example.com>")).want(t, http.StatusSeeOther)
	s.get(t, page).want(t, http.StatusOK, `id="seat-student-2"`, `id="seat-student-3"`, "later@example.com")
	s.post(t, page+"/seats", values("role", "student", "list", "Ada\nBob", "preview", "1")).want(t, http.StatusOK, `id="add" class="add-people" hx-morph-skip open`, "2 people in the list")
	s.post(t, page+"/seats/student-2/edit", values("name", "Not so late", "email", "")).want(t, http.StatusSeeOther)
	s.get(t, page).want(t, http.StatusOK, "Not so late")
	s.post(t, page+"/seats/student-2/edit", values("name", strings.Repeat("x", 101))).want(t, http.StatusUnprocessableEntity, `id="edit-student-2" hx-morph-skip open`, `id="name-student-2-fault"`)
	s.post(t, page+"/seats/student-2/remove", values()).want(t, http.StatusSeeOther)
	if r := s.get(t, page); strings.Contains(r.body, `id="seat-student-2"`) {
		t.Error("the removed seat is on the page")
	}

	if _, err := s.service.change(m.ID, 0, func(m *greenroom.Meeting) {
		m.Seat("teacher").Desktop.Phase, m.Seat("teacher").Desktop.InstanceID = greenroom.InUse, "i-0123456789abcdef0"
	}); err != nil {
		t.Fatal(err)
	}
	for what, again := range map[string]string{"replace": "Replace it all the same", "remove": "Remove it all the same"} {
		s.post(t, page+"/seats/teacher/"+what, values("reason", "frozen")).want(t, http.StatusConflict, "is in one now", again, `name="force" value="true"`)
	}
	s.post(t, page+"/seats/teacher/replace", values("reason", "frozen", "force", "true")).want(t, http.StatusSeeOther)
	if got, _ := s.service.Meeting(t.Context(), m.ID); got.Seat("teacher").ReplaceReason != "frozen" {
		t.Error("the desktop is not replaced")
	}
}

// values is a form with these fields.
func values(pairs ...string) url.Values {
	out := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		out.Set(pairs[i], pairs[i+1])
	}
	return out
}
