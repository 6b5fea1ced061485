package web

import (
	"fmt"
	"maps"
	"strings"
	"time"

	"greenroom"
	"greenroom/internal/meetings"
	"greenroom/internal/roster"
)

// cannedForm is the schedule form, as it comes or with everything wrong that can be.
func cannedForm(faulty bool) scheduleForm {
	lab := greenroom.DefaultBlueprint()
	lab.Name, lab.Seats = "lab", []string{"host", "guest-one", "guest-two"}
	form := newScheduleForm([]greenroom.Blueprint{greenroom.DefaultBlueprint(), lab}, cannedNow)
	form.Key, form.Fresh = "idempotency-key", false
	if !faulty {
		return form
	}
	_, form.Choices, _ = resolve("2025-11-02T01:30", "America/New_York", "")
	form.StartsAt, form.TimeZone = "2025-11-02T01:30", "America/New_York"
	form.Notice = "Not scheduled yet: something needs a second look."
	form.Blueprints[0].Roles[0].Rows[0].Name, form.Blueprints[0].Roles[0].Rows[0].At = "Ada Byron", "seats[0]"
	row := &form.Blueprints[0].Roles[1].Rows[0]
	row.Email, row.At = "student at example.com", "seats[1]"
	form.Errors = faults{
		"title":          "give the meeting a title",
		"starts_at":      "clocks in America/New York are set back on that day, so 01:30 comes twice; choose which one you mean",
		"duration":       "a meeting takes from 1m to 11h20m",
		"seats[1].email": "this is no e-mail address",
	}
	return form
}

func cannedHome(faulty bool) homePage {
	return homePage{frame: stillFrame("Schedule a meeting", "home"), Form: cannedForm(faulty), Upcoming: cannedRows(), More: true}
}

func cannedRows() []row {
	var rows []row
	for _, m := range cannedMeetings() {
		switch m.name {
		case "meeting-faults", "meeting-stale-edit", "meeting-parked", "meeting-people", "meeting-desktop-trouble", "meeting-removed", "meeting-away":
			continue
		}
		if m.meeting.EndReason == "" {
			rows = append(rows, newRow(&m.meeting))
		}
	}
	return rows
}

func cannedList(rows []row) listPage {
	p := listPage{frame: stillFrame("Meetings", "list"), Rows: rows, Empty: listChoices[0].empty}
	for i, c := range listChoices {
		p.Filters = append(p.Filters, listFilter{Name: c.name, URL: listURL(c.show, ""), Current: i == 0})
	}
	if rows != nil {
		p.Next = listURL("upcoming", "cursor")
	}
	return p
}

type cannedMeeting struct {
	name    string
	meeting greenroom.Meeting
	now     time.Time
}

// cannedMeetings is a meeting in every state, in the order of a life.
func cannedMeetings() []cannedMeeting {
	start := cannedNow.Add(8 * time.Minute)
	base := greenroom.Meeting{
		ID: "k3v9m2x7c4p8q1r5", Version: 3, Title: "Algebra, lesson 4", StartsAt: start, EndsAt: start.Add(time.Hour),
		TimeZone: "America/New_York", Blueprint: greenroom.DefaultBlueprint(), CreatedAt: start.Add(-26 * time.Hour),
		Seats: []greenroom.Seat{
			{ID: "teacher", Role: "teacher", Name: "Ada Byron", Email: "ada@example.com", Key: "k1", Desktop: cannedDesktop(greenroom.Planned, start)},
			{ID: "student", Role: "student", Name: "Sam Ortega-Fitzwilliam", Key: "k2", Desktop: cannedDesktop(greenroom.Planned, start)},
		},
	}
	with := func(name, title string, now time.Time, change func(m *greenroom.Meeting)) cannedMeeting {
		m := base.Clone()
		m.Title = title
		change(&m)
		return cannedMeeting{name, m, now}
	}
	phases := func(m *greenroom.Meeting, a, b greenroom.Phase) {
		m.Seats[0].Desktop, m.Seats[1].Desktop = cannedDesktop(a, start), cannedDesktop(b, start)
	}
	return []cannedMeeting{
		with("meeting-scheduled", "User study 12: the checkout flow, second round", cannedNow.Add(-20*time.Hour), func(*greenroom.Meeting) {}),
		with("meeting-faults", "Algebra, lesson 4", cannedNow.Add(-20*time.Hour), func(*greenroom.Meeting) {}),
		with("meeting-stale-edit", "Geometry", cannedNow.Add(-20*time.Hour), func(*greenroom.Meeting) {}),
		with("meeting-preparing", base.Title, cannedNow, func(m *greenroom.Meeting) { phases(m, greenroom.Proving, greenroom.Booting) }),
		with("meeting-ready", "Interview with Robin", cannedNow, func(m *greenroom.Meeting) { phases(m, greenroom.Ready, greenroom.Ready) }),
		with("meeting-in-progress", "Hands-on lab", start.Add(20*time.Minute), func(m *greenroom.Meeting) {
			phases(m, greenroom.InUse, greenroom.Booting)
			m.Seats[0].UsedAt = start
			m.Seats[1].Desktop.Attempt = 2
			m.Seats[1].Desktop.Error = "The first machine did not start within 5 minutes; another one is being started."
		}),
		with("meeting-desktop-trouble", "Hands-on lab", start.Add(40*time.Minute), func(m *greenroom.Meeting) {
			phases(m, greenroom.InUse, greenroom.InUse)
			m.Seats[0].UsedAt, m.Seats[1].UsedAt = start, start
			m.Seats[0].Desktop.Agent.ReportedAt = start.Add(38 * time.Minute)
			m.Seats[0].Desktop.Agent.Licence = "unlicensed"
			m.Seats[0].Desktop.Agent.Problem = "DCV does not tell who is connected: dcv list-connections console -j: context deadline exceeded"
		}),
		with("meeting-parked", base.Title, start.Add(5*time.Minute), func(m *greenroom.Meeting) {
			phases(m, greenroom.InUse, greenroom.Booting)
			m.Seats[0].UsedAt = start
			m.ParkedAt, m.ParkedUntil, m.ParkedReason = start.Add(2*time.Minute), start.Add(32*time.Minute), "the student's machine does not come up; looking at the provider"
		}),
		with("meeting-people", strings.Repeat("Class", 20), start.Add(10*time.Minute), func(m *greenroom.Meeting) {
			phases(m, greenroom.InUse, greenroom.Ready)
			m.Seats[1].ID, m.Seats[1].Name = "student-1", strings.Repeat("Bartholomew", 9)
			more := m.Clone().Seats[1]
			more.ID, more.Name, more.Email = "student-2", "", "second@example.com"
			m.Seats = append(m.Seats, more)
		}),
		with("meeting-ended", "Office hours", start.Add(2*time.Hour), func(m *greenroom.Meeting) {
			phases(m, greenroom.Gone, greenroom.Gone)
			m.EndReason, m.EndedAt = greenroom.EndedByHost, start.Add(50*time.Minute)
			m.Seats[0].SessionData = &greenroom.SessionData{URL: "s3://recordings/k3v9m2x7c4p8q1r5_teacher.zip", At: start}
			m.Seats[1].Desktop.EndReason = greenroom.RemovedNoShow
		}),
		with("meeting-cancelled", "Algebra, lesson 4", cannedNow.Add(-time.Hour), func(m *greenroom.Meeting) {
			m.EndReason, m.EndedAt = greenroom.Cancelled, cannedNow.Add(-time.Hour)
			for i := range m.Seats {
				m.Seats[i].Desktop.Phase, m.Seats[i].Desktop.EndReason = greenroom.Gone, greenroom.RemovalReason(greenroom.Cancelled)
			}
		}),
		with("meeting-ending", "Office hours", start.Add(50*time.Minute), func(m *greenroom.Meeting) {
			phases(m, greenroom.Terminating, greenroom.Gone)
			m.EndReason, m.EndedAt = greenroom.EndedByHost, start.Add(50*time.Minute)
			m.Seats[0].Desktop.EndReason = greenroom.RemovalReason(greenroom.EndedByHost)
		}),
		with("meeting-removed", "Hands-on lab", start.Add(20*time.Minute), func(m *greenroom.Meeting) {
			phases(m, greenroom.Gone, greenroom.Gone)
			m.Seats[0].Desktop.EndReason, m.Seats[1].Desktop.EndReason = greenroom.RemovedNoShow, greenroom.RemovedKillTime
		}),
		with("meeting-away", "Hands-on lab", start.Add(70*time.Minute), func(m *greenroom.Meeting) {
			phases(m, greenroom.InUse, greenroom.InUse)
			m.Seats[0].UsedAt, m.Seats[1].UsedAt = start, start
			m.Seats[1].Desktop.Agent.Connections, m.Seats[1].Desktop.Agent.DisconnectedAt = 0, start.Add(58*time.Minute)
			m.Seats[1].Desktop.Present = nil
			m.Seats[0].Desktop.Present = append(m.Seats[0].Desktop.Present, greenroom.Connection{ID: "b2", Client: "198.51.100.23", Since: start.Add(55 * time.Minute), Role: "watch"})
		}),
		with("meeting-long-words", strings.Repeat("Donaudampfschifffahrt", 9), cannedNow, func(m *greenroom.Meeting) {
			m.Seats[0].Name, m.Seats[1].Name = strings.Repeat("W", 100), strings.Repeat("שלום", 25)
			phases(m, greenroom.Proving, greenroom.Booting)
		}),
		with("meeting-failed", "Demo for the board", start.Add(2*time.Hour), func(m *greenroom.Meeting) {
			phases(m, greenroom.Failed, greenroom.Failed)
			m.Seats[0].Desktop.Cleared, m.Seats[1].Desktop.Cleared = true, true
			m.Seats[0].Desktop.Error = "Xtigervnc is not installed. Install it with: apt-get install tigervnc-standalone-server"
			m.EndReason, m.EndedAt = greenroom.GaveUp, start
		}),
	}
}

// cannedPeople are the forms about people of a meeting, sent and not taken.
func cannedPeople(m *greenroom.Meeting) sentForms {
	add := newAddForm(m)
	add.Open, add.Notice, add.Errors = true, "Nobody was added yet.", faults{}
	add.List.Text = "Grace Hopper <grace@example.com>\nAlan Turing\talan@example.com\n"
	add.List.People, _ = roster.ReadPasted(add.List.Text, add.List.Role, m.Blueprint.Seats)
	add.List.Fault = "Alan Turing: a meeting of blueprint \"default\" has at most 3 seats of the role \"student\""
	return sentForms{add: &add, seat: &seatForm{
		Seat: "teacher", What: "replace", Reason: "the screen is frozen", Ask: true, Errors: faults{},
		Notice: "This change removes desktops that people use, with what is open on them: Ada Byron is in one now.",
	}}
}

// cannedDesktop is a desktop that came as far as phase, with believable times.
func cannedDesktop(phase greenroom.Phase, start time.Time) greenroom.Desktop {
	d := greenroom.Desktop{Phase: phase, Attempt: 1, Timings: map[greenroom.Phase]time.Time{}}
	at := start.Add(-10 * time.Minute)
	took := map[greenroom.Phase]time.Duration{greenroom.Launching: 240 * time.Millisecond, greenroom.Booting: 2400 * time.Millisecond, greenroom.Naming: 30 * time.Millisecond, greenroom.Proving: 610 * time.Millisecond}
	last := phase
	if phase == greenroom.Failed {
		last = greenroom.Booting
	}
	for _, p := range greenroom.Phases()[1:] {
		if last == greenroom.Planned || p == greenroom.Gone {
			break
		}
		d.Timings[p] = at
		at = at.Add(took[p])
		if p == last {
			break
		}
	}
	if _, ok := d.Entered(greenroom.Booting); ok {
		d.InstanceID, d.Address = "i-0f3a9c5d7e1b24680", "127.0.1.7"
	}
	if _, ok := d.Entered(greenroom.Naming); ok {
		d.Hostname = d.InstanceID + ".desk.localhost"
	}
	if _, ok := d.Entered(greenroom.Ready); ok {
		d.Proof = &greenroom.Proof{OK: true, At: d.Timings[greenroom.Ready], Steps: []greenroom.ProofStep{
			{Name: "dns", OK: true, Took: greenroom.Duration(2 * time.Millisecond), Detail: d.Hostname + " is 127.0.1.7"},
			{Name: "tls", OK: true, Took: greenroom.Duration(31 * time.Millisecond), Detail: "valid for the name, issued by greenroom's own authority"},
			{Name: "page", OK: phase != greenroom.Gone, Took: greenroom.Duration(12 * time.Millisecond), Detail: "answered 200 with the desktop's page"},
		}}
	}
	if phase == greenroom.InUse {
		d.Agent = greenroom.AgentFacts{KeyHash: "5d41", Version: "1.4.0", Connections: 1, Licence: "licensed",
			ReportedAt: start.Add(19 * time.Minute), ActiveAt: start.Add(18 * time.Minute)}
		d.Present = []greenroom.Connection{{ID: "b1", Client: "203.0.113.7", Since: start.Add(2 * time.Minute), Role: "owner"}}
	}
	if phase == greenroom.Gone {
		d.EndReason = greenroom.RemovalReason(greenroom.EndedByHost)
	}
	return d
}

func cannedLinks(m *greenroom.Meeting) map[string]string {
	links := map[string]string{}
	for _, s := range m.Seats {
		links[s.ID] = fmt.Sprintf("http://127.0.0.1:8080/join/%s/%s?key=q7Zr2mXc9VbT4nKs8PwD1fGh6JyL3aEu5RoI0iUxYtB", m.ID, s.ID)
	}
	return links
}

func cannedEvents(m *greenroom.Meeting) []greenroom.Event {
	events := []greenroom.Event{{Seq: 1, At: m.CreatedAt, Kind: greenroom.EventScheduled, Message: "Scheduled for 1 December 2026, 15:00 UTC."}}
	add := func(at time.Time, kind greenroom.EventKind, role, message string) {
		events = append(events, greenroom.Event{Seq: int64(len(events) + 1), At: at, Kind: kind, Seat: role, Message: message})
	}
	for _, s := range m.Seats {
		timings := maps.Clone(s.Desktop.Timings)
		for _, p := range greenroom.Phases() {
			at, ok := timings[p]
			switch {
			case ok && p == greenroom.Ready:
				add(at, greenroom.EventReady, s.ID, "Ready after 3.3 s: the name, the certificate and the desktop answer.")
			case ok && p == greenroom.InUse:
				add(at, greenroom.EventConnected, s.ID, s.Name+" is connected.")
			case ok:
				add(at, greenroom.EventPhase, s.ID, "The desktop is now "+string(p)+".")
			}
		}
		if s.Desktop.Error != "" {
			add(m.StartsAt, greenroom.EventFailed, s.ID, s.Desktop.Error)
		}
	}
	if !m.ParkedUntil.IsZero() {
		add(m.ParkedAt, greenroom.EventParked, "", "The meeting was parked: greenroom does nothing for it for 30m. Reason: "+m.ParkedReason)
	}
	if m.EndReason != "" {
		add(m.EndedAt, greenroom.EventEnded, "", m.EndReason.Words().Organiser)
	}
	return events
}

func cannedEdit(m *greenroom.Meeting) editForm {
	form := newEditForm(m)
	form.StartsAt, form.Notice = "2025-03-09T02:30", "Nothing was changed yet: something needs a second look."
	form.Errors = faults{"starts_at": "clocks in America/New York skip 02:30 on that day; choose a time an hour earlier or later"}
	return form
}

func cannedStale(m *greenroom.Meeting) editForm {
	now := newEditForm(m)
	was, form := now, now
	was.Title, form.Title = "Algebra, lesson 4", "Physics"
	form.rebase(was, now)
	form.Was, form.Notice = &now, staleNotice
	return form
}

type cannedStanding struct {
	name     string
	standing meetings.Standing
	now      time.Time
	back     bool
}

// cannedStandings is a seat in everything the lobby can say.
func cannedStandings() []cannedStanding {
	start := cannedNow.Add(8 * time.Minute)
	base := meetings.Standing{
		Meeting: "k3v9m2x7c4p8q1r5", Title: "Algebra, lesson 4", Seat: "student", Role: "student", Name: "Sam Ortega", State: greenroom.Scheduled, Phase: greenroom.Planned,
		StartsAt: start, EndsAt: start.Add(time.Hour), TimeZone: "America/New_York", OpensAt: start.Add(-10 * time.Minute), RetryIn: 2 * time.Second,
		VideoURL: "https://meet.example.com/k3v9m2x7c4p8q1r5",
	}
	stages := func(current int) []meetings.Stage {
		var out []meetings.Stage
		for i, p := range []greenroom.Phase{greenroom.Launching, greenroom.Booting, greenroom.Naming, greenroom.Proving, greenroom.Ready} {
			out = append(out, meetings.Stage{Phase: p, Done: i < current, Current: i == current, Expected: 40 * time.Second})
		}
		return out
	}
	with := func(name string, now time.Time, change func(s *meetings.Standing)) cannedStanding {
		s := base
		change(&s)
		return cannedStanding{name: name, standing: s, now: now}
	}
	all := []cannedStanding{
		with("lobby-early", cannedNow.Add(-3*time.Hour), func(s *meetings.Standing) {
			s.Message, s.Stages = "Your desktop is started a few minutes before the meeting.", stages(-1)
		}),
		with("lobby-preparing", cannedNow, func(s *meetings.Standing) {
			s.State, s.Phase, s.Message, s.Stages, s.Estimate = greenroom.Preparing, greenroom.Booting, "Your desktop is starting up. You are let in as soon as it is ready.", stages(1), 75*time.Second
		}),
		with("lobby-failing", cannedNow.Add(9*time.Minute), func(s *meetings.Standing) {
			s.State, s.Phase, s.Failing, s.Stages, s.Estimate = greenroom.Preparing, greenroom.Launching, true, stages(0), 2*time.Minute
			s.Message = "The first machine did not start, so another one is being started for you. You need not do anything."
		}),
		with("lobby-parked", cannedNow.Add(13*time.Minute), func(s *meetings.Standing) {
			s.State, s.Phase, s.Parked, s.Stages = greenroom.InProgress, greenroom.Booting, true, stages(1)
			s.Message = "An operator has parked this meeting to look at a problem, so your desktop is not getting ready at the moment. It continues when it is resumed, and by 10:32 EST at the latest. Stay on this page: it takes you in by itself. If you cannot wait, tell the organiser."
		}),
		with("lobby-ready", cannedNow.Add(4*time.Minute), func(s *meetings.Standing) {
			s.State, s.Phase, s.CanEnter, s.Message, s.Stages = greenroom.AllReady, greenroom.Ready, true, "You are taken there now.", stages(5)
		}),
		with("lobby-wanted", cannedNow.Add(30*time.Minute), func(s *meetings.Standing) {
			s.State, s.Phase, s.Wanted, s.Message = greenroom.InProgress, greenroom.Gone, true, "Nobody had used it 15 minutes after the start. The meeting still goes on: ask for a new desktop, and it is started for you."
		}),
		with("lobby-cancelled", cannedNow, func(s *meetings.Standing) {
			s.State, s.EndReason, s.Message = greenroom.Ended, greenroom.Cancelled, greenroom.Cancelled.Words().Participant
		}),
		with("lobby-ended", cannedNow.Add(time.Hour), func(s *meetings.Standing) {
			s.State, s.EndReason, s.Message = greenroom.Ending, greenroom.EndedByHost, greenroom.EndedByHost.Words().Participant
		}),
		with("lobby-long-words", cannedNow, func(s *meetings.Standing) {
			s.Title, s.Name = strings.Repeat("Donaudampfschifffahrt", 9), strings.Repeat("W", 100)
			s.State, s.Phase, s.Message, s.Stages, s.Estimate = greenroom.Preparing, greenroom.Booting, "Your desktop is starting.", stages(1), 75*time.Second
		}),
		with("lobby-failed", cannedNow.Add(time.Hour), func(s *meetings.Standing) {
			s.State, s.EndReason = greenroom.Ended, greenroom.GaveUp
			s.Message = "This meeting has ended because no desktop could be started for it. Tell the organiser, who can see the error."
		}),
	}
	back := with("lobby-return", cannedNow.Add(20*time.Minute), func(s *meetings.Standing) {
		s.State, s.Phase, s.CanEnter, s.Message, s.Stages, s.Name = greenroom.InProgress, greenroom.InUse, true, "It is still there, as you left it.", stages(5), ""
	})
	back.back = true
	return append(all, back)
}
