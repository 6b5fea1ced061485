package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"greenroom"
)

// Errors of PostgreSQL by their codes, https://www.postgresql.org/docs/current/errcodes-appendix.html.
const (
	pgWrongPassword   = "28P01"
	pgNotLetIn        = "28000"
	pgNoDatabase      = "3D000"
	pgNoSchema        = "3F000"
	pgNoTable         = "42P01"
	pgNoRight         = "42501"
	pgDiskFull        = "53100"
	pgReadOnly        = "25006"
	pgUnique          = "23505"
	pgSerialization   = "40001"
	pgDeadlock        = "40P01"
	pgTooMany         = "53300"
	pgAdminShutdown   = "57P01"
	pgCrashShutdown   = "57P02"
	pgNotNow          = "57P03"
	pgIdleTooLong     = "25P03"
	pgLockNotFree     = "55P03"
	pgTookTooLong     = "57014"
	pgPreparedTwice   = "42P05"
	pgNotPrepared     = "26000"
	classConnection   = "08"
	classNoResources  = "53"
	classIntervention = "57"
)

// gone are the codes with which a server ends a connection or refuses one for the moment.
var gone = []string{pgAdminShutdown, pgCrashShutdown, pgNotNow, pgTooMany, pgIdleTooLong}

// sentences are for people, with the database's name in them.
var sentences = map[string]string{
	pgWrongPassword: "The database %s does not let this user in: check the user and the password of its URL, and pg_hba.conf of the server.",
	pgNotLetIn:      "The database %s does not let this user in: check the user and the password of its URL, and pg_hba.conf of the server.",
	pgNoDatabase:    "The database %s does not exist: make it with createdb, or name another.",
	pgNoSchema:      "The search_path of the database %s names no schema that exists: create the schema, or set another search_path.",
	pgNoTable:       "The database %s has no tables of greenroom in its search_path: see whether they were dropped, or whether the search_path was changed.",
	pgNoRight:       "The database %s refuses its user a right: make the user the owner of the database and of greenroom's tables in it.",
	pgDiskFull:      "The disk of the database %s is full: free some space. What was not confirmed was not saved.",
	pgReadOnly:      "The database %s is read-only, as a standby is: name the primary server.",
	pgTooMany:       "The database %s has no connection to spare: raise its max_connections, or the bounds of the pooler before it.",
	pgAdminShutdown: "The database %s has ended the connection: see whether it is being restarted.",
	pgCrashShutdown: "The database %s has ended the connection: see whether it is being restarted.",
	pgNotNow:        "The database %s takes no connections at the moment: see whether it is starting or shutting down.",
	pgLockNotFree:   "The database %s is too busy: another transaction holds a lock for longer than greenroom waits.",
	pgTookTooLong:   "The database %s is too busy: a statement took longer than greenroom waits.",
	pgPreparedTwice: poolMode,
	pgNotPrepared:   poolMode,
}

func againPostgres(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return false
	}
	if pe, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch pe.Code {
		case pgSerialization, pgDeadlock:
			return true
		case pgReadOnly: // nothing was written, and another connection may lead to another server
			return true
		case pgUnique: // an idempotency key that another process used a moment ago: the next try finds it
			return true
		}
	}
	return lost(err)
}

// stalePostgres reports that a connection leads to a server that takes no writes, or ends: the next one may lead elsewhere.
func stalePostgres(err error) bool {
	if errors.Is(err, errReadOnly) {
		return true
	}
	pe, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (pe.Code == pgReadOnly || slices.Contains(gone, pe.Code) || class(pe) == classConnection)
}

func class(pe *pgconn.PgError) string { return pe.Code[:min(2, len(pe.Code))] }

// lost reports that the connection is gone, or that there is none to be had.
func lost(err error) bool {
	if pe, ok := errors.AsType[*pgconn.PgError](err); ok {
		return class(pe) == classConnection || slices.Contains(gone, pe.Code)
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, sql.ErrConnDone) || pgconn.SafeToRetry(err)
}

func explainPostgres(err error, where string) error {
	message := ""
	pe, answered := errors.AsType[*pgconn.PgError](err)
	switch {
	case answered:
		message = refusal(pe, where, refusedAtStart(err))
	case errors.Is(err, errReadOnly):
		message = fmt.Sprintf(sentences[pgReadOnly], where)
	case lost(err), errors.Is(err, errNoAnswer), errors.Is(err, context.DeadlineExceeded):
		message = fmt.Sprintf("The database %s does not answer: see that it runs and can be reached.", where)
	}
	if message == "" {
		return err
	}
	return &greenroom.UserError{Message: message, Cause: errors.Join(greenroom.ErrUnavailable, err)}
}

// refusedAtStart reports that there is no session: what the server said is about the connection, and not about a statement.
func refusedAtStart(err error) bool {
	_, ok := errors.AsType[*pgconn.ConnectError](err)
	return ok || errors.Is(err, errConnecting)
}

// refusal says what a server answered. It is empty for what is a fault of a statement.
func refusal(pe *pgconn.PgError, where string, atStart bool) string {
	if text, ok := sentences[pe.Code]; ok {
		return fmt.Sprintf(text, where)
	}
	if strings.Contains(pe.Message, "pooling mode") { // a pooler in statement mode takes no transactions
		return fmt.Sprintf(poolMode, where)
	}
	if atStart || slices.Contains([]string{classConnection, classNoResources, classIntervention}, class(pe)) {
		return fmt.Sprintf("The database %s refuses: %s (SQLSTATE %s).", where, oneLine(pe.Message), pe.Code)
	}
	return ""
}

// maxServerText bounds what is repeated of a server's own words, in characters.
const maxServerText = 200

func oneLine(text string) string {
	runes := []rune(strings.Join(strings.Fields(text), " "))
	return string(runes[:min(len(runes), maxServerText)])
}
