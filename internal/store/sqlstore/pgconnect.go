package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"greenroom"
)

// dialTimeout bounds connecting, with all hosts of a URL.
const dialTimeout = 3 * time.Second

// sessionSettings are what every session is set to. A process that is frozen or cut off gives up its locks when the server's
// own bounds end its transaction, or when it does not answer the server's probes.
var sessionSettings = map[string]string{
	"application_name":                    "greenroom",
	"statement_timeout":                   "5s",
	"lock_timeout":                        "1500ms",
	"idle_in_transaction_session_timeout": "5s",
	"tcp_keepalives_idle":                 "10",
	"tcp_keepalives_interval":             "5",
	"tcp_keepalives_count":                "3",
}

// atStart are parameters that can be given at the start of a session only.
var atStart = []string{"options", "replication"}

var (
	errReadOnly   = errors.New("the server is read-only")
	errConnecting = errors.New("the session could not be set up")
)

// server is how to connect to a PostgreSQL database.
type server struct {
	config   *pgx.ConnConfig
	settings map[string]string // of each session, the URL's and ours
}

// parseServer reads a database URL. Its error is a UserError that does not tell the password.
func parseServer(url string) (server, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil { // the error may quote the URL with its password
		return server{}, &greenroom.UserError{Message: "The database URL cannot be read: write it as postgres://user:password@host:5432/database, with the characters @ : / ? # % of a password percent-encoded."}
	}
	if config.ConnectTimeout == 0 || config.ConnectTimeout > dialTimeout {
		config.ConnectTimeout = dialTimeout
	}
	// A pooler refuses most settings at the start of a session, and takes all of them in it.
	settings := maps.Clone(sessionSettings)
	for name, value := range config.RuntimeParams {
		if !slices.Contains(atStart, name) {
			settings[name] = value
			delete(config.RuntimeParams, name)
		}
	}
	if config.ValidateConnect == nil { // the URL may say otherwise with target_session_attrs
		config.ValidateConnect = refuseReadOnly
	}
	// pgx prepares by itself what is not prepared here, per connection, and prepares anew what a migration made stale.
	config.DefaultQueryExecMode = pgx.QueryExecModeCacheStatement
	return server{config: config, settings: settings}, nil
}

// where names the database for people.
func (s server) where() string {
	return fmt.Sprintf("postgres://%s@%s:%d/%s", s.config.User, s.config.Host, s.config.Port, s.config.Database)
}

// with is s with other settings.
func (s server) with(settings map[string]string) server {
	out := server{config: s.config.Copy(), settings: maps.Clone(s.settings)}
	maps.Copy(out.settings, settings)
	return out
}

// refuseReadOnly refuses a server that takes no writes: a standby to which an address led for a moment would otherwise keep
// its connections when the address has long led elsewhere. Of several hosts the next is tried.
func refuseReadOnly(ctx context.Context, conn *pgconn.PgConn) error {
	results, err := conn.Exec(ctx, "show transaction_read_only").ReadAll()
	if err != nil {
		return err
	}
	if len(results) == 1 && len(results[0].Rows) == 1 && string(results[0].Rows[0][0]) == "on" {
		return errReadOnly
	}
	return nil
}

// setUp sets a session up, or closes it.
func (s server) setUp(ctx context.Context, conn *pgx.Conn) error {
	var calls []string
	args := []any{pgx.QueryExecModeSimpleProtocol} // once, without preparing
	for name, value := range s.settings {
		calls = append(calls, fmt.Sprintf("set_config($%d, $%d, false)", len(args), len(args)+1))
		args = append(args, name, value)
	}
	if _, err := conn.Exec(ctx, "select "+strings.Join(calls, ", "), args...); err != nil {
		_ = conn.Close(context.WithoutCancel(ctx))
		return fmt.Errorf("%w: %w", errConnecting, err)
	}
	return nil
}

// Dialer returns what opens one connection to a PostgreSQL database as a Store does; see Dial.
func Dialer(url string) func(context.Context) (*pgx.Conn, error) {
	return func(ctx context.Context) (*pgx.Conn, error) { return Dial(ctx, url) }
}

// Dial opens one connection to a PostgreSQL database as a Store does: bounded in time, set up, and to a server that takes
// writes.
func Dial(ctx context.Context, url string) (*pgx.Conn, error) {
	s, err := parseServer(url)
	if err != nil {
		return nil, err
	}
	conn, err := pgx.ConnectConfig(ctx, s.config)
	if err != nil {
		return nil, err
	}
	return conn, s.setUp(ctx, conn)
}

// probes are how often keepsSessions asks: a pooler that has idle connections may give out any of them.
const probes = 5

// keepsSessions reports whether a connection of ours has a server process of its own from its beginning to its end. Behind a
// pooler in transaction mode it has one for a transaction: the next client gets the same.
func keepsSessions(ctx context.Context, db *sql.DB) (bool, error) {
	mine, err := db.Conn(ctx)
	if err != nil {
		return false, err
	}
	defer mine.Close()
	first, err := processOf(ctx, mine)
	if err != nil {
		return false, err
	}
	for range probes {
		other, again, err := processesBeside(ctx, db, mine)
		if err != nil {
			return false, err
		}
		if other == first || again != first {
			return false, nil
		}
	}
	return true, nil
}

// processesBeside is the server process of another connection within a transaction, and that of mine meanwhile.
func processesBeside(ctx context.Context, db *sql.DB, mine *sql.Conn) (other, again int, err error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return 0, 0, err
	}
	defer conn.Close()
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return 0, 0, err
	}
	defer tx.Rollback() //nolint:errcheck // nothing was done
	if other, err = processOf(ctx, tx); err == nil {
		again, err = processOf(ctx, mine)
	}
	return other, again, err
}

func processOf(ctx context.Context, q interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}) (pid int, err error) {
	return pid, q.QueryRowContext(ctx, "select pg_backend_pid()", pgx.QueryExecModeSimpleProtocol).Scan(&pid)
}
