package meetings

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"greenroom"
	"greenroom/internal/agent/agentapi"
)

// How stale the least of what a desktop tells may become. Reports come every ten seconds, and one that says nothing new is not
// worth a write.
const (
	activityStep = time.Minute     // of the last input
	wordStep     = 5 * time.Minute // of when the agent was heard last
	doubtStep    = 5 * time.Second // the same, of a desktop that does not answer: that its agent lives is evidence
)

// Report takes a desktop's present state and answers with what the desktop should know. Only news is saved:
// a heartbeat that says what is known costs no write.
func (s *Service) Report(ctx context.Context, token string, in agentapi.Report) (agentapi.Orders, error) {
	if len(in.Connections) > agentapi.MaxConnections {
		return agentapi.Orders{}, s.refuseReport(ctx, token)
	}
	return s.ordered(ctx, token, func(_ *greenroom.Meeting, seat *greenroom.Seat, now time.Time) ([]greenroom.Event, error) {
		news, events := learn(seat, in, now)
		noted, more := note(seat, in, now)
		events = append(events, more...)
		switch {
		case !news && !noted && !stale(&seat.Desktop, in, now):
			return nil, errUnchanged
		case !news:
			remember(&seat.Desktop.Agent, in, now)
			return events, errNoted
		}
		remember(&seat.Desktop.Agent, in, now)
		return events, nil
	})
}

// Orders is what the answer to a report would be now. It takes none: whoever waits for news says nothing new.
func (s *Service) Orders(ctx context.Context, token string) (agentapi.Orders, error) {
	return s.ordered(ctx, token, func(*greenroom.Meeting, *greenroom.Seat, time.Time) ([]greenroom.Event, error) {
		return nil, errUnchanged
	})
}

// Claimed is the meeting that a desktop's secret claims to be of, true or not; "" if it is no desktop's.
func Claimed(secret string) string {
	h, _ := handle(secret)
	return h.Meeting
}

// ordered makes a change as the desktop, and tells what becomes of it.
func (s *Service) ordered(ctx context.Context, token string, change func(*greenroom.Meeting, *greenroom.Seat, time.Time) ([]greenroom.Event, error)) (agentapi.Orders, error) {
	m, h, err := s.asDesktop(ctx, forAgent, token, change)
	switch {
	case errors.Is(err, greenroom.ErrForbidden) && s.retired(ctx, h):
		return agentapi.Orders{Retired: true}, nil
	case errors.Is(err, greenroom.ErrForbidden):
		return agentapi.Orders{}, err
	case err != nil:
		return agentapi.Orders{}, fmt.Errorf("take report: %w", err)
	}
	return ordersOf(&m, m.AnySeat(h.Seat)), nil
}

// ordersOf are what the participant of a desktop, and its agent, are told of its end.
func ordersOf(m *greenroom.Meeting, seat *greenroom.Seat) agentapi.Orders {
	orders := agentapi.Orders{EndsAt: m.EndsAt, Links: seat.Rekeyed, Close: seat.Desktop.Closing}
	switch {
	case seat.Removed:
		orders.Ending = "The organiser took your seat off the meeting."
	case m.EndReason != "":
		orders.Ending = m.EndReason.Words().Participant
	case seat.Desktop.Phase == greenroom.Terminating:
		orders.Ending = seat.Desktop.EndReason.Words().Participant
	}
	return orders
}

// refuseReport refuses a report of more connections than a desktop can have.
func (s *Service) refuseReport(ctx context.Context, token string) error {
	if err := s.RefuseCall(ctx, token, "A report of too many connections was refused."); err != nil {
		return err
	}
	var bad greenroom.InvalidError
	bad.Add("connections", "at most %d connections", agentapi.MaxConnections)
	return bad.Err()
}

// retired reports whether the attempt is over. Its secrets can no longer be checked then, but whoever asks learns
// only that it should end itself.
func (s *Service) retired(ctx context.Context, h greenroom.Handle) bool {
	m, err := s.Meeting(ctx, h.Meeting)
	if err != nil {
		return false
	}
	seat := m.AnySeat(h.Seat)
	return seat == nil || seat.Desktop.Attempt > h.Attempt || seat.Desktop.Attempt == h.Attempt && !seat.Desktop.MayExist()
}

// entry is one of the timeline about the seat's desktop.
func entry(seat *greenroom.Seat, now time.Time, kind greenroom.EventKind, message string, data map[string]string) greenroom.Event {
	return greenroom.Event{At: now, Kind: kind, Seat: seat.ID, Attempt: seat.Desktop.Attempt, Message: message, Data: data}
}

// learn folds what the plan goes by into the desktop's facts, and reports whether there was news.
func learn(seat *greenroom.Seat, in agentapi.Report, now time.Time) (bool, []greenroom.Event) {
	d := &seat.Desktop
	a := &d.Agent
	var events []greenroom.Event
	news := false
	if in.Ready && a.ReadyAt.IsZero() {
		a.ReadyAt, news = now, true
		events = append(events, entry(seat, now, greenroom.EventPhase, "The screen is up and its applications run.", nil))
	}
	if in.Error != "" && a.Error == "" {
		a.Error, a.Permanent, news = sentence(in.Error), in.Permanent, true
	}
	if in.EndHooks != a.EndHooks {
		a.EndHooks, news = in.EndHooks, true
	}
	if in.Ended && a.EndedAt.IsZero() && d.Phase == greenroom.Terminating {
		a.EndedAt, news = now, true
		events = append(events, entry(seat, now, greenroom.EventPhase, "The desktop's end hooks have ended.", nil))
	}
	if e := connections(seat, participants(in.Connections), now); e != nil {
		events, news = append(events, *e), true
	}
	if d.Enterable() && presence(d, in.Connections) {
		news = true
	}
	return news, events
}

// note folds what people want to know, and the plan does not go by, into the desktop's facts. It reports whether any of it changed.
func note(seat *greenroom.Seat, in agentapi.Report, now time.Time) (bool, []greenroom.Event) {
	a := &seat.Desktop.Agent
	problem, licence := sentence(in.Problem), clip(sentence(in.Licence))
	version := a.Version
	if in.Version != "" { // agents of before only tell it when they enrol
		version = clip(sentence(in.Version))
	}
	changed := problem != a.Problem || licence != a.Licence || version != a.Version
	var events []greenroom.Event
	if problem != a.Problem {
		events = append(events, tellProblem(seat, problem, now)...)
	}
	if was, is := licensed(a.Licence), licensed(licence); was != is {
		events = append(events, tellLicence(seat, licence, now)...)
	}
	a.Problem, a.Licence, a.Version = problem, licence, version
	return changed, events
}

// Names under which a desktop's troubles are counted.
const (
	countedProblem = "problem"
	countedLicence = "licence"
)

// tellProblem tells of the desktop's problem, or that it is over if its coming was told of.
func tellProblem(seat *greenroom.Seat, problem string, now time.Time) []greenroom.Event {
	d := &seat.Desktop
	switch {
	case problem == "" && worthTelling(d.Refused[countedProblem]):
		return []greenroom.Event{entry(seat, now, greenroom.EventProblemOver, "The desktop's problem is over: "+d.Agent.Problem, nil)}
	case problem != "" && worthTelling(count(d, countedProblem)):
		return []greenroom.Event{entry(seat, now, greenroom.EventProblem, "The desktop reports a problem: "+problem, nil)}
	}
	return nil
}

// tellLicence tells that the licence of the desktop's server has become bad or good.
func tellLicence(seat *greenroom.Seat, licence string, now time.Time) []greenroom.Event {
	d := &seat.Desktop
	data := map[string]string{"licence": licence}
	switch {
	case licensed(licence) && worthTelling(d.Refused[countedLicence]):
		return []greenroom.Event{entry(seat, now, greenroom.EventProblemOver, "DCV's licence is good again.", data)}
	case !licensed(licence) && worthTelling(count(d, countedLicence)):
		return []greenroom.Event{entry(seat, now, greenroom.EventProblem, LicenceTrouble(licence), data)}
	}
	return nil
}

// licensed reports whether the desktop server's licence is good, or nothing is known of it.
func licensed(licence string) bool { return licence == "" || strings.EqualFold(licence, "licensed") }

// LicenceTrouble says what is wrong with the licence of a desktop's server and what to do, "" if nothing is.
func LicenceTrouble(licence string) string {
	if licensed(licence) {
		return ""
	}
	return "DCV's licence is " + licence + ": on EC2 the instance profile must let the machine read s3://dcv-license.REGION, and the machine must reach S3."
}

// worthTelling reports whether the timeline tells of the nth trouble of a kind: of each at first, and then seldom. It never
// does when trouble is no longer counted.
func worthTelling(n int) bool { return n >= 1 && n <= 3 || n == 10 || n == 100 }

// stale reports whether what is known of the desktop's life is older than it may be.
func stale(d *greenroom.Desktop, in agentapi.Report, now time.Time) bool {
	a := &d.Agent
	return lastInput(a, in, now).Sub(a.ActiveAt) >= activityStep || now.Sub(a.ReportedAt) >= wordStep ||
		d.Trust.Failed > 0 && now.Sub(a.ReportedAt) >= doubtStep
}

// remember takes over what changes with every report.
func remember(a *greenroom.AgentFacts, in agentapi.Report, now time.Time) {
	a.ReportedAt, a.ActiveAt = now, lastInput(a, in, now)
}

// Silent reports whether a desktop that is there has not been heard from for longer than its agent and the saving of its word
// take. What was written before agents' words were is no sign of silence.
func Silent(d *greenroom.Desktop, now time.Time) bool {
	at := d.Agent.ReportedAt
	return d.Phase.Live() && !at.IsZero() && now.Sub(at) > wordStep+time.Minute
}

// lastInput is when the desktop's participant last did something, as far as it was told. No clock is trusted to be ahead of ours.
func lastInput(a *greenroom.AgentFacts, in agentapi.Report, now time.Time) time.Time {
	last := a.ActiveAt
	for _, c := range participants(in.Connections) {
		if c.ActiveAt.After(now) {
			c.ActiveAt = now
		}
		if c.ActiveAt.After(last) {
			last = c.ActiveAt.UTC()
		}
	}
	return last
}

// maxSentence bounds what a desktop may have shown to people.
const maxSentence = 300

func sentence(text string) string {
	clean := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if r := []rune(clean); len(r) > maxSentence {
		return string(r[:maxSentence]) + "…"
	}
	return clean
}
