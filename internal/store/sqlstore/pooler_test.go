package sqlstore_test

import (
	"net/url"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/store"
	"greenroom/internal/store/sqlstore"
	"greenroom/internal/store/storetest"
	"greenroom/internal/testenv/pgtest"
)

func TestPoolerInSessionMode(t *testing.T) {
	t.Parallel()
	server := pgtest.NewServer(t)
	pooler := server.NewPooler(t, "session", "default_pool_size = 40")
	direct := server.NewDatabase(t)
	pgtest.Exec(t, direct, "create schema apart")
	for name, query := range map[string]url.Values{
		"Plain": nil,
		// What the URL asks for is set, too, though the pooler refuses it at the start.
		"SettingsInTheURL": {"search_path": {"apart"}, "statement_timeout": {"4s"}, "lock_timeout": {"1s"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u, err := url.Parse(pooler.Before(t, direct))
			if err != nil {
				t.Fatal(err)
			}
			q := u.Query()
			for k, v := range query {
				q[k] = v
			}
			u.RawQuery = q.Encode()
			s := open(t, sqlstore.Options{URL: u.String()})
			m := create(t, s)
			m.Title = "another"
			if _, err := s.Update(t.Context(), m, []greenroom.Event{{At: time.Now(), Kind: greenroom.EventPhase}}); err != nil {
				t.Error(err)
			}
			if page, _, err := s.List(t.Context(), store.Filter{}); err != nil || len(page) != 1 {
				t.Errorf("%d meetings, %v", len(page), err)
			}
			conn, err := sqlstore.Dial(t.Context(), u.String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close(t.Context())
			want := map[string]string{"application_name": "greenroom", "statement_timeout": "5s", "lock_timeout": "1500ms", "idle_in_transaction_session_timeout": "5s"}
			for k, v := range query {
				want[k] = v[0]
			}
			for name, value := range want {
				var got string
				if err := conn.QueryRow(t.Context(), "select current_setting($1)", name).Scan(&got); err != nil || got != value {
					t.Errorf("%s is %q, want %q; %v", name, got, value, err)
				}
			}
		})
	}
}

func TestStoreBehindAPooler(t *testing.T) {
	t.Parallel()
	server := pgtest.NewServer(t)
	pooler := server.NewPooler(t, "session", "default_pool_size = 80\nmax_client_conn = 1000")
	storetest.Run(t, func(t *testing.T) store.Store {
		return open(t, sqlstore.Options{URL: pooler.Before(t, server.NewDatabase(t))})
	})
}

func TestOtherPoolModesAreRefused(t *testing.T) {
	t.Parallel()
	server := pgtest.NewServer(t)
	for name, more := range map[string]string{"Last": "", "RoundRobin": "server_round_robin = 1\nmin_pool_size = 3"} {
		t.Run("Transaction"+name, func(t *testing.T) {
			t.Parallel()
			url := server.NewPooler(t, "transaction", more).Before(t, server.NewDatabase(t))
			wontOpen(t, url, "pool_mode = session", "after each transaction")
		})
	}
	t.Run("Statement", func(t *testing.T) {
		t.Parallel()
		wontOpen(t, server.NewPooler(t, "statement", "").Before(t, server.NewDatabase(t)), "pool_mode = session")
	})
}

// What a server answers is told, and never that it does not answer.
func TestRefusalsAreNotSilence(t *testing.T) {
	t.Parallel()
	server := pgtest.NewServer(t)
	database := server.NewDatabase(t)
	with := func(query string) string { return database + "&" + query }
	t.Run("Setting", func(t *testing.T) {
		t.Parallel()
		wontOpen(t, with("statement_timeout=soon"), "refuses", "invalid value", "statement_timeout")
		wontOpen(t, with("no_such_setting=1"), "refuses", "no_such_setting")
	})
	t.Run("MissingSchema", func(t *testing.T) {
		t.Parallel()
		wontOpen(t, with("search_path=nowhere"), "search_path", "nowhere", "names no schema that exists")
	})
	t.Run("NoConnectionToSpare", func(t *testing.T) {
		t.Parallel()
		small := server.NewDatabase(t)
		pgtest.Exec(t, small, "grant create on schema public to "+pgtest.Plain)
		server.Exec(t, "alter role "+pgtest.Plain+" connection limit 0")
		wontOpen(t, pgtest.As(t, small, pgtest.Plain), "no connection to spare")
	})
	t.Run("OlderPooler", func(t *testing.T) {
		t.Parallel()
		pooler := server.NewPooler(t, "session", "")
		wontOpen(t, pooler.Before(t, with("options=-c%20geqo%3Doff")), "refuses", "unsupported startup parameter")
	})
	t.Run("TablesThatWereDropped", func(t *testing.T) {
		t.Parallel()
		url := server.NewDatabase(t)
		s := open(t, sqlstore.Options{URL: url})
		pgtest.Exec(t, url, "drop table pulse")
		if err := s.Ping(t.Context()); greenroom.Sentence(err, "") == "" {
			t.Errorf("it says %v", err)
		}
	})
}
