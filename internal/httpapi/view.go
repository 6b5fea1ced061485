package httpapi

import (
	"time"

	"greenroom"
	"greenroom/internal/httpapi/wire"
	"greenroom/internal/meetings"
	"greenroom/internal/plan"
	"greenroom/internal/timezone"
)

// meeting renders a meeting for its organiser.
func (a *api) meeting(m greenroom.Meeting) wire.Meeting {
	out := wire.Meeting{
		ID: m.ID, Title: m.Title, StartsAt: m.StartsAt, EndsAt: m.EndsAt, TimeZone: timezone.Today(m.TimeZone),
		Blueprint: m.Blueprint.Name, State: m.State(), EndReason: known(m.EndReason), EndedAt: instant(m.EndedAt),
		Version: m.Version, VideoURL: a.service.VideoURL(m), CreatedAt: m.CreatedAt, Seats: []wire.Seat{},
		ParkedUntil: instant(m.ParkedUntil), ParkedReason: m.ParkedReason,
	}
	for _, s := range m.Present() {
		seat := wire.Seat{ID: s.ID, Role: s.Role, Name: s.Name, Email: s.Email, JoinURL: a.service.JoinURL(m, *s), Desktop: desktop(&s.Desktop)}
		seat.Desktop.Hostname = a.service.PublicName(&s.Desktop)
		if d := s.SessionData; d != nil {
			seat.SessionData = &wire.SessionDataReport{URL: d.URL, At: d.At}
		}
		out.Seats = append(out.Seats, seat)
	}
	return out
}

func desktop(d *greenroom.Desktop) wire.Desktop {
	out := wire.Desktop{
		Phase: d.Phase, Attempt: d.Attempt, InstanceID: d.InstanceID, Hostname: d.Hostname, Address: d.Address,
		Connected: d.Connected(), AwaySince: instant(d.AwaySince()), Error: known(d.Error), EndReason: known(d.EndReason), Timings: d.Timings,
	}
	if a := d.Agent; a.KeyHash != "" {
		out.Agent = &wire.Agent{Version: a.Version, EnrolledAt: instant(a.EnrolledAt), ReportedAt: instant(a.ReportedAt), Connections: a.Connections,
			LastActiveAt: instant(a.ActiveAt), Licence: a.Licence, Problem: known(a.Problem)}
	}
	out.Connections = []wire.Connection{}
	for _, c := range d.Present {
		out.Connections = append(out.Connections, wire.Connection(c))
	}
	if out.Timings == nil {
		out.Timings = map[greenroom.Phase]time.Time{}
	}
	if p := d.Proof; p != nil {
		out.Proof = &wire.Proof{OK: p.OK, At: p.At, Steps: []wire.ProofStep{}}
		for _, s := range p.Steps {
			out.Proof.Steps = append(out.Proof.Steps, wire.ProofStep{Name: s.Name, OK: s.OK, Took: s.Took.String(), Detail: s.Detail})
		}
	}
	return out
}

func event(e greenroom.Event) wire.Event {
	out := wire.Event{Seq: e.Seq, At: e.At, Kind: string(e.Kind), Seat: e.Seat, Role: e.Seat, Attempt: e.Attempt, Message: e.Message, Data: e.Data}
	if out.Data == nil {
		out.Data = map[string]string{}
	}
	return out
}

func explanation(e meetings.Explanation) wire.Plan {
	m, d := &e.Meeting, e.Decision
	out := wire.Plan{Meeting: m.ID, State: d.Meeting.State(), Steps: []wire.PlanStep{}, WakeAt: instant(d.Wake), Why: d.Why, Seats: []wire.PlanSeat{}}
	for _, ev := range d.Events {
		do := string(ev.Kind)
		if phase := ev.Data["phase"]; phase != "" {
			do = "move to " + phase
		}
		out.Steps = append(out.Steps, wire.PlanStep{Do: do, Seat: ev.Seat, Role: ev.Seat, Why: ev.Message})
	}
	for _, ef := range d.Effects {
		out.Steps = append(out.Steps, wire.PlanStep{Do: string(ef.Do), Seat: ef.Handle.Seat, Role: ef.Handle.Seat, Why: ef.Why})
	}
	at, why := plan.EndOutlook(m)
	out.EndAt, out.EndWhy = instant(at), why
	if m.ParkedUntil.After(e.At) {
		out.ParkedUntil, out.ParkedReason = instant(m.ParkedUntil), m.ParkedReason
	}
	for i := range m.Seats {
		s := &m.Seats[i]
		at, next := plan.Outlook(m, s, e.At)
		out.Seats = append(out.Seats, wire.PlanSeat{Seat: s.ID, Role: s.Role, Phase: s.Desktop.Phase, Since: instant(s.Desktop.Timings[s.Desktop.Phase]),
			Error: known(s.Desktop.Error), At: instant(at), Next: next})
	}
	return out
}

func stuck(s meetings.Stuck) wire.Stuck {
	return wire.Stuck{Meeting: s.Meeting, Title: s.Title, Kind: s.Kind, Seat: s.Seat, Role: s.Seat, Note: s.Note, Message: s.Message,
		Since: instant(s.Since), Error: known(s.Error), Fix: s.Fix}
}

// standing renders the state of a seat for its participant.
func standing(s meetings.Standing) wire.Standing {
	out := wire.Standing{
		Meeting: s.Meeting, Title: s.Title, Seat: s.Seat, Role: s.Role, Name: s.Name, State: s.State, Phase: s.Phase, Message: s.Message,
		CanEnter: s.CanEnter, Wanted: s.Wanted, Failing: s.Failing, Estimate: seconds(s.Estimate),
		StartsAt: s.StartsAt, EndsAt: s.EndsAt, OpensAt: s.OpensAt, TimeZone: s.TimeZone, VideoURL: s.VideoURL,
		Stages: make([]wire.Stage, 0, len(s.Stages)),
	}
	for _, st := range s.Stages {
		out.Stages = append(out.Stages, wire.Stage{Phase: st.Phase, Done: st.Done, Current: st.Current, Since: instant(st.Since), Expected: seconds(st.Expected)})
	}
	return out
}

// known is nil for what is not there.
func known[T comparable](v T) *T {
	var none T
	if v == none {
		return nil
	}
	return &v
}

func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// seconds rounds to milliseconds: more would only look exact.
func seconds(d time.Duration) float64 { return float64(d.Milliseconds()) / 1000 }

func editedSeats(in []wire.EditSeat) []meetings.SeatInput {
	if in == nil {
		return nil
	}
	out := make([]meetings.SeatInput, 0, len(in))
	for _, s := range in {
		out = append(out, meetings.SeatInput(s.SeatInput))
	}
	return out
}

func seats(in []wire.SeatInput) []meetings.SeatInput {
	if in == nil {
		return nil
	}
	out := make([]meetings.SeatInput, 0, len(in))
	for _, s := range in {
		out = append(out, meetings.SeatInput(s))
	}
	return out
}
