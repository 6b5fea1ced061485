package meetings

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"greenroom"
	"greenroom/internal/agent/agentapi"
)

// openingLife is how long an opening is good for: the agent asks about it at once.
const openingLife = 30 * time.Second

// Opening is a token with which greenroom opens a session with the desktop's agent for the participant at client, who has
// shown a pass. It is stored nowhere, is good for half a minute and from that client only, and opens no other way: the
// agent learns neither the participant's token nor the pass.
func (s *Service) Opening(w Way, client string) string {
	return s.opening(w.handle, client, strconv.FormatInt(s.Now().Add(openingLife).Unix(), 10))
}

func (s *Service) opening(h greenroom.Handle, client, until string) string {
	return until + "!" + s.Keys.secret(forOpening, h, until+"@"+client)
}

// opens reports whether token is an opening of the desktop for client.
func (s *Service) opens(h greenroom.Handle, token, client string, now time.Time) bool {
	until, _, ok := strings.Cut(token, "!")
	at, err := strconv.ParseInt(until, 10, 64)
	return ok && err == nil && now.Unix() <= at && greenroom.SameSecret(s.opening(h, client, until), token)
}

// Outlook is what the participant of the way's desktop is to know of its end.
func (s *Service) Outlook(ctx context.Context, w Way) (agentapi.Orders, error) {
	m, err := s.Meeting(ctx, w.handle.Meeting)
	if errors.Is(err, greenroom.ErrNotFound) {
		m, err = greenroom.Meeting{}, nil
	}
	if err != nil {
		return agentapi.Orders{}, err
	}
	seat := m.AnySeat(w.handle.Seat)
	if seat == nil {
		return agentapi.Orders{Ending: gone, Retired: true}, nil
	}
	o := ordersOf(&m, seat)
	if m.Handle(seat) != w.handle || !seat.Desktop.MayExist() {
		o.Retired = true
		if o.Ending == "" {
			o.Ending = gone
		}
	}
	return o, nil
}

const gone = "This desktop is gone. The lobby says what comes next."
