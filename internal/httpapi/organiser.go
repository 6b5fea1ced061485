package httpapi

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"greenroom"
	"greenroom/internal/httpapi/wire"
	"greenroom/internal/httpx"
	"greenroom/internal/meetings"
)

// Paths of the organiser's calls.
const (
	meetingsPath = "/api/v1/meetings"
	meetingPath  = meetingsPath + "/{id}"
	seatPath     = meetingPath + "/seats/{seat}"
)

type meetingOutput struct {
	ETag string `header:"ETag" doc:"The meeting's version."`
	Body wire.Meeting
}

type scheduledOutput struct {
	ETag     string `header:"ETag" doc:"The meeting's version."`
	Location string `header:"Location" doc:"Where the meeting is."`
	Replayed string `header:"Idempotent-Replayed" doc:"true when the key's first request had made the meeting already."`
	Body     wire.Meeting
}

// caller gives handlers the request, for logs and limits.
type caller struct{ request *http.Request }

// Resolve is called by huma before the handler.
func (c *caller) Resolve(ctx huma.Context) []error {
	c.request, _ = humago.Unwrap(ctx)
	return nil
}

// MeetingPath names a meeting. It is exported because huma reads no parameters out of embedded types that are not.
type MeetingPath struct {
	ID string `path:"id" doc:"Of the meeting."`
}

// SeatPath names a seat.
type SeatPath struct {
	ID   string `path:"id" doc:"Of the meeting."`
	Seat string `path:"seat" doc:"Id of the seat."`
}

type meetingInput struct {
	caller
	MeetingPath
}

// op describes a call of the organiser.
func op(method, path, id, summary, description string) huma.Operation {
	return huma.Operation{Method: method, Path: path, OperationID: id, Summary: summary, Description: description,
		Tags: []string{"Organiser"}, MaxBodyBytes: maxBody + 1, BodyReadTimeout: -1, RejectUnknownQueryParameters: true} // documents has read the body
}

func (a *api) organiserRoutes(h huma.API) {
	schedule := op(http.MethodPost, meetingsPath, "schedule", "Schedule a meeting", "Accepted means durable: a 201 survives a crash. With an Idempotency-Key a repeated request is answered with the meeting of the first.")
	schedule.DefaultStatus = http.StatusCreated
	huma.Register(h, schedule, a.schedule)
	huma.Register(h, op(http.MethodGet, meetingsPath, "list", "List meetings", "Ordered by start."), a.list)
	huma.Register(h, op(http.MethodGet, meetingPath, "get", "Get a meeting", ""), a.get)
	huma.Register(h, op(http.MethodPatch, meetingPath, "edit", "Change a meeting", "Rename, reschedule, extend, change seats. Machines follow; the id and the links stay."), a.edit)
	huma.Register(h, op(http.MethodPost, meetingPath+"/cancel", "cancel", "Cancel a meeting", "A meeting that is over stays as it is."), a.cancel)
	huma.Register(h, op(http.MethodPost, meetingPath+"/end", "end", "End a meeting now", "A meeting that is over stays as it is."), a.end)
	huma.Register(h, op(http.MethodGet, meetingPath+"/plan", "plan", "What would happen next, and why", "Computes the plan and changes nothing."), a.plan)
	huma.Register(h, op(http.MethodGet, meetingPath+"/events", "events", "The timeline", "What happened, when, and why."), a.events)
	a.seatRoutes(h)
	huma.Register(h, op(http.MethodPost, seatPath+"/visit", "visit", "Enter a seat's desktop as its host or an observer",
		"Gives an address with a token for one entry. DCV desktops with greenroom's agent only; a visit does not count as use."), a.visit)
	data := op(http.MethodPut, seatPath+"/session-data", "session-data", "Report a seat's session data", "This seat's session is over and its data is there. When every seat has reported, the meeting is completed.")
	data.DefaultStatus = http.StatusNoContent
	huma.Register(h, data, a.sessionData)
	a.watchRoute(h, op(http.MethodGet, meetingPath+"/watch", "watch", "Watch a meeting live",
		"Server-sent events: \"meeting\" with the meeting at once and after every change, \"timeline\" with each entry of the timeline. The id of a timeline event is its seq; "+
			"Last-Event-ID resumes after it. The stream ends when nothing of the meeting remains."))
}

func (a *api) schedule(ctx context.Context, in *struct {
	caller
	Key  string `header:"Idempotency-Key" doc:"Up to 255 visible ASCII characters."`
	Body wire.Schedule
}) (*scheduledOutput, error) {
	if !visible(in.Key) {
		return nil, badKey()
	}
	b := in.Body
	m, created, err := a.service.Schedule(ctx, meetings.Schedule{
		Title: b.Title, StartsAt: b.StartsAt, Duration: b.Duration, TimeZone: b.TimeZone, Blueprint: b.Blueprint, Seats: seats(b.Seats),
	}, in.Key)
	if errors.Is(err, greenroom.ErrConflict) && in.Key != "" {
		return nil, httpx.Conflict.Fields(httpx.FieldProblem{Field: "Idempotency-Key", Message: "was used before for another request; use a fresh key for a new meeting"})
	}
	if err != nil {
		return nil, a.problem(in.request, err)
	}
	out := &scheduledOutput{ETag: etag(m), Location: meetingsPath + "/" + m.ID, Body: a.meeting(m)}
	if !created {
		out.Replayed = "true"
	}
	return out, nil
}

func badKey() error {
	return httpx.InvalidInput.Fields(httpx.FieldProblem{Field: "Idempotency-Key", Message: "must be 1 to 255 visible ASCII characters"})
}

func visible(key string) bool {
	return len(key) <= 255 && !strings.ContainsFunc(key, func(r rune) bool { return r < '!' || r > '~' })
}

func (a *api) list(ctx context.Context, in *struct {
	caller
	State  string `query:"state" enum:"scheduled,preparing,ready,in_progress,waiting,ending,ended" doc:"Only meetings in this state."`
	From   moment `query:"from" doc:"Only meetings that start then or later."`
	To     moment `query:"to" doc:"Only meetings that start before then."`
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"50" doc:"Meetings in one answer."`
	Cursor string `query:"cursor" maxLength:"200" doc:"next_cursor of the page before."`
}) (*struct{ Body wire.Meetings }, error) {
	var bad greenroom.InvalidError
	f := meetings.Filter{State: greenroom.State(in.State), From: in.From.time("from", &bad), To: in.To.time("to", &bad), Limit: in.Limit, Cursor: in.Cursor}
	if err := bad.Err(); err != nil {
		return nil, a.problem(in.request, err)
	}
	found, next, err := a.service.List(ctx, f)
	if err != nil {
		return nil, a.problem(in.request, err)
	}
	out := &struct{ Body wire.Meetings }{Body: wire.Meetings{Meetings: []wire.Meeting{}, NextCursor: known(next)}}
	for _, m := range found {
		out.Body.Meetings = append(out.Body.Meetings, a.meeting(m))
	}
	return out, nil
}

// one answers with the meeting that a call of the service returned.
func (a *api) one(r *http.Request, m greenroom.Meeting, err error) (*meetingOutput, error) {
	if err != nil {
		return nil, a.problem(r, err)
	}
	return &meetingOutput{ETag: etag(m), Body: a.meeting(m)}, nil
}

func (a *api) get(ctx context.Context, in *meetingInput) (*meetingOutput, error) {
	m, err := a.service.Meeting(ctx, in.ID)
	return a.one(in.request, m, err)
}

func (a *api) edit(ctx context.Context, in *struct {
	caller
	MeetingPath
	IfMatch
	Body wire.Edit
}) (*meetingOutput, error) {
	b := in.Body
	edit := meetings.Edit{
		Title: b.Title, StartsAt: b.StartsAt, EndsAt: b.EndsAt, Duration: b.Duration, TimeZone: b.TimeZone, Seats: editedSeats(b.Seats), Force: b.Force,
	}
	return a.changed(in.request, func(version int64) (greenroom.Meeting, error) { return a.service.Edit(ctx, in.ID, edit, version) })
}

func (a *api) cancel(ctx context.Context, in *meetingInput) (*meetingOutput, error) {
	m, err := a.service.Cancel(ctx, in.ID)
	return a.one(in.request, m, err)
}

func (a *api) end(ctx context.Context, in *meetingInput) (*meetingOutput, error) {
	m, err := a.service.End(ctx, in.ID)
	return a.one(in.request, m, err)
}

func (a *api) visit(ctx context.Context, in *struct {
	caller
	SeatPath
	Body wire.Visit
}) (*struct{ Body wire.Way }, error) {
	address, err := a.service.Visit(ctx, in.ID, in.Seat, in.Body.As)
	if err != nil {
		return nil, a.problem(in.request, err)
	}
	return &struct{ Body wire.Way }{wire.Way{URL: address}}, nil
}

func (a *api) plan(ctx context.Context, in *meetingInput) (*struct{ Body wire.Plan }, error) {
	e, err := a.service.Explain(ctx, in.ID)
	if err != nil {
		return nil, a.problem(in.request, err)
	}
	return &struct{ Body wire.Plan }{explanation(e)}, nil
}

func (a *api) sessionData(ctx context.Context, in *struct {
	caller
	SeatPath
	Body wire.SessionData
}) (*struct{}, error) {
	if err := a.takeSessionData(ctx, in.request, in.ID, in.Seat, in.Body.URL); err != nil {
		return nil, a.problem(in.request, err)
	}
	return nil, nil
}

// takeSessionData takes the report of an organiser for any seat, and that of a desktop for its own.
func (a *api) takeSessionData(ctx context.Context, r *http.Request, id, seat, where string) error {
	token := httpx.DesktopToken(r)
	switch {
	case token == "":
		return a.service.SessionData(ctx, id, seat, where)
	case !strings.HasPrefix(token, id+"."+seat+"."):
		return &greenroom.UserError{Message: "A desktop can report the data of its own seat only.", Cause: greenroom.ErrForbidden}
	}
	return a.service.AgentSessionData(ctx, token, where)
}

func (a *api) events(ctx context.Context, in *struct {
	caller
	MeetingPath
	After int64 `query:"after" minimum:"0" doc:"Only entries with a higher seq."`
	Limit int   `query:"limit" minimum:"1" maximum:"500" default:"500" doc:"Entries in one answer."`
}) (*struct{ Body wire.Events }, error) {
	found, err := a.service.Events(ctx, in.ID, in.After, in.Limit)
	if err != nil {
		return nil, a.problem(in.request, err)
	}
	out := &struct{ Body wire.Events }{Body: wire.Events{Events: []wire.Event{}}}
	for _, e := range found {
		out.Body.Events = append(out.Body.Events, event(e))
	}
	if len(found) == in.Limit {
		out.Body.NextAfter = &found[len(found)-1].Seq
		return out, nil
	}
	m, err := a.service.Meeting(ctx, in.ID) // what is not listed matters at the end of the list
	if err != nil {
		return nil, a.problem(in.request, err)
	}
	out.Body.Unlisted = m.Unlisted
	return out, nil
}

func etag(m greenroom.Meeting) string { return `"` + strconv.FormatInt(m.Version, 10) + `"` }
