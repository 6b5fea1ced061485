package plan_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/plan"
)

// class is a meeting of a teacher and n students.
func class(n int, phase greenroom.Phase) greenroom.Meeting {
	m := onEC2(phase)
	m.Seats = m.Seats[:1]
	for i := range n {
		id := fmt.Sprint("student-", i+1)
		m.Seats = append(m.Seats, greenroom.Seat{ID: id, Role: "student", Key: "k", Desktop: desktop(m.ID, id, phase)})
	}
	return m
}

func TestThirtyOfOneRoleShareFewLaunches(t *testing.T) {
	t.Parallel()
	calls := map[string]int{}
	for id, l := range launches(decideIn(class(30, greenroom.Planned), start.Add(-10*time.Minute), "a").Meeting) {
		text := strings.Join(l.Seats, " ")
		calls[text]++
		if len(text) > greenroom.MaxLaunchText || !strings.Contains(text+" ", id+".1 ") {
			t.Errorf("%s is launched by %q", id, text)
		}
	}
	for text, n := range calls {
		if n != len(strings.Fields(text)) {
			t.Errorf("%d desktops have the call of %q", n, text)
		}
	}
	if len(calls) != 2 {
		t.Errorf("%d calls for 31 desktops", len(calls))
	}
}

func TestRolesOfOtherMachinesAreAskedForByThemselves(t *testing.T) {
	t.Parallel()
	m := class(2, greenroom.Planned)
	m.Seats[0], m.Seats[1] = m.Seats[1], m.Seats[0] // a student, the teacher, a student
	m.Blueprint.SetRoles([]greenroom.Role{{Name: "teacher", Count: 1, InstanceTypes: []string{"m7i.large"}}, {Name: "student", Count: 2}})
	s := plan.Snapshot{Meeting: m, Zone: "desk.localhost", Observed: true, Instances: listed(&m), Places: []string{"t3.large"}, RolePlaces: map[string][]string{"teacher": {"m7i.large"}}}
	got := launches(mustPlan(s, start.Add(-10*time.Minute)).Meeting)
	if l := got["teacher"]; fmt.Sprint(l.Seats) != "[teacher.1]" || l.Place != "m7i.large" {
		t.Errorf("the teacher: %+v", l)
	}
	if l := got["student-1"]; fmt.Sprint(l.Seats) != "[student-1.1 student-2.1]" || l.Place != "t3.large" || fmt.Sprint(got["student-2"]) != fmt.Sprint(l) {
		t.Errorf("the students: %+v", got)
	}
}

func TestASeatAddedToARunningMeetingIsLaunchedAtOnce(t *testing.T) {
	t.Parallel()
	m := ok(greenroom.Ready)
	inUse(&m, "teacher", start)
	m.Seats = append(m.Seats, greenroom.Seat{ID: "student-2", Role: "student", Desktop: greenroom.Desktop{Phase: greenroom.Planned, Attempt: 1}})
	d := decide(m, start.Add(5*time.Minute))
	if s := d.Meeting.Seat("student-2"); s.Desktop.Phase != greenroom.Launching || fmt.Sprint(verbs(d)) != "[launch student-2]" {
		t.Errorf("%s, %v", s.Desktop.Phase, verbs(d))
	}
}

func TestADesktopIsReplacedWhenTheOrganiserAsks(t *testing.T) {
	t.Parallel()
	at := start.Add(5 * time.Minute)
	replace := func(m *greenroom.Meeting) *greenroom.Seat {
		s := m.Seat("student")
		s.ReplaceAttempt, s.ReplaceReason = s.Desktop.Attempt, "frozen"
		return s
	}
	for _, phase := range []greenroom.Phase{greenroom.Launching, greenroom.Booting, greenroom.Naming, greenroom.Proving, greenroom.Ready, greenroom.InUse} {
		t.Run(string(phase), func(t *testing.T) {
			t.Parallel()
			m := ok(phase)
			for i := range m.Seats { // as young as its stage must be
				m.Seats[i].Desktop.Timings[phase] = at
			}
			replace(&m)
			d := decide(m, at)
			s := d.Meeting.Seat("student").Desktop
			if s.Phase != greenroom.Terminating || s.EndReason != greenroom.RemovedReplaced || d.Meeting.Seat("teacher").Desktop.Phase == greenroom.Terminating {
				t.Errorf("%s, %s", s.Phase, s.EndReason)
			}
		})
	}
	gone := map[string]func(d *greenroom.Desktop){
		"Gone": func(d *greenroom.Desktop) {
			d.Phase, d.EndReason = greenroom.Gone, greenroom.RemovedReplaced
		},
		"GoneForAnotherReason": func(d *greenroom.Desktop) { d.Phase, d.EndReason = greenroom.Gone, greenroom.RemovedNoShow },
		"GivenUp": func(d *greenroom.Desktop) {
			d.Phase, d.Permanent, d.Cleared, d.Error = greenroom.Failed, true, true, "No image."
			d.Timings[greenroom.Failed] = at
		},
	}
	for name, become := range gone {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := ok(greenroom.Ready)
			become(&replace(&m).Desktop)
			d := decide(m, at)
			if s := d.Meeting.Seat("student"); s.Desktop.Attempt != 2 || s.Desktop.Phase != greenroom.Launching || s.Replacing() {
				t.Errorf("%+v", s.Desktop)
			}
		})
	}
}
