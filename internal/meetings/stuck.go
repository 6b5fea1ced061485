package meetings

import (
	"context"
	"time"

	"greenroom"
	"greenroom/internal/plan"
	"greenroom/internal/store"
)

// Bounds of a look for stuck meetings.
const (
	maxStuck   = 200 // findings
	stuckPage  = 500 // meetings read at once
	stuckPages = 40  // read in all
)

// Stuck is a finding about a stuck meeting.
type Stuck struct {
	Meeting string
	Title   string
	plan.Trouble
}

// Stuck lists the stuck meetings; more reports whether the bounds cut the list short. It
// reads the meetings that have desktops, those whose wake is overdue, and those that could still be parked at their
// start: its cost does not grow with the others.
func (s *Service) Stuck(ctx context.Context) (found []Stuck, more bool, err error) {
	now := s.Now()
	seen := map[string]bool{}
	look := func(m *greenroom.Meeting) bool {
		if seen[m.ID] {
			return true
		}
		seen[m.ID] = true
		for _, t := range plan.Stuck(m, now) {
			found = append(found, Stuck{Meeting: m.ID, Title: m.Title, Trouble: t})
		}
		return len(found) <= maxStuck
	}
	defer func() { found = found[:min(len(found), maxStuck)] }()
	overdue, err := s.Store.Due(ctx, now.Add(-plan.OverdueAfter), maxStuck+1)
	if err != nil {
		return nil, false, err
	}
	for _, w := range overdue {
		m, err := s.Store.Meeting(ctx, w.Meeting)
		if err != nil {
			return nil, false, err
		}
		if !look(&m) {
			return found, true, nil
		}
	}
	more, err = s.eachAlive(ctx, now, look)
	return found, more, err
}

// eachAlive hands every meeting that has desktops, or soon will, to look, until that says stop.
func (s *Service) eachAlive(ctx context.Context, now time.Time, look func(m *greenroom.Meeting) bool) (more bool, err error) {
	pages := 0
	for _, f := range []store.Filter{
		{State: greenroom.Preparing}, {State: greenroom.AllReady}, {State: greenroom.InProgress}, {State: greenroom.Waiting}, {State: greenroom.Ending},
		{State: greenroom.Scheduled, To: now.Add(maxParking)},
	} {
		f.Limit = stuckPage
		for ; ; pages++ {
			if pages == stuckPages {
				return true, nil
			}
			page, next, err := s.Store.List(ctx, f)
			if err != nil {
				return false, err
			}
			for i := range page {
				if !look(&page[i]) {
					return true, nil
				}
			}
			if f.Cursor = next; next == "" {
				break
			}
		}
	}
	return false, nil
}
