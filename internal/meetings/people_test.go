package meetings_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"greenroom"
	"greenroom/internal/meetings"
)

// ids lists the seats that are there.
func ids(m *greenroom.Meeting) string {
	var out []string
	for _, s := range m.Present() {
		out = append(out, s.ID)
	}
	return strings.Join(out, " ")
}

func students(n int) []meetings.SeatInput {
	var out []meetings.SeatInput
	for i := range n {
		out = append(out, meetings.SeatInput{Role: "student", Name: fmt.Sprint("Student ", i+1)})
	}
	return out
}

func TestScheduleManyOfOneRole(t *testing.T) {
	t.Parallel()
	b, in := setup(t), okInput()
	in.Seats = append([]meetings.SeatInput{{Role: "teacher"}}, students(30)...)
	m, _, err := b.Schedule(t.Context(), in, "")
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]bool{}
	for _, s := range m.Seats {
		keys[s.Key] = true
	}
	if m.Seats[0].ID != "teacher" || m.Seats[1].ID != "student-1" || m.Seats[30].ID != "student-30" || m.Seat("student-30").Name != "Student 30" || len(keys) != 31 {
		t.Errorf("seats are %s, with %d keys", ids(&m), len(keys))
	}
}

func TestScheduleTakesTheBlueprintsCounts(t *testing.T) {
	t.Parallel()
	b, in := setup(t), okInput()
	b.Options.Blueprints[0].SetRoles([]greenroom.Role{{Name: "teacher", Count: 1}, {Name: "student", Count: 2, Max: 3}, {Name: "guest"}})
	in.Seats = nil
	m, _, err := b.Schedule(t.Context(), in, "")
	if err != nil || ids(&m) != "teacher student-1 student-2" {
		t.Errorf("%s, %v", ids(&m), err)
	}
	in.Seats = []meetings.SeatInput{{Role: "guest"}}
	if m, _, err = b.Schedule(t.Context(), in, ""); err != nil || ids(&m) != "guest" {
		t.Errorf("a role that is left out gets no seat: %s, %v", ids(&m), err)
	}
	in.Seats = students(4)
	_, _, err = b.Schedule(t.Context(), in, "")
	if bad, ok := errors.AsType[*greenroom.InvalidError](err); !ok || bad.Fields[0].Field != "seats[3].role" || !strings.Contains(bad.Fields[0].Message, "at most 3 seats") {
		t.Errorf("more than the role's maximum: %v", err)
	}
	in.Seats = make([]meetings.SeatInput, meetings.DefaultMaxSeats+1)
	_, _, err = b.Schedule(t.Context(), in, "")
	if bad, ok := errors.AsType[*greenroom.InvalidError](err); !ok || bad.Fields[0].Field != "seats" {
		t.Errorf("more than a meeting can have: %v", err)
	}
}

// An idempotency key that was used with the version before names the same request now.
func TestFingerprintStays(t *testing.T) {
	t.Parallel()
	b, in := setup(t), okInput()
	first, _, err := b.Schedule(t.Context(), in, "k")
	if err != nil {
		t.Fatal(err)
	}
	const want = "{\"Title\":\"Algebra\",\"StartsAt\":\"now\",\"Duration\":\"30m\",\"TimeZone\":\"America/Vancouver\",\"Blueprint\":\"\",\"Seats\":[{\"Role\":\"teacher\",\"Name\":\"Teacher One\",\"Email\":\"\"},{\"Role\":\"student\",\"Name\":\"Student One\",\"Email\":\"student@example.com\"}]}"
	if got := meetings.FingerprintText(in); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if again, _, err := b.Schedule(t.Context(), in, "k"); err != nil || again.ID != first.ID {
		t.Error(again.ID, err)
	}
}

func TestAddSeats(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := b.schedule()
	kicks := b.kicks.Load()
	m, added, err := b.AddSeats(t.Context(), m.ID, students(2), m.Version)
	if err != nil || fmt.Sprint(added) != "[student-2 student-3]" || ids(&m) != "teacher student student-2 student-3" || m.Version != 2 || b.kicks.Load() == kicks {
		t.Fatalf("%v, %s, version %d: %v", added, ids(&m), m.Version, err)
	}
	if st, err := b.Standing(t.Context(), m.ID, "student-3", m.Seat("student-3").Key); err != nil || st.Seat != "student-3" || st.Role != "student" {
		t.Errorf("%+v, %v", st, err)
	}
	if _, err := b.Standing(t.Context(), m.ID, "student-3", m.Seat("student-2").Key); !errors.Is(err, greenroom.ErrForbidden) {
		t.Errorf("with another seat's link: %v", err)
	}
	if _, _, err := b.AddSeats(t.Context(), m.ID, students(1), 1); !errors.Is(err, greenroom.ErrConflict) {
		t.Errorf("for another version: %v", err)
	}
	for field, in := range map[string][]meetings.SeatInput{"seats": nil, "seats[1].role": {{Role: "student"}, {Role: "wizard"}}, "seats[0].name": {{Role: "student", Name: strings.Repeat("x", 101)}}, "seats[0].email": {{Role: "student", Email: "nobody"}}} {
		_, _, err := b.AddSeats(t.Context(), m.ID, in, 0)
		if bad, ok := errors.AsType[*greenroom.InvalidError](err); !ok || bad.Fields[0].Field != field {
			t.Errorf("want a fault at %s, got %v", field, err)
		}
	}
	if _, err := b.End(t.Context(), m.ID); err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.AddSeats(t.Context(), m.ID, students(1), 0); !errors.Is(err, greenroom.ErrEnded) {
		t.Errorf("after the end: %v", err)
	}
}

func TestIDsAreNotGivenAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.schedule().ID
	seen := map[string]bool{"student": true}
	for range 5 {
		_, added, err := b.AddSeats(t.Context(), id, students(1), 0)
		if err != nil || seen[added[0]] {
			t.Fatalf("%v was there before, or %v", added, err)
		}
		seen[added[0]] = true
		if _, err := b.RemoveSeat(t.Context(), id, added[0], false, 0); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEditSeat(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := b.schedule()
	name, address := "  Ada Lovelace ", "ada@example.com"
	got, err := b.EditSeat(t.Context(), m.ID, "teacher", meetings.SeatEdit{Name: &name, Email: &address}, 0)
	s := got.Seat("teacher")
	if err != nil || s.Name != "Ada Lovelace" || s.Email != address || s.Key != m.Seat("teacher").Key || got.Version != 2 {
		t.Fatalf("%+v, %v", s, err)
	}
	if again, err := b.EditSeat(t.Context(), m.ID, "teacher", meetings.SeatEdit{Name: &name}, 0); err != nil || again.Version != 2 {
		t.Errorf("no change is no version: %d, %v", again.Version, err)
	}
	wrong := "a@b c"
	_, err = b.EditSeat(t.Context(), m.ID, "teacher", meetings.SeatEdit{Email: &wrong}, 0)
	if bad, ok := errors.AsType[*greenroom.InvalidError](err); !ok || bad.Fields[0].Field != "email" {
		t.Error(err)
	}
	if _, err := b.EditSeat(t.Context(), m.ID, "nobody", meetings.SeatEdit{Name: &name}, 0); !errors.Is(err, greenroom.ErrNotFound) {
		t.Error(err)
	}
}

// What an earlier version took and today's refuses stays, and stands in the way of no other change.
func TestEditBesideWhatAnEarlierVersionStored(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := b.schedule()
	b.alter(m.ID, func(m *greenroom.Meeting) {
		m.Title, m.TimeZone = "Old\u202etitle", "Old/Zone"
		m.Seat("teacher").Email, m.Seat("student").Name = "foo@bar", "\u200b"
	})
	name, address, title, zone := "Ada", "sam@example.com", "Old\u202etitle", "Old/Zone"
	if _, err := b.EditSeat(t.Context(), m.ID, "teacher", meetings.SeatEdit{Name: &name}, 0); err != nil {
		t.Error(err)
	}
	got, err := b.Edit(t.Context(), m.ID, meetings.Edit{Title: &title, TimeZone: &zone, Seats: []meetings.SeatInput{
		{ID: "teacher", Role: "teacher", Name: "Ada", Email: "foo@bar"}, {ID: "student", Role: "student", Name: "\u200b", Email: address},
	}}, 0)
	if err != nil || got.Seat("student").Email != address || got.Seat("teacher").Name != "Ada" || got.Title != title {
		t.Errorf("%+v, %v", got, err)
	}
	wrong := "bar@foo"
	_, err = b.EditSeat(t.Context(), m.ID, "teacher", meetings.SeatEdit{Email: &wrong}, 0)
	if bad, ok := errors.AsType[*greenroom.InvalidError](err); !ok || bad.Fields[0].Field != "email" {
		t.Error(err)
	}
}

// connect has the seat's participant connected, as the desktop's reports would.
func (b *bundle) connect(id, seat string) greenroom.Meeting {
	b.t.Helper()
	b.stand(id, seat, greenroom.InUse)
	return b.alter(id, func(m *greenroom.Meeting) { m.Seat(seat).Desktop.Agent.Connections = 1 })
}

func TestNobodyIsCutOffWithoutForce(t *testing.T) {
	t.Parallel()
	calls := map[string]func(context.Context, *bundle, string, bool) (greenroom.Meeting, error){
		"remove": func(ctx context.Context, b *bundle, id string, force bool) (greenroom.Meeting, error) {
			return b.RemoveSeat(ctx, id, "student", force, 0)
		},
		"replace": func(ctx context.Context, b *bundle, id string, force bool) (greenroom.Meeting, error) {
			return b.ReplaceDesktop(ctx, id, "student", "the screen is frozen", force, 0)
		},
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			m := b.connect(b.schedule().ID, "student")
			_, err := call(t.Context(), b, m.ID, false)
			if _, in := errors.AsType[*meetings.OccupiedError](err); !in || !strings.Contains(greenroom.Sentence(err, ""), "Student One is in one now") {
				t.Errorf("without force: %v", err)
			}
			if now, _ := b.Meeting(t.Context(), m.ID); now.Version != m.Version || now.Seat("student") == nil {
				t.Error("and it was done")
			}
			if _, err := call(t.Context(), b, m.ID, true); err != nil {
				t.Errorf("with force: %v", err)
			}
		})
	}
}

func TestRemoveSeat(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := b.schedule()
	if _, err := b.RemoveSeat(t.Context(), m.ID, "student", false, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Standing(t.Context(), m.ID, "student", m.Seat("student").Key); !errors.Is(err, greenroom.ErrNotFound) {
		t.Errorf("the removed seat's link: %v", err)
	}
	if _, err := b.RemoveSeat(t.Context(), m.ID, "student", false, 0); !errors.Is(err, greenroom.ErrNotFound) {
		t.Errorf("twice: %v", err)
	}
	if _, err := b.RemoveSeat(t.Context(), m.ID, "teacher", false, 0); !errors.Is(err, greenroom.ErrConflict) {
		t.Errorf("the last seat: %v", err)
	}
}

func TestReplaceDesktop(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := b.schedule()
	if _, err := b.ReplaceDesktop(t.Context(), m.ID, "student", "frozen", false, 0); !errors.Is(err, greenroom.ErrConflict) {
		t.Errorf("before there is one: %v", err)
	}
	b.stand(m.ID, "student", greenroom.Ready)
	for _, reason := range []string{"", "  ", strings.Repeat("x", 201), "a\nb"} {
		_, err := b.ReplaceDesktop(t.Context(), m.ID, "student", reason, false, 0)
		if bad, ok := errors.AsType[*greenroom.InvalidError](err); !ok || bad.Fields[0].Field != "reason" {
			t.Errorf("reason %.10q: %v", reason, err)
		}
	}
	got, err := b.ReplaceDesktop(t.Context(), m.ID, "student", "the screen is frozen", false, 0)
	if s := got.Seat("student"); err != nil || !s.Replacing() || s.ReplaceReason != "the screen is frozen" {
		t.Fatalf("%+v, %v", s, err)
	}
	events, err := b.Events(t.Context(), m.ID, 0, 100)
	if err != nil || !slices.ContainsFunc(events, func(e greenroom.Event) bool {
		return e.Kind == greenroom.EventReplaced && e.Seat == "student" && e.Data["reason"] == "the screen is frozen"
	}) {
		t.Errorf("%+v, %v", events, err)
	}
}

func TestReissuedLinkRevokesWhatWasGiven(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m, _, verifier := b.ready()
	m = b.alter(m.ID, func(m *greenroom.Meeting) { m.Seat("teacher").Desktop.Address = "10.0.0.7" })
	host := m.Seat("teacher").Desktop.Hostname
	unused, used, passed := token(t, b.enter(m, "teacher")), token(t, b.enter(m, "teacher")), token(t, b.enter(m, "teacher"))
	if v, err := b.Verify(t.Context(), verifier, "console", used, "127.0.0.1"); err != nil || !v.OK {
		t.Fatalf("%+v, %v", v, err)
	}
	_, pass, err := b.Admit(t.Context(), host, passed, "127.0.0.1")
	way, err2 := b.Way(t.Context(), host)
	if err != nil || err2 != nil || !b.Holds(way, pass) {
		t.Fatal(pass, err, err2)
	}
	if _, err := b.ReissueKey(t.Context(), m.ID, "teacher", ""); err != nil {
		t.Fatal(err)
	}
	for name, secret := range map[string]string{"an unused token": unused, "a used token": used} {
		if v, err := b.Verify(t.Context(), verifier, "console", secret, "127.0.0.1"); err != nil || v.OK {
			t.Errorf("%s still opens: %+v, %v", name, v, err)
		}
	}
	if way, err = b.Way(t.Context(), host); err != nil || b.Holds(way, pass) {
		t.Errorf("the pass still opens, or %v", err)
	}
	now, _ := b.Meeting(t.Context(), m.ID)
	if _, pass, err := b.Admit(t.Context(), host, token(t, b.enter(now, "teacher")), "127.0.0.1"); err != nil || !b.Holds(way, pass) {
		t.Errorf("the new link's pass does not open: %v", err)
	}
}

func TestEditOfTheWholeList(t *testing.T) {
	t.Parallel()
	in := func(id, role, name string) meetings.SeatInput {
		return meetings.SeatInput{ID: id, Role: role, Name: name}
	}
	for name, c := range map[string]struct {
		list []meetings.SeatInput
		want string // ids with names; new ones have a new link
	}{
		"ById":              {[]meetings.SeatInput{in("student-2", "", "B"), in("teacher", "teacher", "T")}, "teacher=T student-2=B"},
		"OnlyOneOfItsRole":  {[]meetings.SeatInput{in("", "teacher", "Other"), in("student-1", "student", "A"), in("student-2", "student", "B")}, "teacher=Other student-1=A student-2=B"},
		"ByName":            {[]meetings.SeatInput{in("", "student", "B"), in("", "student", "A")}, "student-1=A student-2=B"},
		"AnotherNameIsNew":  {[]meetings.SeatInput{in("", "student", "B"), in("", "student", "C")}, "student-2=B student-3=C"},
		"AnotherOfARole":    {[]meetings.SeatInput{in("teacher", "", "T"), in("", "teacher", "U")}, "teacher=T teacher-2=U"},
		"TwoOfTheSameName":  {[]meetings.SeatInput{in("", "student", "A"), in("", "student", "A")}, "student-1=A student-3=A"},
		"NameOfARemovedOne": {[]meetings.SeatInput{in("student-1", "student", "B")}, "student-1=B"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, sched := setup(t), okInput()
			sched.Seats = []meetings.SeatInput{in("", "teacher", "T"), in("", "student", "A"), in("", "student", "B")}
			before, _, err := b.Schedule(t.Context(), sched, "")
			if err != nil {
				t.Fatal(err)
			}
			m, err := b.Edit(t.Context(), before.ID, meetings.Edit{Seats: c.list}, 0)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, s := range m.Present() {
				got = append(got, s.ID+"="+s.Name)
				if was := before.Seat(s.ID); was != nil && was.Key != s.Key {
					t.Errorf("%s has another link", s.ID)
				}
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("got %v, want %s", got, c.want)
			}
		})
	}
	for field, list := range map[string][]meetings.SeatInput{
		"seats[0].id":   {in("student-9", "student", "")},
		"seats[1].id":   {in("student", "student", ""), in("student", "student", "")},
		"seats[0].role": {in("student", "teacher", "")},
	} {
		b := setup(t)
		_, err := b.Edit(t.Context(), b.schedule().ID, meetings.Edit{Seats: list}, 0)
		if bad, ok := errors.AsType[*greenroom.InvalidError](err); !ok || bad.Fields[0].Field != field {
			t.Errorf("want a fault at %s, got %v", field, err)
		}
	}
}
