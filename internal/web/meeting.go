package web

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"greenroom"
	"greenroom/internal/plaintext"
)

// Bounds of the timeline that a page shows.
const (
	eventsPerRead = 500
	eventsShown   = 200
)

// meetingPage is one meeting as its organiser sees it.
type meetingPage struct {
	frame
	ID       string
	Heading  string
	State    pill
	StartsAt time.Time
	EndsAt   time.Time
	TimeZone string
	ZoneHint string
	Ended    string // why it is over, once it is
	Next     string // what happens next, and when
	Parked   string // until when the meeting is parked, in words; "" if it is not
	Reason   string // the operator's word on it
	VideoURL string
	Version  int64
	Seats    []seatCard
	Timeline []timelineEntry
	Older    bool // the timeline is longer than shown
	Unlisted int  // entries that it had no room for
	Edit     editForm
	Add      addForm
	Editing  bool // the form was sent and has faults: show it open
	CanEdit  bool
	Plain    bool // no socket can be held open: the page asks now and then
	CanEnd   bool // otherwise the meeting is called off, not ended
}

// seatCard is one seat with its desktop.
type seatCard struct {
	ID       string
	Role     string
	Name     string
	Email    string
	Mail     string // a mailto address that carries the link
	JoinURL  string
	State    pill
	Phase    greenroom.Phase
	Note     string // what happened to the desktop, if that needs words
	Trouble  string // the last error
	Warnings []string
	Agent    *agentCard
	Stages   []stage
	Bar      bool // show the stages as a bar
	Desktop  greenroom.Desktop
	Proof    []proofLine
	ProofAt  time.Time
	DataURL  string
	ShowLink bool
	Form     seatForm // one about this seat that was sent and not taken
	CanEdit  bool
	Only     bool // the meeting has no other seat

	Browsers      []browser
	BrowserCount  string
	CanDisconnect bool
}

// stage is one step of a desktop's start, as shown to people.
type stage struct {
	Word     string
	Short    string // for where there is little room
	Done     bool
	Current  bool
	At       time.Time     // when it was entered
	Took     time.Duration // until the next one
	Expected time.Duration
}

type proofLine struct {
	Word   string
	OK     bool
	Took   time.Duration
	Detail string
}

type timelineEntry struct {
	At      time.Time
	Seat    string // its id
	Message string
	Tone    tone
}

func (w *Web) meeting(rw http.ResponseWriter, r *http.Request) error {
	m, err := w.service.Meeting(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	return w.writeMeeting(rw, r, http.StatusOK, m, nil)
}

// writeMeeting answers with the meeting's page.
func (w *Web) writeMeeting(rw http.ResponseWriter, r *http.Request, status int, m greenroom.Meeting, sent *sentForms) error {
	events, err := w.timeline(r, m.ID)
	if err != nil {
		return err
	}
	links := map[string]string{}
	for _, s := range m.Present() {
		links[s.ID] = w.service.JoinURL(m, *s)
	}
	now := time.Now()
	p := newMeetingPage(&m, events, links, now)
	p.frame = w.frame(r, m.Title, "list", now)
	p.VideoURL, p.Plain = w.service.VideoURL(m), w.hub == nil
	if sent != nil {
		p.show(*sent)
	}
	return w.view.write(rw, r, status, "meeting", p)
}

// show opens the forms that were sent, with what was typed and what is wrong with it.
func (p *meetingPage) show(sent sentForms) {
	if sent.edit != nil {
		p.Edit, p.Editing = *sent.edit, true
	}
	if sent.add != nil {
		p.Add = *sent.add
	}
	for i := range p.Seats {
		if sent.seat != nil && p.Seats[i].ID == sent.seat.Seat {
			p.Seats[i].Form = *sent.seat
		}
	}
}

// timeline reads a meeting's events to the last; only the latest are kept.
func (w *Web) timeline(r *http.Request, id string) ([]greenroom.Event, error) {
	var all []greenroom.Event
	var after int64
	for {
		batch, err := w.service.Events(r.Context(), id, after, eventsPerRead)
		if err != nil {
			return nil, err
		}
		all = append(all, batch...)
		if len(all) > eventsShown+1 {
			all = slices.Delete(all, 0, len(all)-eventsShown-1) // one more tells that there are older ones
		}
		if len(batch) < eventsPerRead {
			return all, nil
		}
		after = batch[len(batch)-1].Seq
	}
}

func newMeetingPage(m *greenroom.Meeting, events []greenroom.Event, links map[string]string, now time.Time) meetingPage {
	state := m.State()
	p := meetingPage{
		ID: m.ID, Heading: m.Title, State: statePill(state, m.EndReason), Version: m.Version,
		StartsAt: m.StartsAt, EndsAt: m.EndsAt, TimeZone: m.TimeZone, ZoneHint: zoneHint(m.StartsAt, m.TimeZone),
		Next: next(m, now), Edit: newEditForm(m), Add: newAddForm(m),
		CanEdit: m.EndReason == "", CanEnd: m.Used() || !now.Before(m.StartsAt),
	}
	if m.EndReason != "" {
		p.Ended = m.EndReason.Words().Organiser
	}
	if m.ParkedUntil.After(now) {
		p.Parked, p.Reason, p.Next = clock(m.ParkedUntil, m.TimeZone), m.ParkedReason, ""
	}
	p.Unlisted = m.Unlisted
	for _, s := range m.Present() {
		p.Seats = append(p.Seats, newSeatCard(m, s, links[s.ID], now))
	}
	if len(events) > eventsShown {
		events, p.Older = events[len(events)-eventsShown:], true
	}
	for _, e := range slices.Backward(events) {
		p.Timeline = append(p.Timeline, timelineEntry{At: e.At, Seat: e.Seat, Message: e.Message, Tone: eventTones[e.Kind]})
	}
	return p
}

func newSeatCard(m *greenroom.Meeting, s *greenroom.Seat, link string, now time.Time) seatCard {
	d := s.Desktop
	c := seatCard{
		ID: s.ID, Role: s.Role, Name: s.Name, Email: s.Email, JoinURL: link, ShowLink: m.EndReason == "", CanEdit: m.EndReason == "", Only: len(m.Present()) == 1, Form: seatForm{Name: s.Name, Email: s.Email},
		State: seatPill(m, &d), Phase: d.Phase, Desktop: d, Stages: desktopStages(&d),
		Warnings: warnings(&d, m.TimeZone, now), Agent: newAgentCard(&d),
	}
	if s.Email != "" {
		c.Mail = mailto(m, s, link)
	}
	if c.Note = removal(m, &d); c.Note == "" {
		c.Trouble = d.Error
	}
	c.Browsers, c.CanDisconnect = browsers(&d), m.EndReason == "" && m.Blueprint.Protocol != greenroom.DCV
	c.BrowserCount = browserCount(c.Browsers)
	c.Bar = shownStages(&d)
	if d.Proof != nil {
		c.ProofAt = d.Proof.At
		for _, step := range d.Proof.Steps {
			word, ok := proofWords[step.Name]
			if !ok {
				word = step.Name
			}
			c.Proof = append(c.Proof, proofLine{Word: word, OK: step.OK, Took: time.Duration(step.Took), Detail: step.Detail})
		}
	}
	if s.SessionData != nil {
		c.DataURL = s.SessionData.URL
	}
	return c
}

// desktopStages are the steps from the launch to ready, with the times that were measured.
func desktopStages(d *greenroom.Desktop) []stage {
	order := []greenroom.Phase{greenroom.Launching, greenroom.Booting, greenroom.Naming, greenroom.Proving, greenroom.Ready}
	out := make([]stage, len(order))
	for i, phase := range order {
		at, entered := d.Entered(phase)
		out[i] = stage{Word: phase.Words().Step, Short: phase.Words().StepShort, At: at, Current: d.Phase == phase && phase.Starting()}
		if phase == greenroom.Ready {
			out[i].Done = entered
			continue
		}
		if end, ok := d.Entered(order[i+1]); entered && ok {
			out[i].Done, out[i].Took = true, end.Sub(at)
		}
	}
	return out
}

// next says what will happen without anybody's doing, from the rules the meeting was scheduled with.
func next(m *greenroom.Meeting, now time.Time) string {
	rules, at := m.Blueprint.Rules, func(t time.Time) string { return clock(t, m.TimeZone) }
	switch m.State() {
	case greenroom.Scheduled:
		if now.Before(m.LaunchAt()) {
			return fmt.Sprintf("Desktops are started at %s, %s before the meeting.", at(m.LaunchAt()), roughly(time.Duration(rules.Lead)))
		}
		return "Desktops are about to be started."
	case greenroom.Preparing:
		return "Desktops are being started. Whoever waits in the lobby is let in as soon as theirs is ready."
	case greenroom.AllReady:
		return readyOutlook(m, now)
	case greenroom.InProgress:
		return endOutlook(m, now)
	case greenroom.Waiting:
		return waitingSentence(m)
	case greenroom.Ending:
		return "Desktops, their names and their access are being removed."
	default:
		return ""
	}
}

// waitingSentence says what holds for a meeting without desktops.
func waitingSentence(m *greenroom.Meeting) string {
	end := clock(m.EndsAt, m.TimeZone)
	if m.Used() {
		return fmt.Sprintf("No desktop runs at the moment. Whoever opens their link before %s gets one.", end)
	}
	return fmt.Sprintf("Nobody has come, so no desktop runs. Whoever opens their link before %s gets one; if nobody does, the meeting ends then.", end)
}

// eventTones says how each entry of a timeline looks.
var eventTones = map[greenroom.EventKind]tone{
	greenroom.EventScheduled: calm, greenroom.EventChanged: calm, greenroom.EventPhase: calm, greenroom.EventEnrolled: calm, greenroom.EventVerified: calm,
	greenroom.EventDisconnected: calm, greenroom.EventRequested: calm, greenroom.EventSessionData: calm, greenroom.EventProblemOver: calm,
	greenroom.EventKeyReissued: calm, greenroom.EventReplaced: calm, greenroom.EventResumed: calm,
	greenroom.EventReady: good, greenroom.EventConnected: good, greenroom.EventEntered: good,
	greenroom.EventRetry: busy, greenroom.EventProblem: busy, greenroom.EventEnding: busy, greenroom.EventParked: busy, greenroom.EventSweptInstance: busy,
	greenroom.EventFailed: bad, greenroom.EventInstanceLost: bad, greenroom.EventRefused: bad,
	greenroom.EventEnded: over,
}

// mailto is an e-mail to the seat's person with their link, for the organiser to send.
func mailto(m *greenroom.Meeting, s *greenroom.Seat, link string) string {
	title := plaintext.Clean(m.Title)
	body := fmt.Sprintf("%s\n%s, %s (%s)\n\nYour link, for you alone:\n%s\n",
		title, day(m.StartsAt, m.TimeZone), span(m.StartsAt, m.EndsAt, m.TimeZone), zoneHint(m.StartsAt, m.TimeZone), link)
	return "mailto:" + url.PathEscape(s.Email) + "?subject=" + url.PathEscape(title) + "&body=" + url.PathEscape(body)
}
