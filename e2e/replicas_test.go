package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/httpapi/client"
	"greenroom/internal/httpapi/wire"
)

// promptly is how soon what happens on one replica is known on another. It is far below the time after which a
// stream looks by itself.
const promptly = 5 * time.Second

// TestReplicasAreOne does with three replicas what a person does with one server, each step on another of them.
func TestReplicasAreOne(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.startAll()
	m := mustSchedule(t, c.nodes[0], "One of many", "now")
	for i, n := range c.nodes {
		n.until("desktops", func(ctx context.Context) bool {
			m, ok := n.meeting(ctx, m.ID)
			return ok && all(m, greenroom.Ready)
		})
		title := fmt.Sprintf("Renamed by %d", i)
		heard := hears(t, c.nodes[(i+1)%replicas], m.ID, title)
		if _, err := n.api.Edit(t.Context(), m.ID, wire.Edit{Title: &title}, 0); err != nil {
			t.Fatal(err)
		}
		if err := <-heard; err != nil {
			t.Errorf("replica %d did not hear of %q: %v", (i+1)%replicas, title, err)
		}
	}
	m, _ = c.nodes[1].meeting(t.Context(), m.ID)
	for _, n := range c.nodes {
		if got := n.resolve(t, m.Seats[0].Desktop.Hostname); got != m.Seats[0].Desktop.Address {
			t.Errorf("%s answers %q for the desktop's name, want %s", n.name, got, m.Seats[0].Desktop.Address)
		}
		if way := n.enter(t, m.Seats[1].JoinURL); !strings.Contains(way, m.Seats[1].Desktop.Hostname) {
			t.Errorf("%s leads to %q", n.name, way)
		}
	}
	c.nodes[2].kill()
	if _, err := c.nodes[0].api.End(t.Context(), m.ID); err != nil {
		t.Fatal(err)
	}
	c.until("the end", func(ctx context.Context) bool {
		m, ok := c.nodes[1].meeting(ctx, m.ID)
		return ok && m.State == greenroom.Ended && all(m, greenroom.Gone)
	})
	if got := c.nodes[1].resolve(t, m.Seats[0].Desktop.Hostname); got != "" {
		t.Errorf("the desktop's name still leads to %q", got)
	}
	c.nothingLeft()
	c.nothingKept(t)
}

// TestReplicaDies kills the replica that a meeting was scheduled with, at once. The others go on within seconds.
func TestReplicaDies(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.startAll()
	m := mustSchedule(t, c.nodes[1], "Orphan", "now")
	c.nodes[1].kill()
	began := time.Now()
	c.until("desktops", func(ctx context.Context) bool {
		m, ok := c.nodes[2].meeting(ctx, m.ID)
		return ok && all(m, greenroom.Ready)
	})
	t.Logf("ready %s after the death", time.Since(began))
	if _, err := c.nodes[2].api.End(t.Context(), m.ID); err != nil {
		t.Fatal(err)
	}
	c.until("the end", func(ctx context.Context) bool {
		m, ok := c.nodes[0].meeting(ctx, m.ID)
		return ok && all(m, greenroom.Gone)
	})
	c.nothingLeft()
}

// TestReplicaIsCutOff cuts the replica that a meeting was scheduled with off from the database, at once. The others go on within
// seconds, and it serves again when the network is whole.
func TestReplicaIsCutOff(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.startAll()
	m := mustSchedule(t, c.nodes[1], "Cut off", "now")
	mend := c.lines[1].cut(t)
	began := time.Now()
	c.until("desktops", func(ctx context.Context) bool {
		m, ok := c.nodes[2].meeting(ctx, m.ID)
		return ok && all(m, greenroom.Ready)
	})
	t.Logf("ready %s after the cut: %s", time.Since(began), c.lines[1])
	if m, ok := c.nodes[1].meeting(t.Context(), m.ID); ok {
		t.Errorf("the replica that is cut off knows that the meeting is %s", m.State)
	}
	mend()
	c.until("the replica to serve again", func(ctx context.Context) bool {
		m, ok := c.nodes[1].meeting(ctx, m.ID)
		return ok && all(m, greenroom.Ready)
	})
	if _, err := c.nodes[1].api.End(t.Context(), m.ID); err != nil {
		t.Fatal(err)
	}
	c.until("the end", func(ctx context.Context) bool {
		m, ok := c.nodes[0].meeting(ctx, m.ID)
		return ok && all(m, greenroom.Gone)
	})
	c.nothingLeft()
}

// TestReplicaOfAnotherMachine refuses a replica that would not see the desktops of the others.
func TestReplicaOfAnotherMachine(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.nodes[0].start()
	stranger := newReplica(t, "stranger", t.TempDir(), "--config", filepath.Join(c.data, c.nodes[1].name+".yaml"))
	stranger.launch()
	err := stranger.cmd.Wait()
	stranger.cmd = nil
	said, _ := os.ReadFile(stranger.log())
	if err == nil || !strings.Contains(string(said), "one --data-dir") {
		t.Errorf("ended with %v and said:\n%s", err, said)
	}
}

var errHeard = errors.New("heard")

// hears watches a meeting on this replica until its title is the one named.
func hears(t *testing.T, n *instance, id, title string) <-chan error {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	first, result := make(chan struct{}), make(chan error, 1)
	go func() {
		looks := 0
		err := n.api.Watch(ctx, id, client.Watcher{Meeting: func(m wire.Meeting) error {
			if looks++; looks == 1 {
				close(first)
				time.AfterFunc(promptly, cancel)
			}
			if m.Title == title {
				return errHeard
			}
			return nil
		}}, 0)
		if errors.Is(err, errHeard) {
			err = nil
		}
		result <- err
	}()
	<-first
	return result
}

// resolve asks the replica's own server of the zone.
func (s *instance) resolve(t *testing.T, name string) string {
	t.Helper()
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", s.ports[2])
	}}
	found, err := resolver.LookupNetIP(t.Context(), "ip4", name+".")
	if err != nil || len(found) == 0 {
		return ""
	}
	return found[0].String()
}

// enter asks this replica for the way in that a join link leads to, whichever server the link names.
func (s *instance) enter(t *testing.T, link string) string {
	t.Helper()
	u, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	u.Host, u.Path = s.ports[0], "/api/v1"+u.Path
	resp, err := http.Post(u.String(), "application/json", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("%s: %s %v %s", s.name, resp.Status, err, body)
	}
	return string(body)
}
