package httpapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"greenroom/internal/httpapi/wire"
	"greenroom/internal/httpx"
)

// stuckPath lists what does not move.
const stuckPath = "/api/v1/stuck"

// operatorRoutes are the calls of those who look after greenroom, with the rights of an organiser.
func (a *api) operatorRoutes(h huma.API) {
	huma.Register(h, op(http.MethodPost, meetingPath+"/park", "park", "Park a meeting",
		"greenroom does nothing for a parked meeting: nothing is launched, replaced, removed or ended by a rule. Running desktops keep running, and participants keep access. "+
			"It resumes by itself when the time is over, and at once when it is ended or cancelled. Parking again changes the end of parking."), a.park)
	huma.Register(h, op(http.MethodPost, meetingPath+"/resume", "resume", "Resume a parked meeting", "A meeting that is not parked stays as it is."), a.resume)
	huma.Register(h, op(http.MethodGet, stuckPath, "stuck", "Stuck meetings",
		"Overdue steps, with the fix; parked meetings are noted. At most 200 findings."), a.stuck)
}

func (a *api) park(ctx context.Context, in *struct {
	caller
	MeetingPath
	Body *wire.Park
}) (*meetingOutput, error) {
	if in.Body == nil {
		in.Body = &wire.Park{}
	}
	m, err := a.service.Park(ctx, in.ID, in.Body.For, in.Body.Reason, httpx.ClientAddr(in.request))
	return a.one(in.request, m, err)
}

func (a *api) resume(ctx context.Context, in *meetingInput) (*meetingOutput, error) {
	m, err := a.service.Resume(ctx, in.ID, httpx.ClientAddr(in.request))
	return a.one(in.request, m, err)
}

func (a *api) stuck(ctx context.Context, in *struct{ caller }) (*struct{ Body wire.StuckMeetings }, error) {
	found, more, err := a.service.Stuck(ctx)
	if err != nil {
		return nil, a.problem(in.request, err)
	}
	out := &struct{ Body wire.StuckMeetings }{Body: wire.StuckMeetings{Stuck: []wire.Stuck{}, More: more}}
	for _, s := range found {
		out.Body.Stuck = append(out.Body.Stuck, stuck(s))
	}
	return out, nil
}
