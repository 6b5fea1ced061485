package meetings

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"greenroom"
)

// history estimates how long the stages of a start take, from the starts of the recent past.
type history struct {
	store keeper
	now   func() time.Time

	mu      sync.Mutex
	readAt  time.Time
	medians map[string]map[greenroom.Phase]time.Duration // by blueprint
}

// Bounds of the history.
const (
	historySize = 200              // starts that count
	historyLife = 15 * time.Second // estimates may be this old
)

// expected returns the median of each stage, nil when nothing is known. An estimate is a courtesy: when the
// store does not answer, the old one is kept.
func (h *history) expected(ctx context.Context, blueprint string) map[greenroom.Phase]time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	if now := h.now(); now.Sub(h.readAt) > historyLife {
		h.readAt = now
		if events, err := h.store.RecentEvents(ctx, greenroom.EventReady, historySize); err == nil {
			h.medians = medians(events)
		}
	}
	return h.medians[blueprint]
}

func medians(events []greenroom.Event) map[string]map[greenroom.Phase]time.Duration {
	samples := map[string]map[greenroom.Phase][]time.Duration{}
	for _, e := range events {
		b := e.Data["blueprint"]
		if samples[b] == nil {
			samples[b] = map[greenroom.Phase][]time.Duration{}
		}
		for _, phase := range []greenroom.Phase{greenroom.Launching, greenroom.Booting, greenroom.Naming, greenroom.Proving} {
			if v, err := strconv.ParseFloat(e.Data[string(phase)], 64); err == nil {
				samples[b][phase] = append(samples[b][phase], time.Duration(v*float64(time.Second)))
			}
		}
	}
	out := map[string]map[greenroom.Phase]time.Duration{}
	for b, phases := range samples {
		out[b] = map[greenroom.Phase]time.Duration{}
		for phase, all := range phases {
			slices.Sort(all)
			out[b][phase] = all[len(all)/2]
		}
	}
	return out
}
