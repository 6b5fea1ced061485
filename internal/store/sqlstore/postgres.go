package sqlstore

import (
	"context"
	"database/sql"
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
	stale:      stalePostgres,
	renew:      renewPostgres,
	patience:   6 * time.Second,
	batchTime:  4 * time.Second,
	maxBatch:   64, // some 250 statements, each a way to the server and back
}

const (
	postgresReaders = 8
	oldestPostgres  = 13
	// readerLives is how long a reading connection is used: an address may lead elsewhere by then.
	readerLives = 5 * time.Minute
)

func openPostgres(_ context.Context, o Options) (*database, error) {
	d := &database{}
	usual, err := parseServer(o.URL)
	if err != nil {
		return d, err
	}
	d.where = usual.where()
	slow := usual.with(map[string]string{"statement_timeout": "0", "lock_timeout": "30s"})
	d.migrator = slow.open(nil)
	d.writer = usual.open(durably)
	d.writer.SetMaxOpenConns(1)
	d.readers = usual.open(nil)
	d.readers.SetMaxOpenConns(postgresReaders)
	d.readers.SetMaxIdleConns(postgresReaders)
	d.readers.SetConnMaxIdleTime(readerLives)
	d.readers.SetConnMaxLifetime(readerLives)
	return d, nil
}

// open is a pool of connections that are set up, and then by more if it is not nil.
func (s server) open(more func(ctx context.Context, conn *pgx.Conn) error) *sql.DB {
	return stdlib.OpenDB(*s.config, stdlib.OptionAfterConnect(func(ctx context.Context, conn *pgx.Conn) error {
		if err := s.setUp(ctx, conn); err != nil || more == nil {
			return err
		}
		return more(ctx, conn)
	}))
}

// renewPostgres lets no idle reader stay where the writer has just found a server that takes no writes.
func renewPostgres(d *database) {
	d.readers.SetMaxIdleConns(0)
	d.readers.SetMaxIdleConns(postgresReaders)
}

// durably undoes a server-wide setting under which a commit is answered before it is on disk.
func durably(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, `select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') = 'off'`)
	return err
}

// serverFacts are what a server says of itself.
type serverFacts struct {
	version       int    // 130004 is 13.4
	schema, path  string // the one that tables are created in, empty if none of the path exists
	create, apart bool   // whether tables can be created, and whether every connection has a session of its own
}

// postgresSuits asks the server whether it can be used at all, so that the answer is a sentence and nothing was changed.
func postgresSuits(ctx context.Context, d *database, schema int64) (err error) {
	var f serverFacts
	if f.apart, err = keepsSessions(ctx, d.migrator); err != nil {
		return fmt.Errorf("look at the session: %w", err)
	}
	err = d.migrator.QueryRowContext(ctx, `select current_setting('server_version_num')::int, coalesce(current_schema(), ''), current_setting('search_path'),
		coalesce(has_schema_privilege(current_schema(), 'create'), false)`).Scan(&f.version, &f.schema, &f.path, &f.create)
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
	case !f.apart:
		message = fmt.Sprintf(poolMode, where)
	case f.schema == "":
		message = fmt.Sprintf("The search_path of the database %s, %q, names no schema that exists: create the schema, or set another search_path.", where, f.path)
	case schema == 0 && !f.create:
		message = fmt.Sprintf("The database %s does not let its user create tables: make the user the owner of the database, or run \"grant create on schema %s\" for it.", where, f.schema)
	default:
		return nil
	}
	return &greenroom.UserError{Message: message}
}

const poolMode = "The database %s is behind a pooler that gives a connection to others after each transaction: set pool_mode = session there, or name the server itself."

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
