package meetings_test

import (
	"fmt"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/agent/agentapi"
)

// TestConnectionsAreListed: what the agent tells of its connections is kept, bounded, and told on the timeline.
func TestConnectionsAreListed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m, e, _ := b.ready()
	since := time.Now().UTC().Truncate(time.Second)
	report := func(all ...agentapi.Connection) agentapi.Orders {
		t.Helper()
		orders, err := b.Report(t.Context(), e.AgentToken, agentapi.Report{Ready: true, Connections: all})
		if err != nil {
			t.Fatal(err)
		}
		return orders
	}
	last := func() string {
		t.Helper()
		events, err := b.Events(t.Context(), m.ID, 0, 1000)
		if err != nil {
			t.Fatal(err)
		}
		e := events[len(events)-1]
		return fmt.Sprint(e.Kind, ": ", e.Message, " ", e.Data["client"])
	}
	present := func() []greenroom.Connection {
		t.Helper()
		now, err := b.Meeting(t.Context(), m.ID)
		if err != nil {
			t.Fatal(err)
		}
		return now.Seat("teacher").Desktop.Present
	}
	own := agentapi.Connection{ID: "a", Client: "203.0.113.7", ConnectedAt: since, Role: agentapi.Owner}
	watch := agentapi.Connection{ID: "b", Client: "203.0.113.8", ConnectedAt: since, Role: agentapi.Watcher}
	taken := agentapi.Connection{ID: "c", Client: "203.0.113.8", ConnectedAt: since, Role: agentapi.Owner}
	for _, step := range []struct {
		all  []agentapi.Connection
		want string
	}{
		{[]agentapi.Connection{own}, "connected: Teacher One connected. 203.0.113.7"},
		{[]agentapi.Connection{own, watch}, "connected: Teacher One is watching from another browser. 203.0.113.8"},
		{[]agentapi.Connection{own}, "disconnected: Teacher One disconnected. "},
		{[]agentapi.Connection{taken}, "connected: Teacher One took over from another browser. 203.0.113.8"},
	} {
		report(step.all...)
		if got := last(); got != step.want {
			t.Errorf("the timeline says %q, want %q", got, step.want)
		}
	}
	if got := present(); len(got) != 1 || got[0] != (greenroom.Connection{ID: "c", Client: "203.0.113.8", Since: since, Role: "owner"}) {
		t.Errorf("%+v", got)
	}

	// An order to close stands until the connection is gone.
	if _, err := b.Disconnect(t.Context(), m.ID, "teacher", "c"); err != nil {
		t.Fatal(err)
	}
	if orders := report(taken); len(orders.Close) != 1 || orders.Close[0] != "c" {
		t.Errorf("%+v", orders)
	}
	if orders := report(); len(orders.Close) != 0 || len(present()) != 0 {
		t.Errorf("%+v %+v", orders, present())
	}

	// Many are counted, and some are kept; the same many are no news.
	var many []agentapi.Connection
	for i := range 20 {
		many = append(many, agentapi.Connection{ID: fmt.Sprint(i), Client: "203.0.113.9", ConnectedAt: since})
	}
	report(many...)
	before, _ := b.Meeting(t.Context(), m.ID)
	report(many...)
	after, _ := b.Meeting(t.Context(), m.ID)
	if d := after.Seat("teacher").Desktop; len(d.Present) != greenroom.MaxPresent || d.Agent.Connections != 20 || after.Rev != before.Rev {
		t.Errorf("%d kept of %d, revision %d after %d", len(d.Present), d.Agent.Connections, after.Rev, before.Rev)
	}
}

// TestNewLinkIsOrdered: the desktop is told how often those inside were cut off, and a verdict says which cookies stay.
func TestNewLinkIsOrdered(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m, e, _ := b.ready()
	for _, step := range []struct {
		inside string
		links  int
	}{{"keep", 0}, {"", 1}, {"cut", 2}, {"keep", 2}} {
		if _, err := b.ReissueKey(t.Context(), m.ID, "teacher", step.inside); err != nil {
			t.Fatal(err)
		}
		orders, err := b.Orders(t.Context(), e.AgentToken)
		if err != nil || orders.Links != step.links {
			t.Errorf("%q: %+v, %v", step.inside, orders, err)
		}
	}
	if _, err := b.ReissueKey(t.Context(), m.ID, "teacher", "drop"); err == nil {
		t.Error("an unknown choice was taken")
	}
}

// TestKeptTokens: who is inside keeps the token that was used; one that was not ends with the link.
func TestKeptTokens(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m, _, verifier := b.ready()
	used, unused := token(t, b.enter(m, "teacher")), token(t, b.enter(m, "teacher"))
	ask := func(token string) bool {
		t.Helper()
		v, err := b.Verify(t.Context(), verifier, agentapi.SessionID, token, "192.0.2.1")
		if err != nil {
			t.Fatal(err)
		}
		return v.OK
	}
	if !ask(used) {
		t.Fatal("a good token is refused")
	}
	if _, err := b.ReissueKey(t.Context(), m.ID, "teacher", "keep"); err != nil {
		t.Fatal(err)
	}
	if !ask(used) || ask(unused) {
		t.Error("kept: the used one is to be good, the other not")
	}
	if _, err := b.ReissueKey(t.Context(), m.ID, "teacher", "cut"); err != nil {
		t.Fatal(err)
	}
	if ask(used) {
		t.Error("cut: the used one is good")
	}
}
