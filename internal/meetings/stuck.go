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

// Stuck is a finding about a meeting that does not move as it should.
type Stuck struct {
	Meeting string
	Title   string
	plan.Trouble
}

// Stuck lists the meetings that do not move as they should; more reports whether the bounds cut the list short. It
// reads the meetings that have desktops and those whose wake is overdue: its cost does not grow with the others.
func (s *Service) Stuck(ctx context.Context) (found []Stuck, more bool, err error) {
	now := time.Now()
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
	more, err = s.eachWithDesktops(ctx, look)
	return found, more, err
}

// eachWithDesktops hands every meeting that has desktops, or is about to lose them, to look, until that says stop.
func (s *Service) eachWithDesktops(ctx context.Context, look func(m *greenroom.Meeting) bool) (more bool, err error) {
	pages := 0
	for _, state := range []greenroom.State{greenroom.Preparing, greenroom.AllReady, greenroom.InProgress, greenroom.Ending} {
		for cursor := ""; ; pages++ {
			if pages == stuckPages {
				return true, nil
			}
			page, next, err := s.Store.List(ctx, store.Filter{State: state, Limit: stuckPage, Cursor: cursor})
			if err != nil {
				return false, err
			}
			for i := range page {
				if !look(&page[i]) {
					return true, nil
				}
			}
			if cursor = next; cursor == "" {
				break
			}
		}
	}
	return false, nil
}
