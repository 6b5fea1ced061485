package advance

import (
	"context"
	"slices"
	"time"

	"greenroom"
	"greenroom/internal/logkey"
	"greenroom/internal/plan"
	"greenroom/internal/store"
)

// Bounds of what a machine that has gone does for others. Whoever is left out asks again within a minute by itself.
const (
	freedTimeout = 5 * time.Second
	freedPages   = 4  // of live meetings, 500 each
	freedMost    = 16 // meetings that are told; those that start first
)

// freed tells meetings whose launches are blocked that a machine of their provider has gone: it may have left room in a quota.
func (a *Advancer) freed(ctx context.Context, before, after *greenroom.Meeting) {
	if a.Live == nil || !gone(before, after) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, freedTimeout)
	defer cancel()
	waiting, err := a.blocked(ctx, after)
	if err != nil {
		a.Logger.Warn("blocked launches were not asked for again at once", logkey.Meeting, after.ID, logkey.Err, err)
	}
	for _, m := range waiting {
		_, err := store.ChangeFrom(ctx, a.Meetings, m, func(m *greenroom.Meeting) ([]greenroom.Event, error) {
			now := a.now()
			if !plan.AskAgain(m, now) {
				return nil, store.ErrUnchanged
			}
			m.WakeAt = now
			return nil, nil
		})
		if err != nil {
			a.Logger.Warn("a blocked launch was not asked for again at once", logkey.Meeting, m.ID, logkey.Err, err)
		}
	}
}

// gone reports whether a machine that there was is confirmed to be no more.
func gone(before, after *greenroom.Meeting) bool {
	return slices.ContainsFunc(before.Seats, func(s greenroom.Seat) bool {
		if s.Desktop.InstanceID == "" || !s.Desktop.MayExist() {
			return false
		}
		now := after.AnySeat(s.ID)
		return now == nil || now.Desktop.Attempt != s.Desktop.Attempt || !now.Desktop.MayExist()
	})
}

// blocked lists the meetings of the same provider whose launches are blocked, those that start first.
func (a *Advancer) blocked(ctx context.Context, freed *greenroom.Meeting) ([]greenroom.Meeting, error) {
	var found []greenroom.Meeting
	var err error
	for page, cursor := 0, ""; page < freedPages && (page == 0 || cursor != ""); page++ {
		var live []greenroom.Meeting
		if live, cursor, err = a.Live(ctx, cursor); err != nil {
			break
		}
		for i := range live {
			if m := live[i].Clone(); m.ID != freed.ID && m.Blueprint.Provider == freed.Blueprint.Provider && plan.AskAgain(&m, a.now()) {
				found = append(found, live[i])
			}
		}
	}
	slices.SortFunc(found, func(x, y greenroom.Meeting) int { return x.StartsAt.Compare(y.StartsAt) })
	return found[:min(len(found), freedMost)], err
}
