package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	gooselock "github.com/pressly/goose/v3/lock"

	"greenroom"
)

// postgresDialect is a server that many processes share. There is no read cache, since others write, too.
var postgresDialect = &dialect{
	goose:      goose.DialectPostgres,
	migrations: "migrations/postgres",
	tables:     `select count(*) from pg_catalog.pg_class where oid = to_regclass(?)`,
	connect:    openPostgres,
	suits:      postgresSuits,
	exclusive:  underAdvisoryLock,
	bind:       bindPostgres,
	explain:    explainPostgres,
	pipeline:   postgresPipeline,
	again:      againPostgres,
	patience:   6 * time.Second,
	batchTime:  4 * time.Second,
	maxBatch:   64, // some 250 statements, each a way to the server and back
}

// What a connection may take. A process that is frozen or cut off gives up its locks when the server's own bounds end its
// transaction, or when it does not answer the server's probes.
const (
	dialTimeout     = 3 * time.Second
	postgresReaders = 8
	oldestPostgres  = 13
)

var sessionSettings = map[string]string{
	"application_name":                    "greenroom",
	"statement_timeout":                   "5s",
	"lock_timeout":                        "1500ms",
	"idle_in_transaction_session_timeout": "5s",
	"tcp_keepalives_idle":                 "10",
	"tcp_keepalives_interval":             "5",
	"tcp_keepalives_count":                "3",
}

func openPostgres(_ context.Context, o Options) (*database, error) {
	d := &database{}
	config, err := pgx.ParseConfig(o.URL)
	if err != nil { // the error may quote the URL with its password
		return d, &greenroom.UserError{Message: "The database URL cannot be read: write it as postgres://user:password@host:5432/database, with the characters @ : / ? # % of a password percent-encoded."}
	}
	d.where = fmt.Sprintf("postgres://%s@%s:%d/%s", config.User, config.Host, config.Port, config.Database)
	if config.ConnectTimeout == 0 || config.ConnectTimeout > dialTimeout {
		config.ConnectTimeout = dialTimeout
	}
	for name, value := range sessionSettings {
		if config.RuntimeParams[name] == "" {
			config.RuntimeParams[name] = value
		}
	}
	// pgx prepares by itself what is not prepared here, per connection, and prepares anew what a migration made stale.
	config.DefaultQueryExecMode = pgx.QueryExecModeCacheStatement
	slow := config.Copy()
	slow.RuntimeParams["statement_timeout"], slow.RuntimeParams["lock_timeout"] = "0", "30s"
	d.migrator = stdlib.OpenDB(*slow)
	d.writer = stdlib.OpenDB(*config, stdlib.OptionAfterConnect(durably))
	d.writer.SetMaxOpenConns(1)
	d.readers = stdlib.OpenDB(*config)
	d.readers.SetMaxOpenConns(postgresReaders)
	d.readers.SetMaxIdleConns(postgresReaders)
	d.readers.SetConnMaxIdleTime(5 * time.Minute)
	return d, nil
}

// durably undoes a server-wide setting under which a commit is answered before it is on disk.
func durably(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, `select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') = 'off'`)
	return err
}

// serverFacts are what a server says of itself.
type serverFacts struct {
	version          int // 130004 is 13.4
	readOnly, create bool
}

// postgresSuits asks the server whether it can be used at all, so that the answer is a sentence and nothing was changed.
func postgresSuits(ctx context.Context, d *database, schema int64) error {
	var f serverFacts
	err := d.migrator.QueryRowContext(ctx, `select current_setting('server_version_num')::int, current_setting('transaction_read_only')::bool,
		coalesce(has_schema_privilege(current_schema(), 'create'), false)`).Scan(&f.version, &f.readOnly, &f.create)
	if err != nil {
		return fmt.Errorf("look at the server: %w", err)
	}
	return judgeServer(d.where, f, schema)
}

func judgeServer(where string, f serverFacts, schema int64) error {
	message := ""
	switch {
	case f.version/10000 < oldestPostgres:
		message = fmt.Sprintf("The database %s is PostgreSQL %d: greenroom needs %d or newer.", where, f.version/10000, oldestPostgres)
	case f.readOnly:
		message = fmt.Sprintf("The database %s is read-only, as a standby is: name the primary server.", where)
	case schema == 0 && !f.create:
		message = fmt.Sprintf("The database %s does not let its user create tables: make the user the owner of the database, or run \"grant create on schema public\" for it.", where)
	default:
		return nil
	}
	return &greenroom.UserError{Message: message}
}

// underAdvisoryLock lets one process at a time change the schema. The lock is asked for again and again: a session that
// waits for it would hold up what some migrations wait for.
func underAdvisoryLock(ctx context.Context, d *database, do func() error) error {
	locker, err := gooselock.NewPostgresSessionLocker(gooselock.WithLockTimeout(1, 120))
	if err != nil {
		return err
	}
	conn, err := d.migrator.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := locker.SessionLock(ctx, conn); err != nil {
		return fmt.Errorf("wait for another process to migrate: %w", err)
	}
	err = do()
	// Closing the session gives up the lock, whatever became of this.
	return errors.Join(err, locker.SessionUnlock(context.WithoutCancel(ctx), conn))
}

// bindPostgres numbers the placeholders, and locks the row that a save decides on: another process may save, too.
func bindPostgres(query string) string {
	var b strings.Builder
	n := 0
	for part := range strings.SplitAfterSeq(query, "?") {
		if before, found := strings.CutSuffix(part, "?"); found {
			n++
			b.WriteString(before + "$" + strconv.Itoa(n))
			continue
		}
		b.WriteString(part)
	}
	if query == selectHead {
		b.WriteString(" for update")
	}
	return b.String()
}
