package httpapi

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"greenroom"
	"greenroom/internal/httpapi/wire"
	"greenroom/internal/httpx"
	"greenroom/internal/meetings"
)

// IfMatch is the precondition of a change. It is exported because huma reads no parameters out of embedded types that are not.
type IfMatch struct {
	Versions string `header:"If-Match" doc:"The version the change is meant for, as in ETag, or a list of them; \"*\" is any. Weak ones count: what compresses answers makes an ETag weak."`
}

// changed makes a change of one of the versions that the precondition names, and answers with the meeting.
func (a *api) changed(r *http.Request, in IfMatch, do func(version int64) (greenroom.Meeting, error)) (*meetingOutput, error) {
	versions, ok := parseIfMatch(in.Versions)
	if !ok {
		return nil, httpx.InvalidInput.Fields(httpx.FieldProblem{Field: "If-Match", Message: `must be a version such as "3", a list of them, or *`})
	}
	m, err := do(versions[0])
	stale, isStale := errors.AsType[*meetings.StaleError](err)
	if isStale && slices.Contains(versions, stale.Have) {
		m, err = do(stale.Have)
	}
	return a.one(r, m, err)
}

// seatRoutes are the organiser's calls about single seats.
func (a *api) seatRoutes(h huma.API) {
	add := op(http.MethodPost, meetingPath+"/seats", "add-seats", "Add seats", "One or many. The desktops of a meeting that has begun are started at once. With an Idempotency-Key a repeated request is answered with the seats of the first.")
	add.DefaultStatus = http.StatusCreated
	huma.Register(h, add, a.addSeats)
	huma.Register(h, op(http.MethodPatch, seatPath, "edit-seat", "Change a seat's participant", "The link and the desktop stay."), a.editSeat)
	huma.Register(h, op(http.MethodDelete, seatPath, "remove-seat", "Take a seat off the meeting", "Its desktop is removed, and its link opens nothing any more. Its id is never given to another seat."), a.removeSeat)
	huma.Register(h, op(http.MethodPost, seatPath+"/key", "reissue-key", "Give a seat a new link", "The old link stops working at once, and so do the tokens that were given with it. Those inside are cut off, within three seconds, unless they are to be kept."), a.reissueKey)
	huma.Register(h, op(http.MethodDelete, seatPath+"/connections/{connection}", "disconnect", "Disconnect a browser from a seat's desktop", "It is closed and says why; it needs the seat's link to come back. Not possible with DCV."), a.disconnect)
	huma.Register(h, op(http.MethodPost, seatPath+"/replace", "replace-desktop", "Give a seat a new desktop", "The one that is there is removed first, with everything on it."), a.replaceDesktop)
}

type addedOutput struct {
	ETag     string `header:"ETag" doc:"The meeting's version."`
	Replayed string `header:"Idempotent-Replayed" doc:"true when the key's first request had added the seats already."`
	Body     wire.AddedSeats
}

func (a *api) addSeats(ctx context.Context, in *struct {
	caller
	MeetingPath
	IfMatch
	Key  string `header:"Idempotency-Key" doc:"Up to 255 visible ASCII characters."`
	Body wire.NewSeats
}) (*addedOutput, error) {
	if !visible(in.Key) {
		return nil, badKey()
	}
	b := in.Body
	wanted := seats(b.Seats)
	if b.Role != "" || b.Name != "" || b.Email != "" {
		if b.Seats != nil {
			return nil, httpx.InvalidInput.Fields(httpx.FieldProblem{Field: "seats", Message: "give one seat, or a list of seats, not both"})
		}
		wanted = []meetings.SeatInput{{Role: b.Role, Name: b.Name, Email: b.Email}}
	}
	var added []string
	replayed, reused := false, false
	m, err := a.changed(in.request, in.IfMatch, func(version int64) (m greenroom.Meeting, err error) {
		m, added, replayed, err = a.service.AddSeatsOnce(ctx, in.ID, wanted, version, in.Key)
		reused = errors.Is(err, meetings.ErrReused)
		return m, err
	})
	if reused {
		return nil, httpx.Conflict.Fields(httpx.FieldProblem{Field: "Idempotency-Key", Message: "was used before for other seats of this meeting; use a fresh key for new ones"})
	}
	if err != nil {
		return nil, err
	}
	out := &addedOutput{ETag: m.ETag, Body: wire.AddedSeats{Meeting: m.Body, Added: added}}
	if replayed {
		out.Replayed = "true"
	}
	return out, nil
}

func (a *api) editSeat(ctx context.Context, in *struct {
	caller
	SeatPath
	IfMatch
	Body wire.SeatEdit
}) (*meetingOutput, error) {
	return a.changed(in.request, in.IfMatch, func(version int64) (greenroom.Meeting, error) {
		return a.service.EditSeat(ctx, in.ID, in.Seat, meetings.SeatEdit{Name: in.Body.Name, Email: in.Body.Email}, version)
	})
}

func (a *api) removeSeat(ctx context.Context, in *struct {
	caller
	SeatPath
	IfMatch
	Force bool `query:"force" doc:"Also when the seat's participant is connected: they are cut off."`
}) (*meetingOutput, error) {
	return a.changed(in.request, in.IfMatch, func(version int64) (greenroom.Meeting, error) {
		return a.service.RemoveSeat(ctx, in.ID, in.Seat, in.Force, version)
	})
}

func (a *api) reissueKey(ctx context.Context, in *struct {
	caller
	SeatPath
	Body *wire.NewLink
}) (*meetingOutput, error) {
	inside := ""
	if in.Body != nil {
		inside = in.Body.Connections
	}
	m, err := a.service.ReissueKey(ctx, in.ID, in.Seat, inside)
	return a.one(in.request, m, err)
}

func (a *api) disconnect(ctx context.Context, in *struct {
	caller
	SeatPath
	Connection string `path:"connection" doc:"Id of the connection, as in desktop.connections."`
}) (*meetingOutput, error) {
	m, err := a.service.Disconnect(ctx, in.ID, in.Seat, in.Connection)
	return a.one(in.request, m, err)
}

func (a *api) replaceDesktop(ctx context.Context, in *struct {
	caller
	SeatPath
	IfMatch
	Body wire.Replace
}) (*meetingOutput, error) {
	return a.changed(in.request, in.IfMatch, func(version int64) (greenroom.Meeting, error) {
		return a.service.ReplaceDesktop(ctx, in.ID, in.Seat, in.Body.Reason, in.Body.Force, version)
	})
}
