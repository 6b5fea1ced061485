package sqlscheduler

import (
	"database/sql"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"
	"github.com/riverqueue/river/riverdriver/riversqlite"
)

// riverOn is River's driver for the kind of database that db is, working on pool; a nil pool is for a client that only
// inserts and deletes in transactions of others.
func riverOn(db, pool *sql.DB) riverdriver.Driver[*sql.Tx] {
	if isPostgres(db) {
		return riverdatabasesql.New(pool)
	}
	return riversqlite.New(pool)
}

func isPostgres(db *sql.DB) bool {
	_, is := db.Driver().(*stdlib.Driver)
	return is
}
