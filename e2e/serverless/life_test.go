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

// TestLife leads a meeting from its scheduling to the last trace of its machines, by events alone.
func TestLife(t *testing.T) {
	t.Parallel()
	c := deploy(t)
	c.run(true)
	c.boot()
	m := c.schedule("Algebra", time.Hour)
	c.until("a schedule", func(context.Context) bool { return len(c.schedules()) == 1 })
	c.must(c.api.Edit(t.Context(), m.ID, wire.Edit{StartsAt: ptr(time.Now().Add(30 * time.Second).UTC().Format(time.RFC3339))}, 0))
	m = c.becomes(m.ID, "both desktops", func(m wire.Meeting) bool { return all(m, greenroom.Ready) })
	if got := len(c.records()); got != 2 {
		t.Errorf("%d names for two desktops", got)
	}
	for _, s := range m.Seats {
		c.enter(s)
		c.desktop(s.Desktop.InstanceID).connected(true)
	}
	c.becomes(m.ID, "both to be in use", func(m wire.Meeting) bool { return all(m, greenroom.InUse) })
	c.must(c.api.End(t.Context(), m.ID))
	c.becomes(m.ID, "the end", func(m wire.Meeting) bool { return m.State == greenroom.Ended })
	c.nothingLeft()
	c.tell(m.ID)
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
	c.until("the sweeps to end", func(context.Context) bool { return len(c.schedules()) == 0 })
	if got := c.received(c.deadQueue); len(got) != 0 {
		c.t.Errorf("dead letters: %v", got)
	}
	if n := c.ec2.Throttled(); n != 0 {
		c.t.Errorf("%d calls were one too many for EC2", n)
	}
}

// tell prints what the life cost, and bounds it.
func (c *cloud) tell(id string) {
	c.t.Helper()
	calls := c.calls.take()
	data, control := 0, 0
	for _, what := range slices.Sorted(maps.Keys(calls)) {
		c.t.Logf("%4d %s", calls[what], what)
		if strings.HasPrefix(what, "DynamoDB") {
			data += calls[what]
		} else {
			control += calls[what]
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.functions)) {
		events, sandboxes := c.functions[name].Invocations()
		c.t.Logf("%4d events of %s in %d sandboxes", events, name, sandboxes)
	}
	c.t.Logf("%d calls of AWS's APIs beside %d of the table", control, data)
	events, err := c.api.Events(c.t.Context(), id, 0)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, e := range events.Events {
		c.t.Logf("%s %-10s %-8s %s", e.At.Format("15:04:05.000"), e.Kind, e.Role, e.Message)
	}
}
