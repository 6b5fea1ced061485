package main

import (
	"context"
	"time"

	"greenroom/internal/httpapi/client"
	"greenroom/internal/httpapi/wire"
)

// desktopsAtOnce asks the server for the most desktops of each blueprint that are wanted at one time within the next day.
// Meetings are counted from a quarter of an hour before their start to a quarter after their end.
func desktopsAtOnce(c *client.Client) func(ctx context.Context) (map[string]int, error) {
	return func(ctx context.Context) (map[string]int, error) {
		now := time.Now()
		var meetings []wire.Meeting
		for f := (client.Filter{From: now.Add(-12 * time.Hour), To: now.Add(24 * time.Hour), Limit: 100}); ; {
			page, err := c.List(ctx, f)
			if err != nil {
				return nil, err
			}
			meetings = append(meetings, page.Meetings...)
			if page.NextCursor == nil {
				return mostAtOnce(meetings), nil
			}
			f.Cursor = *page.NextCursor
		}
	}
}

const beside = 15 * time.Minute

func mostAtOnce(meetings []wire.Meeting) map[string]int {
	most := map[string]int{}
	for _, at := range meetings { // the most is reached when one of them begins
		if at.EndedAt != nil {
			continue
		}
		n := 0
		for _, m := range meetings {
			if m.EndedAt == nil && m.Blueprint == at.Blueprint && !m.StartsAt.After(at.StartsAt) && m.EndsAt.Add(2*beside).After(at.StartsAt) {
				n += len(m.Seats)
			}
		}
		most[at.Blueprint] = max(most[at.Blueprint], n)
	}
	return most
}
