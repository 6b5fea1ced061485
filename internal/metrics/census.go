package metrics

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"greenroom"
	"greenroom/internal/meetings"
	"greenroom/internal/store"
)

// everywhere is part of the help of figures that are counted in the database.
const everywhere = " Counted in the database every 15 seconds: replicas on one database show the same, so take the maximum and not the sum."

// census is what is counted in the database.
type census struct {
	at       prometheus.Gauge
	desktops *prometheus.GaugeVec
	starts   *prometheus.CounterVec
	stuck    prometheus.Gauge
	until    time.Time // meetings that started before are counted
}

func newCensus() census {
	c := census{
		at: gauge("greenroom_census_timestamp_seconds", "When this server last counted in the database, in Unix seconds."),
		desktops: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "greenroom_desktops",
			Help: "Desktops of the meetings that have any, by phase." + everywhere}, []string{"phase"}),
		starts: counters("greenroom_seats_at_start_total",
			"Seats whose meeting has started, by whether their desktop was ready by then: yes, no, or short_notice (scheduled later than lead before the start)."+everywhere, "ready"),
		stuck: gauge("greenroom_meetings_stuck", "Meetings that do not move as they should, looked for once a minute; parked ones do not count. Replicas on one database show the same."),
	}
	for _, p := range greenroom.Phases() {
		c.desktops.WithLabelValues(string(p))
	}
	for _, ready := range []string{readyYes, readyNo, readyShort} {
		c.starts.WithLabelValues(ready)
	}
	return c
}

func (c *census) collectors() []prometheus.Collector {
	return []prometheus.Collector{c.at, c.desktops, c.starts, c.stuck}
}

// How a seat can stand at the start of its meeting.
const (
	readyYes   = "yes"
	readyNo    = "no"
	readyShort = "short_notice"
)

// Counted is what a census needs of the store.
type Counted interface {
	Live(ctx context.Context, cursor string) ([]greenroom.Meeting, string, error)
	List(ctx context.Context, f store.Filter) ([]greenroom.Meeting, string, error)
}

// Times of a census.
const (
	countEvery = 15 * time.Second
	countTime  = 10 * time.Second
	pageSize   = 500
)

// Count counts in the database until ctx ends. While the database does not answer the figures stay, and so does
// greenroom_census_timestamp_seconds.
func (m *Set) Count(ctx context.Context, db Counted) error {
	m.census.until = time.Now()
	tick := time.NewTicker(countEvery)
	defer tick.Stop()
	for {
		if err := m.census.take(ctx, db, time.Now()); err == nil {
			m.census.at.SetToCurrentTime()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// take counts once.
func (c *census) take(ctx context.Context, db Counted, now time.Time) error {
	ctx, cancel := context.WithTimeoutCause(ctx, countTime, fmt.Errorf("counting took longer than %s", countTime))
	defer cancel()
	phases := map[greenroom.Phase]int{}
	err := store.AllLive(ctx, db.Live, func(m *greenroom.Meeting) {
		for i := range m.Seats {
			phases[m.Seats[i].Desktop.Phase]++
		}
	})
	if err != nil {
		return err
	}
	for _, p := range greenroom.Phases() {
		c.desktops.WithLabelValues(string(p)).Set(float64(phases[p]))
	}
	return c.countStarts(ctx, db, now)
}

// countStarts counts the seats of the meetings that have started since the last time.
func (c *census) countStarts(ctx context.Context, db Counted, now time.Time) error {
	counts := map[string]int{}
	for cursor := ""; ; {
		page, next, err := db.List(ctx, store.Filter{From: c.until, To: now, Limit: pageSize, Cursor: cursor})
		if err != nil {
			return err
		}
		for i := range page {
			count(&page[i], counts)
		}
		if cursor = next; cursor == "" {
			break
		}
	}
	for ready, n := range counts {
		c.starts.WithLabelValues(ready).Add(float64(n))
	}
	if now.After(c.until) {
		c.until = now
	}
	return nil
}

// count adds the seats of a meeting that has just started. One that was over before its start has none.
func count(m *greenroom.Meeting, counts map[string]int) {
	if m.EndReason != "" && m.EndedAt.Before(m.StartsAt) {
		return
	}
	for _, s := range m.Present() {
		readyAt, ok := s.Desktop.Entered(greenroom.Ready)
		switch {
		case ok && !readyAt.After(m.StartsAt):
			counts[readyYes]++
		case m.CreatedAt.After(m.LaunchAt()):
			counts[readyShort]++
		default:
			counts[readyNo]++
		}
	}
}

// Stuck is told of what was found stuck. Meetings count, not findings: one may have several.
func (m *Set) Stuck(found []meetings.Stuck) {
	stuck := map[string]bool{}
	for _, s := range found {
		if !s.Note {
			stuck[s.Meeting] = true
		}
	}
	m.census.stuck.Set(float64(len(stuck)))
}
