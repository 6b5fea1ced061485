package web

import (
	"context"

	"greenroom"
	"greenroom/internal/meetings"
)

// service is what the pages ask of package meetings.
type service interface {
	Schedule(ctx context.Context, in meetings.Schedule, idempotencyKey string) (greenroom.Meeting, bool, error)
	Meeting(ctx context.Context, id string) (greenroom.Meeting, error)
	List(ctx context.Context, f meetings.Filter) ([]greenroom.Meeting, string, error)
	Events(ctx context.Context, id string, after int64, limit int) ([]greenroom.Event, error)
	Edit(ctx context.Context, id string, in meetings.Edit, ifMatch int64) (greenroom.Meeting, error)
	Cancel(ctx context.Context, id string) (greenroom.Meeting, error)
	End(ctx context.Context, id string) (greenroom.Meeting, error)
	AddSeats(ctx context.Context, id string, in []meetings.SeatInput, ifMatch int64) (greenroom.Meeting, []string, error)
	EditSeat(ctx context.Context, id, seat string, in meetings.SeatEdit, ifMatch int64) (greenroom.Meeting, error)
	RemoveSeat(ctx context.Context, id, seat string, force bool, ifMatch int64) (greenroom.Meeting, error)
	ReplaceDesktop(ctx context.Context, id, seat, reason string, force bool, ifMatch int64) (greenroom.Meeting, error)
	ReissueKey(ctx context.Context, id, seat, inside string) (greenroom.Meeting, error)
	Disconnect(ctx context.Context, id, seat, connection string) (greenroom.Meeting, error)
	Standing(ctx context.Context, id, role, key string) (meetings.Standing, error)
	Enter(ctx context.Context, id, role, key, clientAddr string) (meetings.Standing, error)
	JoinURL(m greenroom.Meeting, seat greenroom.Seat) string
	VideoURL(m greenroom.Meeting) string
	Blueprints() []greenroom.Blueprint
}

// hub says that a meeting has changed. The channel is closed when ctx ends or the hub is closed.
type hub interface {
	Subscribe(ctx context.Context, meetingID string) <-chan struct{}
}
