package meetings

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"greenroom"
	"greenroom/internal/agent/agentapi"
)

// Way is how to reach one desktop from outside, as the edge needs it.
type Way struct {
	Hostname   string
	InstanceID string
	Addresses  []netip.Addr // the one to be tried first comes first; one at least
	KeyHash    string       // SHA-256 of the public key that enrolled, in hex: whoever has another key is not this desktop
	Open       bool         // participants may be in it
	Proving    bool         // it may be looked at, and nobody be let in yet
	Title      string       // of the meeting
	Role       string
	LobbyURL   string // without its key

	handle  greenroom.Handle
	until   time.Time
	rekeyed int // how often the seat's link was replaced, and those inside cut off
}

// Meeting is the id of the desktop's meeting.
func (w Way) Meeting() string { return w.handle.Meeting }

// Leads reports whether those who came in by w may stay, going by what the way to that desktop is now.
func (w Way) Leads(now Way) bool {
	return now.Open && now.handle == w.handle && now.rekeyed == w.rekeyed
}

// Way returns the way to the desktop of that name. ErrNotFound if no desktop has it now.
func (s *Service) Way(ctx context.Context, hostname string) (Way, error) {
	m, seat, err := s.named(ctx, hostname)
	if err != nil {
		return Way{}, err
	}
	d := &seat.Desktop
	addresses := d.Addresses()
	if len(addresses) == 0 {
		return Way{}, fmt.Errorf("desktop's address: %w", greenroom.ErrNotFound)
	}
	return Way{
		Hostname: hostname, InstanceID: d.InstanceID, Addresses: addresses, KeyHash: d.Agent.KeyHash,
		Open: d.Enterable() && !seat.Removed && m.EndReason == "", Proving: d.Phase == greenroom.Naming || d.Phase == greenroom.Proving,
		Title: m.Title, Role: seat.Role, LobbyURL: s.lobbyURL(m.ID, seat.ID),
		handle: m.Handle(seat), until: d.KillAt, rekeyed: seat.Rekeyed,
	}, nil
}

// WayByInstance is Way for an instance id, whatever zone the desktop is named in.
func (s *Service) WayByInstance(ctx context.Context, id string) (Way, error) {
	if !greenroom.ValidInstanceID(id) {
		return Way{}, fmt.Errorf("desktop %w", greenroom.ErrNotFound)
	}
	return s.Way(ctx, id+"."+s.Links.Zone)
}

// named finds the seat whose desktop has that name now.
func (s *Service) named(ctx context.Context, hostname string) (greenroom.Meeting, *greenroom.Seat, error) {
	missing := fmt.Errorf("desktop %w", greenroom.ErrNotFound)
	if label, _, _ := strings.Cut(hostname, "."); !greenroom.ValidInstanceID(label) {
		return greenroom.Meeting{}, nil, missing
	}
	h, err := s.names.find(ctx, hostname)
	if err != nil {
		return greenroom.Meeting{}, nil, err
	}
	m, err := s.Meeting(ctx, h.Meeting)
	if err != nil {
		return m, nil, err
	}
	seat := m.AnySeat(h.Seat)
	if seat == nil || m.Handle(seat) != h || seat.Desktop.Hostname != hostname || !seat.Desktop.MayExist() {
		return m, nil, missing
	}
	return m, seat, nil
}

// Admit is Verify for the edge, which serves the desktop of that name itself: the same tokens under the same rules.
// A good one is answered with a pass, which Holds recognises until the desktop ends.
func (s *Service) Admit(ctx context.Context, hostname, token, client string) (Verdict, string, error) {
	address, _ := netip.ParseAddr(client)
	if !address.IsValid() {
		return Verdict{Message: "the client address is missing or malformed"}, "", nil
	}
	unknown := Verdict{Message: "this desktop is not known"}
	m, seat, err := s.named(ctx, hostname)
	if errors.Is(err, greenroom.ErrNotFound) {
		return unknown, "", nil
	}
	if err != nil {
		return Verdict{}, "", err
	}
	h, verdict, rekeyed := m.Handle(seat), unknown, 0
	_, err = s.change(ctx, h.Meeting, func(m *greenroom.Meeting, now time.Time) ([]greenroom.Event, error) {
		verdict = unknown // a try before this one may have lost its race
		seat := m.AnySeat(h.Seat)
		if seat == nil || m.Handle(seat) != h {
			return nil, errUnchanged
		}
		rekeyed = seat.Rekeyed
		var events []greenroom.Event
		var err error
		verdict, events, err = redeem(m, seat, agentapi.SessionID, token, address.Unmap().WithZone("").String(), now)
		return events, err
	})
	if err != nil || !verdict.OK {
		return verdict, "", err
	}
	return verdict, s.pass(h, greenroom.NewSecret(), hostname, rekeyed), nil
}

// pass is "<nonce>.<secret>": nothing is stored, every browser has another, and every replica and the next process
// recognise it. It is bound to the attempt, to the name and to the seat's link.
func (s *Service) pass(h greenroom.Handle, nonce, hostname string, rekeyed int) string {
	bound := nonce + "@" + hostname
	if rekeyed > 0 {
		bound += "#" + strconv.Itoa(rekeyed)
	}
	return nonce + "." + s.Keys.secret(forPass, h, bound)
}

// Holds reports whether pass opens the way now. It opens this one and no other, and none once the desktop has ended.
func (s *Service) Holds(w Way, pass string) bool {
	nonce, _, _ := strings.Cut(pass, ".")
	return w.Open && len(pass) <= 512 && s.Now().Before(w.until) && greenroom.SameSecret(s.pass(w.handle, nonce, w.Hostname, w.rekeyed), pass)
}
