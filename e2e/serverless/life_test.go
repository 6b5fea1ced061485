package serverless

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/httpapi/wire"
)

// TestLife leads meetings from their scheduling to the last trace of their machines, by events alone. What the second one
// costs is what each costs that is not the first after a deployment.
func TestLife(t *testing.T) {
	t.Parallel()
	c := deploy(t)
	c.run(true)
	c.boot()
	c.lead("Algebra")
	c.nothingLeft()
	c.still.Store(true) // a sweep each minute is not the meeting's: it is the same for many
	c.calls.take()
	id := c.lead("Geometry")
	calls := c.calls.take()
	c.still.Store(false)
	c.nothingLeft()
	if got := c.received(c.deadQueue); len(got) != 0 {
		t.Errorf("dead letters: %v", got)
	}
	c.tell(id, calls)
}

// lead leads a meeting of two through its life and returns its id.
func (c *cloud) lead(title string) string {
	c.t.Helper()
	m := c.schedule(title, time.Hour)
	c.until("a schedule", func(context.Context) bool { return len(c.schedules()) > 0 })
	c.must(c.api.Edit(c.t.Context(), m.ID, wire.Edit{StartsAt: ptr(time.Now().Add(30 * time.Second).UTC().Format(time.RFC3339))}, 0))
	m = c.becomes(m.ID, "both desktops", func(m wire.Meeting) bool { return all(m, greenroom.Ready) })
	if got := len(c.records()); got != 2 {
		c.t.Errorf("%d names for two desktops", got)
	}
	for _, s := range m.Seats {
		c.enter(s)
		c.desktop(s.Desktop.InstanceID).connected(true)
	}
	c.becomes(m.ID, "both to be in use", func(m wire.Meeting) bool { return all(m, greenroom.InUse) })
	c.must(c.api.End(c.t.Context(), m.ID))
	c.becomes(m.ID, "the end", func(m wire.Meeting) bool { return m.State == greenroom.Ended })
	return m.ID
}

// enter is a participant whose lobby says that the desktop is ready.
func (c *cloud) enter(s wire.Seat) {
	c.t.Helper()
	link, err := url.Parse(s.JoinURL)
	if err != nil {
		c.t.Fatal(err)
	}
	page, err := http.Get(s.JoinURL)
	if err != nil {
		c.t.Fatal(err)
	}
	text, _ := io.ReadAll(page.Body)
	page.Body.Close()
	if page.StatusCode != http.StatusOK || !strings.Contains(string(text), "data-can-enter") || !strings.Contains(string(text), "data-plain") {
		c.t.Errorf("the lobby says %s: %.300s", page.Status, text)
	}
	link.Path = "/api/v1" + link.Path
	resp, err := http.Post(link.String(), "", nil)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	var way struct{ URL string }
	if err := json.NewDecoder(resp.Body).Decode(&way); err != nil || !strings.HasPrefix(way.URL, "https://"+s.Desktop.Hostname+":8443/?authToken=") {
		c.t.Errorf("%s: entered to %q, %v", resp.Status, way.URL, err)
	}
}

// nothingLeft checks that two sweeps after the end nothing of anything remains, not even the sweeps.
func (c *cloud) nothingLeft() {
	c.t.Helper()
	for _, m := range c.ec2.Machines() {
		if m.Live {
			c.t.Errorf("the machine %s lives", m.ID)
		}
	}
	if got := c.records(); len(got) != 0 {
		c.t.Errorf("names are left: %v", got)
	}
	c.until("the sweeps to end", func(context.Context) bool { return !c.schedules()["sweep"] }) // schedules of meetings ring for nothing
	if n := c.ec2.Throttled(); n != 0 {
		c.t.Errorf("%d calls were one too many for EC2", n)
	}
}

// limited bounds the calls that AWS counts against an account's limits: half of what the source idea makes of them and of
// the table's, 46 for a meeting of two (docs/serverless.md counts them).
const limited = 23

// tell prints what the life cost, and bounds it.
func (c *cloud) tell(id string, calls map[string]int) {
	c.t.Helper()
	table, messages, other := 0, 0, 0
	for _, what := range slices.Sorted(maps.Keys(calls)) {
		c.t.Logf("%4d %s", calls[what], what)
		switch n := calls[what]; {
		case strings.HasPrefix(what, "DynamoDB"):
			table += n
		case strings.HasPrefix(what, "AmazonSQS"):
			messages += n
		default:
			other += n
		}
	}
	c.t.Logf("%d calls that AWS limits, %d messages, %d calls of the table", other, messages, table)
	if other > limited {
		c.t.Errorf("%d calls that AWS limits, want at most %d", other, limited)
	}
	c.timeline(id)
}

// timeline prints what happened to a meeting.
func (c *cloud) timeline(id string) {
	c.t.Helper()
	events, err := c.store.Events(context.Background(), id, 0, 500)
	if err != nil {
		c.t.Error(err)
	}
	for _, e := range events {
		c.t.Logf("%s %-10s %-8s %s", e.At.Format("15:04:05.000"), e.Kind, e.Seat, e.Message)
	}
}
