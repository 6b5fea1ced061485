package e2e

import (
	"net/url"
	"testing"

	"greenroom/internal/testenv/netns"
	"greenroom/internal/testenv/pgtest"
)

// line is the network between one replica and the database.
type line interface {
	to(t *testing.T, database string) string // the database's URL by this line
	cut(t *testing.T) (mend func())
	String() string // what was done when it was cut
}

// cable is a line to a database on a machine of its own. When it is cut, packets vanish.
type cable struct{ *netns.Cable }

func (c cable) String() string { return "its cable was pulled" }

func (c cable) to(t *testing.T, database string) string {
	return pgtest.By(t, database, c.Inside.String())
}

func (c cable) cut(t *testing.T) func() {
	c.Cut(t, true)
	return func() { c.Cut(t, false) }
}

// proxy is a line to a database on our own loopback. When it is cut, bytes wait in the proxy.
type proxy struct{ *front }

func (p proxy) String() string { return "its proxy held everything back" }

func (p proxy) to(t *testing.T, database string) string {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	u.Host = p.address()
	return u.String()
}

func (p proxy) cut(*testing.T) func() { return p.front.cut() }

// newDatabase starts a database server and lays as many lines to it: cables to a machine of its own, or proxies where no machine
// can be had.
func newDatabase(t *testing.T, lines int) (server *pgtest.Server, database string, laid []line) {
	t.Helper()
	machine, cables, err := wired(t, lines+1) // the test has one, too, which is never cut
	if err == nil {
		server = pgtest.NewServerAt(t, pgtest.Place{Address: cables[0].Inside.String(), Enter: machine.Do})
		for _, c := range cables[1:] {
			laid = append(laid, cable{c})
		}
		return server, server.NewDatabase(t), laid
	}
	t.Logf("NO REAL NETWORK CUTS: a proxy stands between each replica and the database, for no network can be cut here (%v). As root it can.", err)
	server = pgtest.NewServer(t)
	database = server.NewDatabase(t)
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	for range lines {
		laid = append(laid, proxy{newFront(t, u.Host)})
	}
	return server, database, laid
}

// wired makes a machine with cables to it.
func wired(t *testing.T, n int) (*netns.Space, []*netns.Cable, error) {
	t.Helper()
	m, err := netns.New(t)
	if err != nil {
		return nil, nil, err
	}
	cables := make([]*netns.Cable, n)
	for i := range cables {
		if cables[i], err = m.Lay(t); err != nil {
			return nil, nil, err
		}
	}
	return m, cables, nil
}
