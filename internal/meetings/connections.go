package meetings

import (
	"context"
	"fmt"
	"slices"
	"time"

	"greenroom"
	"greenroom/internal/agent/agentapi"
)

// connections takes note of who is connected to a desktop that people may be in. It returns nil if nobody came or went.
func connections(seat *greenroom.Seat, present []agentapi.Connection, now time.Time) *greenroom.Event {
	a := &seat.Desktop.Agent
	n, before := len(present), a.Connections
	if !seat.Desktop.Enterable() {
		return nil
	}
	data := map[string]string{"connections": fmt.Sprint(n)}
	came := newcomer(seat.Desktop.Present, present)
	switch {
	case n > before:
		if a.ConnectedAt.IsZero() {
			a.ConnectedAt = now
		}
		came = &present[n-1]
	case n == before && (n == 0 || came == nil || len(seat.Desktop.Present) == 0 || n > greenroom.MaxPresent):
		return nil
	}
	a.Connections = n
	if n >= before {
		data["client"] = clip(came.Client)
		how := " connected."
		switch {
		case came.Role == agentapi.Watcher:
			how = " is watching from another browser."
		case n == before:
			how = " took over from another browser."
		}
		e := entry(seat, now, greenroom.EventConnected, nameOf(seat)+how, data)
		return &e
	}
	if n == 0 {
		a.DisconnectedAt, seat.LeftAt = now, now
	}
	e := entry(seat, now, greenroom.EventDisconnected, nameOf(seat)+" disconnected.", data)
	return &e
}

// newcomer is the last of the connections that was not there before, or nil.
func newcomer(before []greenroom.Connection, now []agentapi.Connection) *agentapi.Connection {
	for i := len(now) - 1; i >= 0; i-- {
		if !slices.ContainsFunc(before, func(c greenroom.Connection) bool { return c.ID == clip(now[i].ID) }) {
			return &now[i]
		}
	}
	return nil
}

// presence takes over who is connected, and forgets orders to close who has gone. It reports whether that was a change.
func presence(d *greenroom.Desktop, in []agentapi.Connection) bool {
	var now []greenroom.Connection
	for _, c := range in[:min(len(in), greenroom.MaxPresent)] {
		one := greenroom.Connection{ID: clip(sentence(c.ID)), Client: clip(sentence(c.Client)), Since: c.ConnectedAt.UTC(), Role: clip(sentence(c.Role))}
		if c.User == agentapi.Host || c.User == agentapi.Observer {
			one.User = c.User
		}
		now = append(now, one)
	}
	there := func(id string) bool {
		return slices.ContainsFunc(in, func(c agentapi.Connection) bool { return c.ID == id })
	}
	closing := slices.DeleteFunc(slices.Clone(d.Closing), func(id string) bool { return !there(id) })
	if slices.EqualFunc(now, d.Present, sameConnection) && len(closing) == len(d.Closing) {
		return false
	}
	d.Present, d.Closing = now, closing
	return true
}

func sameConnection(a, b greenroom.Connection) bool {
	a.Since, b.Since = time.Time{}, time.Time{}
	return a == b
}

// Disconnect closes one connection to a seat's desktop: its browser needs the seat's link to come back. ErrNotFound if there is
// no such connection now.
func (s *Service) Disconnect(ctx context.Context, id, seatID, connection string) (greenroom.Meeting, error) {
	return s.change(ctx, id, func(m *greenroom.Meeting, now time.Time) ([]greenroom.Event, error) {
		seat := m.Seat(seatID)
		if seat == nil {
			return nil, noSeat(seatID)
		}
		d := &seat.Desktop
		i := slices.IndexFunc(d.Present, func(c greenroom.Connection) bool { return c.ID == connection })
		switch {
		case i < 0:
			return nil, &greenroom.UserError{Message: fmt.Sprintf("The seat's desktop has no connection %q now.", clip(connection)), Cause: greenroom.ErrNotFound}
		case m.Blueprint.Protocol == greenroom.DCV:
			return nil, &greenroom.UserError{Message: "DCV cannot close one connection of its session; replace the seat's link, or its desktop.", Cause: greenroom.ErrConflict}
		case slices.Contains(d.Closing, connection):
			return nil, errUnchanged
		}
		c := d.Present[i]
		// A used token is good again from its address: it must not lead back in what was shut out.
		d.Tokens = slices.DeleteFunc(slices.Clone(d.Tokens), func(t greenroom.Token) bool { return t.Client == c.Client })
		d.Closing = append(slices.Clone(d.Closing[max(0, len(d.Closing)-agentapi.MaxClose+1):]), connection)
		m.Version++
		return []greenroom.Event{entry(seat, now, greenroom.EventChanged, "The organiser disconnected a browser of "+nameOf(seat)+".",
			map[string]string{"client": c.Client, "connection": c.ID})}, nil
	})
}
