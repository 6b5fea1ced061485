package meetings

import (
	"context"
	"fmt"
	"slices"
	"time"

	"greenroom"
	"greenroom/internal/agent/agentapi"
)

// Visit gives an organiser a way into a seat's desktop as its host or as an observer: other users of the session than
// its participant, whose rights stand in a file that the agent wrote. A visit does not count as use. What a desktop
// lets in who is not its participant is on the timeline.
func (s *Service) Visit(ctx context.Context, id, seatID, as string) (string, error) {
	if as != agentapi.Host && as != agentapi.Observer {
		var bad greenroom.InvalidError
		bad.Add("as", "must be %s or %s", agentapi.Host, agentapi.Observer)
		return "", bad.Err()
	}
	address, err := s.visit(ctx, id, seatID, as)
	if err == nil && address == "" && s.proofComes(ctx, id, seatID) {
		address, err = s.visit(ctx, id, seatID, as)
	}
	if err == nil && address == "" {
		err = &greenroom.UserError{Message: "The desktop of this seat does not answer at the moment and is being checked; try again in a moment.", Cause: greenroom.ErrConflict}
	}
	return address, err
}

// visit returns the entry URL, or none if the desktop is to be proved before.
func (s *Service) visit(ctx context.Context, id, seatID, as string) (string, error) {
	token := ""
	m, err := s.change(ctx, id, func(m *greenroom.Meeting, now time.Time) ([]greenroom.Event, error) {
		token = "" // a try before this one may have lost its race
		seat := m.Seat(seatID)
		switch {
		case seat == nil:
			return nil, fmt.Errorf("seat %q: %w", clip(seatID), greenroom.ErrNotFound)
		case m.Blueprint.Protocol != greenroom.DCV || !m.Blueprint.Reports():
			return nil, &greenroom.UserError{Message: "Hosts and observers can enter desktops of the protocol dcv that run greenroom's agent; this meeting's do not.", Cause: greenroom.ErrConflict}
		case !seat.Desktop.Enterable():
			return nil, &greenroom.UserError{Message: "The desktop of this seat is not ready; try again when it is.", Cause: greenroom.ErrConflict}
		}
		if !m.Proved(seat, now) {
			return askProof(&seat.Desktop.Trust.WantedAt, &seat.Desktop.Trust, now)
		}
		d := &seat.Desktop
		token = greenroom.NewSecret()
		d.Tokens = append(trim(d.Tokens, now), greenroom.Token{Hash: greenroom.HashSecret(token), As: as, ExpiresAt: now.Add(greenroom.TokenLife)})
		return []greenroom.Event{{At: now, Kind: greenroom.EventEntered, Seat: seatID, Attempt: d.Attempt,
			Message: "The organiser was given the entry URL as " + as + ".", Data: map[string]string{"user": as}}}, nil
	})
	if err != nil || token == "" {
		return "", err
	}
	return s.entryURL(&m.Seat(seatID).Desktop, token), nil
}

// whose names the bearer of a token, in the possessive.
func whose(t *greenroom.Token, seat *greenroom.Seat) string {
	switch t.As {
	case agentapi.Host:
		return "A host's"
	case agentapi.Observer:
		return "An observer's"
	}
	return nameOf(seat) + "'s"
}

// participants counts the connections of the seat's own person. Desktops of one user name nobody.
func participants(connections []agentapi.Connection) []agentapi.Connection {
	return slices.DeleteFunc(slices.Clone(connections), func(c agentapi.Connection) bool {
		return c.User == agentapi.Host || c.User == agentapi.Observer
	})
}
