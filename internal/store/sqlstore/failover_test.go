package sqlstore_test

import (
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/store/sqlstore"
	"greenroom/internal/testenv/pgtest"
)

// address is one that leads to one server or another. Connections stay where they are when it is moved.
type address struct {
	listener net.Listener
	to       atomic.Pointer[string]

	mu    sync.Mutex
	conns []net.Conn
}

func newAddress(t *testing.T, to string) *address {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a := &address{listener: l}
	a.lead(to)
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { a.serve(conn) })
		}
	})
	t.Cleanup(func() { l.Close(); a.cut(); all.Wait() })
	return a
}

func (a *address) lead(to string) { a.to.Store(&to) }

// cut ends all connections, as a failover does with those to the server that is gone.
func (a *address) cut() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range a.conns {
		c.Close()
	}
	a.conns = nil
}

func (a *address) serve(conn net.Conn) {
	defer conn.Close()
	server, err := net.Dial("tcp", *a.to.Load())
	if err != nil {
		return
	}
	defer server.Close()
	a.mu.Lock()
	a.conns = append(a.conns, conn, server)
	a.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { _, _ = io.Copy(server, conn); server.(*net.TCPConn).CloseWrite() })
	both.Go(func() { _, _ = io.Copy(conn, server); conn.(*net.TCPConn).CloseWrite() })
	both.Wait()
}

func hostOf(t *testing.T, databaseURL string) string {
	t.Helper()
	u, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

// TestAddressLeadsToAStandbyForAWhile is a failover: for some seconds the address leads to a server that takes no writes, and
// connections that were made then would stay there.
func TestAddressLeadsToAStandbyForAWhile(t *testing.T) {
	t.Parallel()
	primary := pgtest.NewServer(t)
	direct := primary.NewDatabase(t)
	if err := open(t, sqlstore.Options{URL: direct}).Close(); err != nil { // with its tables
		t.Fatal(err)
	}
	standby := primary.NewStandby(t)
	a := newAddress(t, hostOf(t, direct))
	s := open(t, sqlstore.Options{URL: strings.Replace(direct, hostOf(t, direct), a.listener.Addr().String(), 1)})
	m := create(t, s)

	a.lead(hostOf(t, standby.URL(pgtest.Superuser, "postgres")))
	a.cut()
	for until := time.Now().Add(3 * time.Second); time.Now().Before(until); {
		err := s.Ping(t.Context())
		if sentence := greenroom.Sentence(err, ""); err == nil || !strings.Contains(sentence, "read-only") {
			t.Fatalf("on the standby: %q, %v", sentence, err)
		}
		if _, err := s.Due(t.Context(), time.Now(), 10); err == nil {
			t.Fatal("what a standby has is old, and was read")
		}
	}
	a.lead(hostOf(t, direct)) // what was connected to the standby is not cut
	wantBackWithin(t, s, 2*time.Second)
	if _, err := s.Meeting(t.Context(), m.ID); err != nil {
		t.Error(err)
	}
}

// TestServerBecomesReadOnly lets the server take no writes on connections that exist, and then take them again.
func TestServerBecomesReadOnly(t *testing.T) {
	t.Parallel()
	server := pgtest.NewServer(t)
	s := open(t, sqlstore.Options{URL: server.NewDatabase(t)})
	create(t, s)
	server.Exec(t, "alter system set default_transaction_read_only = on", "select pg_reload_conf()")
	eventually(t, "writes are refused", func() bool {
		return strings.Contains(greenroom.Sentence(s.Ping(t.Context()), ""), "read-only")
	})
	undo := server.URL(pgtest.Superuser, "postgres") + "&default_transaction_read_only=off"
	pgtest.Exec(t, undo, "alter system reset default_transaction_read_only", "select pg_reload_conf()")
	wantBackWithin(t, s, 5*time.Second)
}

// TestServerIsStartedAgain ends every connection, cleanly.
func TestServerIsStartedAgain(t *testing.T) {
	t.Parallel()
	server := pgtest.NewServer(t)
	s := open(t, sqlstore.Options{URL: server.NewDatabase(t)})
	create(t, s)
	for range 3 {
		server.Restart(t)
		wantBackWithin(t, s, 2*time.Second)
	}
}

func wantBackWithin(t *testing.T, s *sqlstore.Store, d time.Duration) {
	t.Helper()
	began := time.Now()
	eventually(t, "writes are taken again", func() bool { return s.Ping(t.Context()) == nil })
	took := time.Since(began)
	t.Logf("after %s", took)
	if took > d+promptly {
		t.Errorf("it took %s", took)
	}
	create(t, s)
	if _, err := s.Due(t.Context(), time.Now(), 10); err != nil {
		t.Error(err)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still not: %s", what)
		}
	}
}
