package advance

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"greenroom"
	"greenroom/internal/compute"
	"greenroom/internal/dns"
	"greenroom/internal/logkey"
	"greenroom/internal/store"
)

// sweepStore is what the sweep needs of the store.
type sweepStore interface {
	Meeting(ctx context.Context, id string) (greenroom.Meeting, error)
	Update(ctx context.Context, m greenroom.Meeting, events []greenroom.Event) (greenroom.Meeting, error)
	Live(ctx context.Context, cursor string) ([]greenroom.Meeting, string, error)
	Forget(ctx context.Context, before time.Time) error
}

// Sweeper compares what exists with what meetings own. What carries our owner mark and belongs to no live
// desktop is removed after a second look; meetings whose instance is missing are advanced, which looks again.
type Sweeper struct {
	Store     sweepStore
	Providers map[greenroom.Provider]compute.Provider
	Records   dns.Zone
	Kick      func(meetingID string)
	Now       func() time.Time // time.Now, but in a simulation
	Logger    *slog.Logger

	// Seen is what the last sweep took for an orphan, with true once its removal is on a timeline; nil before the first. Who
	// sweeps from another process each time keeps it in between.
	Seen map[string]bool
	// Alive says whether the last sweep found anything that is there to be looked after.
	Alive bool
}

// keyMemory is how long idempotency keys are honoured.
const keyMemory = 48 * time.Hour

// Sweep looks once. It goes on past single errors and returns them joined.
func (s *Sweeper) Sweep(ctx context.Context) error {
	owned, err := s.owned(ctx)
	if err != nil {
		return fmt.Errorf("sweep: %w", err)
	}
	if s.Seen == nil { // the process before this one may have died in the middle of a pass
		for token := range owned.byToken {
			h, _ := greenroom.ParseHandle(token)
			s.Kick(h.Meeting)
		}
	}
	s.Alive = len(owned.byToken) > 0
	seen := map[string]bool{}
	machines := map[string]greenroom.Handle{}
	errs := []error{s.Store.Forget(ctx, s.Now().Add(-keyMemory))}
	for name, provider := range s.Providers {
		errs = append(errs, s.instances(ctx, name, provider, owned, machines, seen))
	}
	errs = append(errs, s.records(ctx, owned, machines, seen))
	s.Seen = seen
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("sweep: %w", err)
	}
	return nil
}

// desktops is what meetings own: by token and by host name.
type desktops struct {
	byToken map[string]greenroom.Desktop
	byName  map[string]bool
}

// owned reads the desktops of the meetings that are neither untouched nor over. It does not grow with those.
func (s *Sweeper) owned(ctx context.Context) (desktops, error) {
	own := desktops{map[string]greenroom.Desktop{}, map[string]bool{}}
	return own, store.AllLive(ctx, s.Store.Live, own.add)
}

func (o desktops) add(m *greenroom.Meeting) {
	for i := range m.Seats {
		if s := &m.Seats[i]; s.Desktop.MayExist() {
			o.byToken[m.Handle(s).Token()] = s.Desktop
			o.byName[s.Desktop.Hostname] = true
		}
	}
}

// instances removes a provider's orphans and wakes the meetings whose instances it does not list. It adds to machines whose
// each instance is, by its id.
func (s *Sweeper) instances(ctx context.Context, name greenroom.Provider, provider compute.Provider, own desktops, machines map[string]greenroom.Handle, seen map[string]bool) error {
	list, err := provider.List(ctx, "")
	if err != nil {
		return fmt.Errorf("list %s: %w", name, err)
	}
	s.Alive = s.Alive || len(list) > 0
	orphans := orphans{}
	listed := map[string]bool{}
	for _, i := range list {
		token := i.Handle.Token()
		listed[token], machines[i.ID] = true, i.Handle
		if _, ok := own.byToken[token]; ok || i.State == compute.ShuttingDown {
			continue
		}
		if s.orphan(ctx, machineOf(i.ID), i.Handle, seen) {
			orphans[i.ID] = i.Handle
		}
	}
	for token, d := range own.byToken {
		if h, ok := greenroom.ParseHandle(token); ok && d.Phase.Live() && d.InstanceID != "" && !listed[token] {
			s.Kick(h.Meeting)
		}
	}
	if len(orphans) == 0 {
		return nil
	}
	if err := provider.Terminate(ctx, orphans.ids()...); err != nil {
		return err
	}
	return s.tell(ctx, orphans, machineOf, seen)
}

// records removes names that belong to no desktop. A name begins with the id of its machine.
func (s *Sweeper) records(ctx context.Context, own desktops, machines map[string]greenroom.Handle, seen map[string]bool) error {
	list, err := s.Records.GetRecords(ctx)
	if err != nil {
		return fmt.Errorf("get records: %w", err)
	}
	s.Alive = s.Alive || len(list) > 0
	orphans := orphans{}
	for _, r := range list {
		machine, _, _ := strings.Cut(r.Name, ".")
		if !own.byName[r.Name] && s.orphan(ctx, nameOf(r.Name), machines[machine], seen) {
			orphans[r.Name] = machines[machine]
		}
	}
	if len(orphans) == 0 {
		return nil
	}
	if err := s.Records.DeleteRecords(ctx, orphans.ids()); err != nil {
		return err
	}
	return s.tell(ctx, orphans, nameOf, seen)
}

// orphan reports whether what was taken for an orphan before is one still. The meeting is read again, since
// the list of owned desktops may be older than the desktop.
func (s *Sweeper) orphan(ctx context.Context, what string, h greenroom.Handle, seen map[string]bool) bool {
	told, before := s.Seen[what]
	seen[what] = told
	if !before {
		return false
	}
	if h.Meeting != "" {
		m, err := s.Store.Meeting(ctx, h.Meeting)
		if err != nil && !errors.Is(err, greenroom.ErrNotFound) {
			return false
		}
		if seat := m.AnySeat(h.Seat); err == nil && seat != nil && m.Handle(seat) == h && seat.Desktop.MayExist() {
			return false
		}
	}
	s.Logger.Warn("removing orphan", logkey.What, what, logkey.Meeting, h.Meeting)
	return true
}
