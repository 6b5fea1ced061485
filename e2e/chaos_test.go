package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/httpapi/client"
	"greenroom/internal/httpapi/wire"
	"greenroom/internal/httpx"
	"greenroom/internal/procs"
)

var (
	blows  = flag.Int("blows", 10, "how often the chaos test kills, stops or cuts something")
	crowd  = flag.Int("crowd", 4, "how many meetings the chaos test keeps alive at once")
	gentle = flag.Duration("gentle", 2*time.Second, "most time between two blows")
)

// chaos is a greenroom of one or more replicas under load, while it is being hit.
type chaos struct {
	*instance // the address that people know; never started itself
	nodes     []*instance

	mu       sync.Mutex
	bookings []*booking
	doubled  []string
}

// booking is what one organiser was promised.
type booking struct {
	key, title string
	id         string
	took       time.Duration // from the request to two ready desktops
}

// patientFor is how long a call is repeated: longer than any blow lasts.
const patientFor = 2 * time.Minute

// insist repeats a call until it is answered: people press the button again. What is refused as wrong is not repeated.
func insist[T any](ctx context.Context, call func(ctx context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, patientFor)
	defer cancel()
	for {
		one, stop := context.WithTimeout(ctx, 5*time.Second)
		v, err := call(one)
		stop()
		if p, refused := errors.AsType[*httpx.Problem](err); err == nil || refused && p.Status < 500 || ctx.Err() != nil {
			return v, err
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// organise leads meetings from scheduling to their end, one after another, until ctx ends.
func (c *chaos) organise(ctx context.Context, who int) error {
	for round := 0; ctx.Err() == nil; round++ {
		b := &booking{key: fmt.Sprintf("organiser-%d-round-%d", who, round), title: fmt.Sprintf("Chaos %d %d", who, round)}
		if err := c.lead(context.WithoutCancel(ctx), b); err != nil {
			return fmt.Errorf("%s (%s): %w", b.title, b.id, err)
		}
	}
	return nil
}

// lead is one meeting: scheduled, ready, renamed, and in the end gone.
func (c *chaos) lead(ctx context.Context, b *booking) error {
	began := time.Now()
	m, err := insist(ctx, func(ctx context.Context) (wire.Meeting, error) {
		return c.api.Schedule(ctx, wire.Schedule{Title: "Chaos", StartsAt: "now", Duration: "30m"}, b.key)
	})
	if err != nil {
		return fmt.Errorf("schedule: %w", err)
	}
	b.id = m.ID
	c.mu.Lock()
	c.bookings = append(c.bookings, b)
	c.mu.Unlock()
	if err := c.becomes(ctx, b.id, greenroom.Ready); err != nil {
		return err
	}
	b.took = time.Since(began)
	if _, err = insist(ctx, func(ctx context.Context) (wire.Meeting, error) {
		return c.api.Edit(ctx, b.id, wire.Edit{Title: &b.title}, 0)
	}); err != nil {
		return fmt.Errorf("rename: %w", err)
	}
	after(2 * time.Second)
	if _, err = insist(ctx, func(ctx context.Context) (wire.Meeting, error) { return c.api.End(ctx, b.id) }); err != nil {
		return fmt.Errorf("end: %w", err)
	}
	return c.becomes(ctx, b.id, greenroom.Gone)
}

// becomes waits until all desktops of the meeting have reached a phase.
func (c *chaos) becomes(ctx context.Context, id string, phase greenroom.Phase) error {
	ctx, cancel := context.WithTimeout(ctx, patientFor)
	defer cancel()
	for {
		m, err := insist(ctx, func(ctx context.Context) (wire.Meeting, error) { return c.api.Meeting(ctx, id) })
		switch {
		case err != nil && ctx.Err() == nil:
			return fmt.Errorf("an accepted meeting is lost: %w", err)
		case ctx.Err() != nil:
			return fmt.Errorf("not %s within %s:\n%s", phase, patientFor, c.timeline(id))
		case all(m, phase):
			return nil
		}
		time.Sleep(50 * time.Millisecond) // between two looks
	}
}

// timeline is what a meeting tells of itself.
func (c *chaos) timeline(id string) string {
	events, err := insist(context.Background(), func(ctx context.Context) (wire.Events, error) { return c.api.Events(ctx, id, 0) })
	if err != nil {
		return err.Error()
	}
	var b strings.Builder
	for _, e := range events.Events {
		fmt.Fprintf(&b, "%s %s %s.%d %s\n", e.At.Format("15:04:05.000"), e.Kind, e.Seat, e.Attempt, e.Message)
	}
	return b.String()
}

// watchSeats looks again and again whether a seat has two machines.
func (c *chaos) watchSeats(ctx context.Context) {
	for ctx.Err() == nil {
		seats := map[string]string{}
		for id, h := range c.machines() {
			seat := h.Meeting + " " + h.Seat
			if other, two := seats[seat]; two && c.stillBoth(id, other) {
				c.mu.Lock()
				c.doubled = append(c.doubled, fmt.Sprintf("%s: %s and %s", seat, other, id))
				c.mu.Unlock()
			}
			seats[seat] = id
		}
		time.Sleep(50 * time.Millisecond) // between two looks
	}
}

// stillBoth looks again: between reading two records time passes.
func (c *chaos) stillBoth(a, b string) bool {
	m := c.machines()
	return m[a].Meeting != "" && m[b].Meeting != ""
}

// machines lists the desktops whose agents live and are not being removed, by instance id.
func (c *chaos) machines() map[string]greenroom.Handle {
	out := map[string]greenroom.Handle{}
	dirs, _ := filepath.Glob(filepath.Join(c.data, "desktops", "i-*"))
	for _, dir := range dirs {
		var record struct {
			Token    string
			PID      int
			Start    uint64
			Removing bool
		}
		text, err := os.ReadFile(filepath.Join(dir, "instance.json"))
		if err != nil || json.Unmarshal(text, &record) != nil || record.Removing || record.PID == 0 {
			continue
		}
		if p, ok := procs.Find(record.PID); !ok || p.Start != record.Start || p.Ended() {
			continue
		}
		if h, ok := greenroom.ParseHandle(record.Token); ok {
			out[filepath.Base(dir)] = h
		}
	}
	return out
}

// kill ends a replica at once, and starts it again a little later.
func (c *chaos) kill(*testing.T) string {
	n := c.nodes[rand.N(len(c.nodes))]
	n.kill()
	d := after(time.Second)
	n.start()
	return fmt.Sprintf("%s was killed, and away for %s", n.name, d)
}

// freeze stops a replica, as a busy machine does, and lets it go on.
func (c *chaos) freeze(t *testing.T) string {
	n := c.nodes[rand.N(len(c.nodes))]
	if err := n.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	d := after(8 * time.Second)
	if err := n.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s stood still for %s", n.name, d)
}

// storm hits again and again, with one or another of the blows.
func (c *chaos) storm(t *testing.T, kinds ...func(t *testing.T) string) {
	for i := range *blows {
		after(*gentle)
		began := time.Now().UTC()
		what := kinds[rand.N(len(kinds))](t)
		t.Logf("%s blow %d: %s", began.Format("15:04:05.000"), i, what)
	}
}

// load uses the greenroom while something is done to it, lets it come to rest, and looks whether anything is
// lost, doubled or left.
func (c *chaos) load(t *testing.T, something func()) {
	ctx, rest := context.WithCancel(t.Context())
	defer rest()
	errs := make(chan error, *crowd)
	for who := range *crowd {
		go func() { errs <- c.organise(ctx, who) }()
	}
	watching, done := context.WithCancel(t.Context())
	var watcher sync.WaitGroup
	watcher.Go(func() { c.watchSeats(watching) })
	something()
	rest()
	for range *crowd {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	done()
	watcher.Wait()
	if len(c.doubled) > 0 {
		t.Errorf("seats with two machines: %v", c.doubled)
	}
	c.nothingLost(t)
	c.nothingLeft()
}

// nothingLost compares what organisers were promised with what is kept.
func (c *chaos) nothingLost(t *testing.T) {
	kept := map[string]wire.Meeting{}
	for cursor := ""; ; {
		page, err := c.api.List(t.Context(), client.Filter{Limit: 500, Cursor: cursor})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range page.Meetings {
			kept[m.ID] = m
		}
		if page.NextCursor == nil {
			break
		}
		cursor = *page.NextCursor
	}
	if len(kept) != len(c.bookings) {
		t.Errorf("%d meetings are kept, %d were accepted", len(kept), len(c.bookings))
	}
	slowest := c.bookings[0]
	var took []time.Duration
	for _, b := range c.bookings {
		if b.took > slowest.took {
			slowest = b
		}
		if m := kept[b.id]; m.Title != b.title || m.State != greenroom.Ended {
			t.Errorf("meeting %s: title %q, want %q; state %s", b.id, m.Title, b.title, m.State)
		}
		took = append(took, b.took)
	}
	slices.Sort(took)
	t.Logf("%d meetings, ready after %s in the middle, %s at most", len(took), took[len(took)/2], took[len(took)-1])
	t.Logf("the slowest, %s:\n%s", slowest.id, c.timeline(slowest.id))
}

// TestChaosOnSQLite kills and stops the one server of an SQLite database under load.
func TestChaosOnSQLite(t *testing.T) {
	t.Parallel()
	node := newInstance(t)
	c := &chaos{instance: node, nodes: []*instance{node}}
	node.start()
	c.load(t, func() { c.storm(t, c.kill, c.kill, c.freeze) })
}
