// Package pgtest gives tests a real PostgreSQL server, started from the programs that are installed.
//
// A server lives in a directory of its own under the system's temporary one, and keeper, a small process beside it,
// ends it and removes the directory when the test process has ended, however it ended.
package pgtest

import (
	"database/sql"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"greenroom/internal/testenv/shared"
)

// Roles that every server has. Superuser and Plain are let in without a password; Guarded must give Password.
const (
	Superuser = "postgres"
	Plain     = "plain"
	Guarded   = "guarded"
	Password  = "right-Passw0rd"
)

var common = sync.OnceValues(func() (*Server, error) {
	port, err := shared.Start("postgresql", func(leash *os.File) (string, error) {
		s, err := start(loopback, leash)
		if err != nil {
			return "", err
		}
		return s.port, nil
	})
	return &Server{place: loopback, port: port}, err
})

// Start returns the URL of a fresh, empty database on a server that all tests of this process share, and those of other processes of
// the same run.
func Start(tb testing.TB) string {
	tb.Helper()
	s, err := common()
	if err != nil {
		tb.Fatal(err)
	}
	return s.NewDatabase(tb)
}

// NewServer starts a server of the test's own, to be stopped and restarted. It ends with the test.
func NewServer(tb testing.TB) *Server {
	tb.Helper()
	return NewServerAt(tb, loopback)
}

// Place is where a server runs.
type Place struct {
	Address string                         // by which we reach it
	Enter   func(begin func() error) error // calls what begins its process there; nil is here
}

var loopback = Place{Address: "127.0.0.1"}

func (p Place) begin(start func() error) error {
	if p.Enter == nil {
		return start()
	}
	return p.Enter(start)
}

// listens are the addresses that the server is told.
func (p Place) listens() string {
	if p.Enter == nil {
		return p.Address
	}
	return "*"
}

// NewServerAt starts a server of the test's own on another machine, as netns makes them, which listens on all addresses that the
// machine has.
func NewServerAt(tb testing.TB, place Place) *Server {
	tb.Helper()
	s, err := start(place, nil)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.release)
	return s
}

var databases atomic.Int64

// NewDatabase makes an empty database and returns its URL, as the superuser. It is dropped with the test.
func (s *Server) NewDatabase(tb testing.TB) string {
	tb.Helper()
	name := fmt.Sprintf("test_%d_%d", os.Getpid(), databases.Add(1))
	s.Exec(tb, "create database "+name)
	tb.Cleanup(func() {
		// Dropping keeps the disk of a long run small; a server that a test has stopped is removed as a whole.
		if db, err := sql.Open("pgx", s.URL(Superuser, "postgres")); err == nil {
			defer db.Close()
			_, _ = db.Exec("drop database if exists " + name + " with (force)")
		}
	})
	return s.URL(Superuser, name)
}

// URL names a database as a role.
func (s *Server) URL(role, database string) string {
	u := url.URL{Scheme: "postgres", User: url.User(role), Host: net.JoinHostPort(s.place.Address, s.port), Path: database, RawQuery: "sslmode=disable"}
	if role == Guarded {
		u.User = url.UserPassword(role, Password)
	}
	return u.String()
}

// By names the same database by another of the server's addresses.
func By(tb testing.TB, databaseURL, address string) string {
	tb.Helper()
	u, err := url.Parse(databaseURL)
	if err != nil {
		tb.Fatal(err)
	}
	u.Host = net.JoinHostPort(address, u.Port())
	return u.String()
}

// As names the same database as another role.
func As(tb testing.TB, databaseURL, role string) string {
	tb.Helper()
	u, err := url.Parse(databaseURL)
	if err != nil {
		tb.Fatal(err)
	}
	u.User = url.User(role)
	if role == Guarded {
		u.User = url.UserPassword(role, Password)
	}
	return u.String()
}

// Exec runs statements on the server's own database, as the superuser.
func (s *Server) Exec(tb testing.TB, statements ...string) {
	tb.Helper()
	Exec(tb, s.URL(Superuser, "postgres"), statements...)
}

// Exec runs statements on a database, each in a transaction of its own.
func Exec(tb testing.TB, databaseURL string, statements ...string) {
	tb.Helper()
	if err := run(databaseURL, statements...); err != nil {
		tb.Fatal(err)
	}
}

func run(databaseURL string, statements ...string) error {
	db, err := sql.Open("pgx", databaseURL)
	if err != nil {
		return err
	}
	defer db.Close()
	for _, q := range statements {
		if _, err := db.Exec(q); err != nil {
			return fmt.Errorf("%.60s: %w", strings.TrimSpace(q), err)
		}
	}
	return nil
}
