package e2e

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver by which the test looks into the database

	"greenroom/internal/httpapi/client"
	"greenroom/internal/testenv/pgtest"
)

// cluster is several replicas on one PostgreSQL server, behind one address.
type cluster struct {
	*chaos
	server   *pgtest.Server
	database string
	lines    []line // from each replica to the database
}

// replicas is how many share the work.
const replicas = 3

func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{}
	c.server, c.database, c.lines = newDatabase(t, replicas)
	c.chaos = &chaos{instance: newReplica(t, "front", t.TempDir())}
	var pages, desktops []string
	for i := range replicas {
		n := newReplica(t, fmt.Sprintf("replica-%d", i), c.data)
		c.nodes = append(c.nodes, n)
		pages, desktops = append(pages, n.ports[0]), append(desktops, n.ports[1])
	}
	people, browsers := newFront(t, pages...), newFront(t, desktops...)
	_, port, err := net.SplitHostPort(browsers.address())
	if err != nil {
		t.Fatal(err)
	}
	for i, n := range c.nodes {
		config := fmt.Sprintf("database: %q\npublic_url: http://%s\ncontrol_url: http://%s\ndesktop_port: %s\n", c.lines[i].to(t, c.database), people.address(), people.address(), port)
		file := filepath.Join(c.data, n.name+".yaml")
		if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		n.args = []string{"--config", file}
	}
	if c.api, err = client.New("http://"+people.address(), ""); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *cluster) startAll() {
	for _, n := range c.nodes {
		n.launch()
	}
	for _, n := range c.nodes {
		n.answers()
	}
}

// restart lets the database lose its power for a moment. As after a kill, the next blow waits until all is at work again: a row
// of restarts would be one long outage, and what takes longer than people's patience proves nothing.
func (c *cluster) restart(t *testing.T) string {
	c.server.Stop()
	d := after(3 * time.Second)
	c.server.Run(t)
	for _, n := range c.nodes {
		n.until(n.name+" to reach the database again", func(ctx context.Context) bool {
			_, err := n.api.List(ctx, client.Filter{Limit: 1})
			return err == nil
		})
	}
	return fmt.Sprintf("the database was killed, and away for %s", d)
}

// part cuts the network between one replica and the database.
func (c *cluster) part(t *testing.T) string {
	n := rand.N(len(c.nodes))
	mend := c.lines[n].cut(t)
	d := after(8 * time.Second)
	mend()
	return fmt.Sprintf("%s lost the database for %s: %s", c.nodes[n].name, d, c.lines[n])
}

// count asks the database.
func (c *cluster) count(t *testing.T, query string) int {
	t.Helper()
	db, err := sql.Open("pgx", c.database)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var n int
	if err := db.QueryRowContext(t.Context(), query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestChaosOnPostgreSQL kills and stops replicas, restarts their database and cuts them off from it, under load.
func TestChaosOnPostgreSQL(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.startAll()
	c.load(t, func() { c.storm(t, c.kill, c.kill, c.kill, c.freeze, c.restart, c.part) })
	c.nothingKept(t)
}

// nothingKept wants no name in the database, beyond two sweeps: a write to the zone that was on its way when
// another replica removed the name cannot be called back.
func (c *cluster) nothingKept(t *testing.T) {
	t.Helper()
	const names = "select count(*) from records"
	if n := c.count(t, names); n > 0 {
		t.Logf("%d names were written late; the sweep is waited for", n)
	}
	c.within(twoSweeps, "every name to be gone", func(context.Context) bool { return c.count(t, names) == 0 })
}
