package sqlstore_test

import (
	"errors"
	"net"
	"strings"
	"testing"

	"greenroom"
	"greenroom/internal/store/sqlstore"
	"greenroom/internal/testenv/pgtest"
)

// wontOpen wants one sentence with the words in it, and no password anywhere.
func wontOpen(t *testing.T, url string, words ...string) {
	t.Helper()
	s, err := sqlstore.Open(t.Context(), sqlstore.Options{URL: url})
	if err == nil {
		s.Close()
		t.Fatal("it opened")
	}
	sentence := greenroom.Sentence(err, "")
	for _, w := range words {
		if !strings.Contains(sentence, w) {
			t.Errorf("the sentence is %q, want %q in it; %v", sentence, w, err)
		}
	}
	if strings.Contains(sentence, "\n") {
		t.Errorf("more than a sentence: %q", sentence)
	}
	if strings.Contains(err.Error(), "Passw0rd") {
		t.Errorf("it tells the password: %v", err)
	}
}

func TestServerThatCannotBeUsedIsRefused(t *testing.T) {
	t.Parallel()
	server := pgtest.NewServer(t)
	database := server.NewDatabase(t)

	t.Run("MalformedURL", func(t *testing.T) {
		t.Parallel()
		wontOpen(t, "postgres://ada:wrong%zzPassw0rd@[::1/db", "cannot be read", "postgres://user:password@host")
		wontOpen(t, "postgres://ada:Passw0rd@host:port/db", "cannot be read")
		wontOpen(t, "postgres://ada:Passw0rd@host/db?sslmode=sometimes", "cannot be read")
	})
	t.Run("UnreachableHost", func(t *testing.T) {
		t.Parallel()
		l, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and never answers
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		wontOpen(t, "postgres://ada:Passw0rd@"+l.Addr().String()+"/db", "postgres://ada@"+l.Addr().String()+"/db", "does not answer")
		l.Close()
		wontOpen(t, "postgres://ada:Passw0rd@"+l.Addr().String()+"/db", "does not answer")
		wontOpen(t, "postgres://ada:Passw0rd@nowhere.invalid/db", "nowhere.invalid", "does not answer")
	})
	t.Run("WrongPassword", func(t *testing.T) {
		t.Parallel()
		wontOpen(t, strings.Replace(pgtest.As(t, database, pgtest.Guarded), "right-", "wrong-", 1), "postgres://guarded@", "does not let this user in", "password")
	})
	t.Run("NoSuchUser", func(t *testing.T) {
		t.Parallel()
		wontOpen(t, pgtest.As(t, database, "nobody_knows"), "does not let this user in")
	})
	t.Run("NoSuchDatabase", func(t *testing.T) {
		t.Parallel()
		wontOpen(t, server.URL(pgtest.Superuser, "nothing_here"), "nothing_here", "does not exist")
	})
	t.Run("MissingRights", func(t *testing.T) {
		t.Parallel()
		plain := pgtest.As(t, server.NewDatabase(t), pgtest.Plain)
		wontOpen(t, plain, "does not let its user create tables", "grant create on schema public")
		pgtest.Exec(t, pgtest.As(t, plain, pgtest.Superuser), "grant create on schema public to "+pgtest.Plain)
		open(t, sqlstore.Options{URL: plain})
	})
	t.Run("TablesOfSomebodyElse", func(t *testing.T) {
		t.Parallel()
		url := server.NewDatabase(t)
		if err := open(t, sqlstore.Options{URL: url}).Close(); err != nil {
			t.Fatal(err)
		}
		wontOpen(t, pgtest.As(t, url, pgtest.Plain), "refuses its user a right", "owner")
	})
	t.Run("Standby", func(t *testing.T) {
		t.Parallel()
		open(t, sqlstore.Options{URL: server.URL(pgtest.Superuser, "postgres")})
		wontOpen(t, server.NewStandby(t).URL(pgtest.Superuser, "postgres"), "read-only", "primary")
	})
	t.Run("NewerSchema", func(t *testing.T) {
		t.Parallel()
		url := server.NewDatabase(t)
		if err := open(t, sqlstore.Options{URL: url}).Close(); err != nil {
			t.Fatal(err)
		}
		pgtest.Exec(t, url, "insert into goose_db_version (version_id, is_applied) values (9999, true)")
		wontOpen(t, url, "newer greenroom", "9999", "Nothing was changed")
	})
}

func TestPasswordOpensTheDatabase(t *testing.T) {
	t.Parallel()
	url := pgtest.Start(t)
	pgtest.Exec(t, url, "grant create on schema public to "+pgtest.Guarded)
	s := open(t, sqlstore.Options{URL: pgtest.As(t, url, pgtest.Guarded)})
	if err := s.Ping(t.Context()); err != nil || errors.Is(err, greenroom.ErrUnavailable) {
		t.Error(err)
	}
}
