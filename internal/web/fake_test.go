package web_test

import (
	"context"
	"net/mail"
	"slices"
	"strconv"
	"sync"
	"time"

	"greenroom"
	"greenroom/internal/meetings"
)

// fakeService keeps meetings in memory and judges as much of its input as the pages' tests need. NextErr is
// returned by the next call that could fail, once.
type fakeService struct {
	mu      sync.Mutex
	byID    map[string]greenroom.Meeting
	byIdem  map[string]string
	ready   bool // desktops are ready as soon as they are wanted
	Entered []string
	NextErr error
	Prints  []greenroom.Blueprint
}

func newFakeService() *fakeService {
	return &fakeService{byID: map[string]greenroom.Meeting{}, byIdem: map[string]string{}, Prints: []greenroom.Blueprint{greenroom.DefaultBlueprint()}}
}

func (f *fakeService) failing() error {
	err := f.NextErr
	f.NextErr = nil
	return err
}

func (f *fakeService) Schedule(_ context.Context, in meetings.Schedule, key string) (greenroom.Meeting, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.failing(); err != nil {
		return greenroom.Meeting{}, false, err
	}
	if id, ok := f.byIdem[key]; ok {
		return f.byID[id], false, nil
	}
	e := &greenroom.InvalidError{}
	if in.Title == "" {
		e.Add("title", "give the meeting a title")
	}
	start, err := time.Parse(time.RFC3339, in.StartsAt)
	if in.StartsAt == "now" {
		start, err = time.Now(), nil
	}
	if err != nil {
		e.Add("starts_at", "no time")
	}
	length, err := time.ParseDuration(in.Duration)
	if err != nil {
		e.Add("duration", "no duration")
	}
	m := greenroom.Meeting{
		ID: greenroom.NewMeetingID(), Version: 1, Title: in.Title, StartsAt: start.UTC(), EndsAt: start.Add(length).UTC(),
		TimeZone: in.TimeZone, Blueprint: f.Prints[0], CreatedAt: time.Now(),
	}
	for i, s := range in.Seats {
		if _, err := mail.ParseAddress(s.Email); err != nil && s.Email != "" {
			e.Add("seats["+strconv.Itoa(i)+"].email", "this is no e-mail address")
		}
		m.Seats = append(m.Seats, greenroom.Seat{ID: m.NewSeatID(s.Role, true), Role: s.Role, Name: s.Name, Email: s.Email, Key: greenroom.NewSecret(), Desktop: greenroom.Desktop{Phase: greenroom.Planned, Attempt: 1}})
	}
	if err := e.Err(); err != nil {
		return greenroom.Meeting{}, false, err
	}
	f.byID[m.ID], f.byIdem[key] = m, m.ID
	return m.Clone(), true, nil
}

func (f *fakeService) Meeting(_ context.Context, id string) (greenroom.Meeting, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.failing(); err != nil {
		return greenroom.Meeting{}, err
	}
	m, ok := f.byID[id]
	if !ok {
		return greenroom.Meeting{}, greenroom.ErrNotFound
	}
	return m.Clone(), nil
}

func (f *fakeService) List(_ context.Context, filter meetings.Filter) ([]greenroom.Meeting, string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []greenroom.Meeting
	for _, m := range f.byID {
		if (filter.State == "" || m.State() == filter.State) && !m.StartsAt.Before(filter.From) {
			out = append(out, m.Clone())
		}
	}
	slices.SortFunc(out, func(a, b greenroom.Meeting) int { return a.StartsAt.Compare(b.StartsAt) })
	skip, _ := strconv.Atoi(filter.Cursor)
	out = out[min(skip, len(out)):]
	if len(out) > filter.Limit {
		return out[:filter.Limit], strconv.Itoa(skip + filter.Limit), nil
	}
	return out, "", nil
}

func (f *fakeService) Events(_ context.Context, id string, after int64, _ int) ([]greenroom.Event, error) {
	if after > 0 {
		return nil, nil
	}
	return []greenroom.Event{{Seq: 1, At: time.Now(), Kind: greenroom.EventScheduled, Message: "Scheduled by <nobody> & co."}}, nil
}

// change edits a meeting under the rule of versions.
func (f *fakeService) change(id string, ifMatch int64, do func(m *greenroom.Meeting)) (greenroom.Meeting, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.failing(); err != nil {
		return greenroom.Meeting{}, err
	}
	m, ok := f.byID[id]
	switch {
	case !ok:
		return greenroom.Meeting{}, greenroom.ErrNotFound
	case m.EndReason != "":
		return greenroom.Meeting{}, greenroom.ErrEnded
	case ifMatch != 0 && ifMatch != m.Version:
		return greenroom.Meeting{}, greenroom.ErrConflict
	}
	do(&m)
	m.Version++
	f.byID[id] = m
	return m.Clone(), nil
}

func (f *fakeService) Edit(_ context.Context, id string, in meetings.Edit, ifMatch int64) (greenroom.Meeting, error) {
	return f.change(id, ifMatch, func(m *greenroom.Meeting) {
		length := m.Duration()
		if in.Title != nil {
			m.Title = *in.Title
		}
		if in.TimeZone != nil {
			m.TimeZone = *in.TimeZone
		}
		if in.StartsAt != nil {
			m.StartsAt, _ = time.Parse(time.RFC3339, *in.StartsAt)
			m.EndsAt = m.StartsAt.Add(length)
		}
		if in.Duration != nil {
			length, _ = time.ParseDuration(*in.Duration)
			m.EndsAt = m.StartsAt.Add(length)
		}
		if in.EndsAt != nil {
			m.EndsAt, _ = time.Parse(time.RFC3339, *in.EndsAt)
		}
	})
}

func (f *fakeService) Cancel(_ context.Context, id string) (greenroom.Meeting, error) {
	return f.change(id, 0, func(m *greenroom.Meeting) { m.EndReason, m.EndedAt = greenroom.Cancelled, time.Now() })
}

func (f *fakeService) End(_ context.Context, id string) (greenroom.Meeting, error) {
	return f.change(id, 0, func(m *greenroom.Meeting) { m.EndReason, m.EndedAt = greenroom.EndedByHost, time.Now() })
}

func (f *fakeService) ReissueKey(_ context.Context, id, role, _ string) (greenroom.Meeting, error) {
	return f.change(id, 0, func(m *greenroom.Meeting) { m.Seat(role).Key = greenroom.NewSecret() })
}

func (f *fakeService) Disconnect(_ context.Context, id, seat, connection string) (greenroom.Meeting, error) {
	return f.change(id, 0, func(m *greenroom.Meeting) {
		d := &m.Seat(seat).Desktop
		d.Closing = append(d.Closing, connection)
	})
}

func (f *fakeService) Standing(_ context.Context, id, role, key string) (meetings.Standing, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.failing(); err != nil {
		return meetings.Standing{}, err
	}
	m, ok := f.byID[id]
	if !ok || m.Seat(role) == nil {
		return meetings.Standing{}, greenroom.ErrNotFound
	}
	s := m.Seat(role)
	if !greenroom.SameSecret(s.Key, key) {
		return meetings.Standing{}, greenroom.ErrForbidden
	}
	st := meetings.Standing{
		Meeting: id, Title: m.Title, Seat: role, Role: role, Name: s.Name, State: m.State(), Phase: s.Desktop.Phase, EndReason: m.EndReason,
		Message: "Your desktop is being prepared.", StartsAt: m.StartsAt, EndsAt: m.EndsAt, TimeZone: m.TimeZone,
		OpensAt: m.LaunchAt(), RetryIn: 2 * time.Second, CanEnter: f.ready && m.EndReason == "",
	}
	if m.EndReason != "" {
		st.Message = "Ask the organiser for a new time."
		return st, greenroom.ErrEnded
	}
	return st, nil
}

func (f *fakeService) Enter(ctx context.Context, id, role, key, client string) (meetings.Standing, error) {
	st, err := f.Standing(ctx, id, role, key)
	if err != nil || !st.CanEnter {
		return st, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Entered = append(f.Entered, role+" from "+client)
	st.URL = "https://i-0123456789abcdef0.desk.localhost:8443/?authToken=t0ken#console"
	return st, nil
}

func (f *fakeService) JoinURL(m greenroom.Meeting, s greenroom.Seat) string {
	return "http://127.0.0.1:8080/join/" + m.ID + "/" + s.ID + "?key=" + s.Key
}

func (f *fakeService) VideoURL(greenroom.Meeting) string { return "" }

func (f *fakeService) Blueprints() []greenroom.Blueprint { return f.Prints }

func (f *fakeService) AddSeats(_ context.Context, id string, in []meetings.SeatInput, version int64) (greenroom.Meeting, []string, error) {
	var added []string
	m, err := f.change(id, version, func(m *greenroom.Meeting) {
		for _, s := range in {
			added = append(added, m.NewSeatID(s.Role, m.OfRole(s.Role) == 0))
			m.Seats = append(m.Seats, greenroom.Seat{ID: added[len(added)-1], Role: s.Role, Name: s.Name, Email: s.Email, Desktop: greenroom.Desktop{Phase: greenroom.Planned, Attempt: 1}})
		}
	})
	return m, added, err
}

func (f *fakeService) EditSeat(_ context.Context, id, seat string, in meetings.SeatEdit, _ int64) (greenroom.Meeting, error) {
	if len(*in.Name) > meetings.MaxName {
		var e greenroom.InvalidError
		e.Add("name", "too long a name")
		return greenroom.Meeting{}, e.Err()
	}
	return f.change(id, 0, func(m *greenroom.Meeting) { m.Seat(seat).Name, m.Seat(seat).Email = *in.Name, *in.Email })
}

// inUse refuses what takes a desktop from somebody.
func (f *fakeService) inUse(id, seat string, force bool) error {
	m, err := f.Meeting(context.Background(), id)
	if err != nil || force || m.Seat(seat).Desktop.Phase != greenroom.InUse {
		return err
	}
	in := &meetings.OccupiedError{People: []meetings.Occupant{{Seat: seat, Name: m.Seat(seat).Name}}}
	return &greenroom.UserError{Message: in.Error(), Cause: in}
}

func (f *fakeService) RemoveSeat(_ context.Context, id, seat string, force bool, _ int64) (greenroom.Meeting, error) {
	if err := f.inUse(id, seat, force); err != nil {
		return greenroom.Meeting{}, err
	}
	return f.change(id, 0, func(m *greenroom.Meeting) { m.Seat(seat).Removed = true })
}

func (f *fakeService) ReplaceDesktop(_ context.Context, id, seat, reason string, force bool, _ int64) (greenroom.Meeting, error) {
	if err := f.inUse(id, seat, force); err != nil {
		return greenroom.Meeting{}, err
	}
	return f.change(id, 0, func(m *greenroom.Meeting) { m.Seat(seat).ReplaceReason = reason })
}
