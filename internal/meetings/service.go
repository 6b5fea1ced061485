package meetings

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"greenroom"
	"greenroom/internal/certs"
	"greenroom/internal/dcv"
	"greenroom/internal/plan"
	"greenroom/internal/store"
)

// keeper is what the use cases need of the store.
type keeper interface {
	Create(ctx context.Context, m greenroom.Meeting, events []greenroom.Event, idem store.Idempotency) (greenroom.Meeting, bool, error)
	First(ctx context.Context, idem store.Idempotency) (greenroom.Meeting, error)
	Meeting(ctx context.Context, id string) (greenroom.Meeting, error)
	Update(ctx context.Context, m greenroom.Meeting, events []greenroom.Event) (greenroom.Meeting, error)
	List(ctx context.Context, f store.Filter) ([]greenroom.Meeting, string, error)
	Live(ctx context.Context, cursor string) ([]greenroom.Meeting, string, error)
	Due(ctx context.Context, before time.Time, limit int) ([]store.Wake, error)
	Events(ctx context.Context, meetingID string, after int64, limit int) ([]greenroom.Event, error)
	RecentEvents(ctx context.Context, kind greenroom.EventKind, limit int) ([]greenroom.Event, error)
}

// explainer plans without acting.
type explainer interface {
	Explain(ctx context.Context, id string) (plan.Decision, error)
}

// Options are what a Service is made of. All fields up to Logger are required.
type Options struct {
	Store      keeper
	Blueprints []greenroom.Blueprint
	Kick       func(meetingID string) // asks for Advance soon; a hint
	Explainer  explainer
	Issuer     certs.Issuer
	Keys       Keys
	Links      Links
	Logger     *slog.Logger
	Identify   func(document, signature string) (MachineIdentity, error) // checks what AWS signed for a machine; nil: no machine of EC2 may enrol
	Races      bool                                                      // changes of one meeting do not wait for each other in this process: in a simulation nobody may wait for a channel
	MaxSeats   int                                                       // of one meeting; 0 is DefaultMaxSeats
	Account    func() string                                             // the AWS account of machines; empty: not known, and not compared; nil: never known
	Now        func() time.Time                                          // nil is time.Now; a simulation has its own
	ProofWait  time.Duration                                             // how long Enter waits for a proof that has expired; 0: not at all
	NewID      func() string                                             // of a new meeting; nil is greenroom.NewMeetingID
}

// Service carries out what people and desktops ask for. Its methods may be called at once.
type Service struct {
	Options
	history *history
	turns   *turns
	names   *names
}

// New returns a Service.
func New(o Options) *Service {
	if o.Now == nil {
		o.Now = time.Now //nolint:forbidigo // what is injected where nothing else is
	}
	if o.NewID == nil {
		o.NewID = greenroom.NewMeetingID
	}
	return &Service{Options: o, history: &history{store: o.Store, now: o.Now}, names: newNames(o.Store, o.Now), turns: newTurns()}
}

// Links are the addresses that people and desktops are given.
type Links struct {
	PublicURL   string // of the pages and the API as people reach them, without a final slash
	ControlURL  string // of the API as desktops reach it, without a final slash
	ControlCA   string // PEM of the authority to trust for it; empty is the system's
	VideoURL    string // template with {id}; empty means none
	DesktopPort int    // as browsers reach desktops
	Zone        string // desktops are named below it
	Single      bool   // browsers reach desktops below PublicURL
}

// entryURL is where a browser enters the desktop with the token.
func (s *Service) entryURL(d *greenroom.Desktop, token string) string {
	if s.Links.Single {
		return dcv.EntryBelow(s.Links.PublicURL+"/d/"+d.InstanceID, token)
	}
	return dcv.EntryURL(d.Hostname, s.Links.DesktopPort, token)
}

// PublicName is the host name under which browsers reach the desktop; empty until there is one.
func (s *Service) PublicName(d *greenroom.Desktop) string {
	if !s.Links.Single || d.Hostname == "" {
		return d.Hostname
	}
	u, err := url.Parse(s.Links.PublicURL)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// JoinURL is a seat's secret link.
func (s *Service) JoinURL(m greenroom.Meeting, seat greenroom.Seat) string {
	return s.lobbyURL(m.ID, seat.ID) + "?key=" + url.QueryEscape(seat.Key)
}

func (s *Service) lobbyURL(id, seat string) string {
	return s.Links.PublicURL + "/join/" + id + "/" + seat
}

// VideoURL is the address of the meeting's video room, "" if there is none.
func (s *Service) VideoURL(m greenroom.Meeting) string {
	return strings.ReplaceAll(s.Links.VideoURL, "{id}", m.ID)
}

// Blueprint returns the blueprint of that name.
func (s *Service) blueprint(name string) (greenroom.Blueprint, bool) {
	for _, b := range s.Options.Blueprints {
		if b.Name == name {
			return b, true
		}
	}
	return greenroom.Blueprint{}, false
}

// Blueprints lists what meetings can be made of.
func (s *Service) Blueprints() []greenroom.Blueprint { return s.Options.Blueprints }

// Meeting returns one meeting, or ErrNotFound.
func (s *Service) Meeting(ctx context.Context, id string) (greenroom.Meeting, error) {
	if !greenroom.ValidMeetingID(id) {
		return greenroom.Meeting{}, fmt.Errorf("meeting %w", greenroom.ErrNotFound)
	}
	return s.Store.Meeting(ctx, id)
}

// List returns a page of meetings by start, and the next page's cursor.
func (s *Service) List(ctx context.Context, f Filter) ([]greenroom.Meeting, string, error) {
	return s.Store.List(ctx, f)
}

// Events returns a meeting's timeline after seq.
func (s *Service) Events(ctx context.Context, id string, after int64, limit int) ([]greenroom.Event, error) {
	if !greenroom.ValidMeetingID(id) {
		return nil, fmt.Errorf("meeting %w", greenroom.ErrNotFound)
	}
	return s.Store.Events(ctx, id, after, limit)
}

// errUnchanged is returned by a change that found nothing to do.
var errUnchanged = store.ErrUnchanged

// errNoted is returned by a change that people want to know of and the plan does not: it is saved, and the wake that is set
// stays.
var errNoted = errors.New("noted")

// change is store.Change, one after another for a meeting, and then asks for an Advance. An error of f ends it and is returned
// with the meeting as it is; errUnchanged and errNoted are no errors.
func (s *Service) change(ctx context.Context, id string, f func(m *greenroom.Meeting, now time.Time) ([]greenroom.Event, error)) (greenroom.Meeting, error) {
	if !greenroom.ValidMeetingID(id) {
		return greenroom.Meeting{}, fmt.Errorf("meeting %w", greenroom.ErrNotFound)
	}
	if !s.Races {
		done, err := s.turns.take(ctx, id)
		if err != nil {
			return greenroom.Meeting{}, err
		}
		defer done()
	}
	news := false
	saved, err := store.Change(ctx, s.Store, id, func(m *greenroom.Meeting) ([]greenroom.Event, error) {
		now := s.Now().UTC()
		events, err := f(m, now)
		if news = err == nil; news && !m.Closed { // the change may be news for the plan: the wake that stood may be too late
			m.WakeAt = now
		}
		if errors.Is(err, errNoted) {
			err = nil
		}
		return events, err
	})
	if err == nil && news {
		s.Kick(id)
	}
	return saved, err
}

// Explanation is what would happen to a meeting next, and why.
type Explanation struct {
	Meeting  greenroom.Meeting // as it is stored
	Decision plan.Decision     // what would be done now
	At       time.Time         // now
}

// Explain plans without acting.
func (s *Service) Explain(ctx context.Context, id string) (Explanation, error) {
	m, err := s.Meeting(ctx, id)
	if err != nil {
		return Explanation{}, err
	}
	d, err := s.Explainer.Explain(ctx, id)
	return Explanation{Meeting: m, Decision: d, At: s.Now()}, err
}
