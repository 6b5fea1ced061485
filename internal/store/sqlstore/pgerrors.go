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

	"github.com/jackc/pgx/v5/pgconn"

	"greenroom"
)

// Errors of PostgreSQL by their codes, https://www.postgresql.org/docs/current/errcodes-appendix.html.
const (
	pgWrongPassword  = "28P01"
	pgNotLetIn       = "28000"
	pgNoDatabase     = "3D000"
	pgNoRight        = "42501"
	pgDiskFull       = "53100"
	pgReadOnly       = "25006"
	pgUnique         = "23505"
	pgSerialization  = "40001"
	pgDeadlock       = "40P01"
	pgTooMany        = "53300"
	pgAdminShutdown  = "57P01"
	pgCrashShutdown  = "57P02"
	pgNotNow         = "57P03"
	pgIdleTooLong    = "25P03"
	pgLockNotFree    = "55P03"
	pgTookTooLong    = "57014"
	classConnection  = "08"
	classNoResources = "53"
)

// gone are the codes with which a server ends a connection or refuses one for the moment.
var gone = []string{pgAdminShutdown, pgCrashShutdown, pgNotNow, pgTooMany, pgIdleTooLong}

func againPostgres(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return false
	}
	if pe, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch pe.Code {
		case pgSerialization, pgDeadlock:
			return true
		case pgUnique: // an idempotency key that another process used a moment ago: the next try finds it
			return true
		}
	}
	return lost(err)
}

// lost reports that the connection is gone, or that there is none to be had.
func lost(err error) bool {
	if pe, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pe.Code[:min(2, len(pe.Code))] == classConnection || slices.Contains(gone, pe.Code)
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
	message, code := "", ""
	if pe, ok := errors.AsType[*pgconn.PgError](err); ok {
		code = pe.Code
	}
	switch {
	case code == pgWrongPassword, code == pgNotLetIn:
		message = fmt.Sprintf("The database %s does not let this user in: check the user and the password of its URL, and pg_hba.conf of the server.", where)
	case code == pgNoDatabase:
		message = fmt.Sprintf("The database %s does not exist: make it with createdb, or name another.", where)
	case code == pgNoRight:
		message = fmt.Sprintf("The database %s refuses its user a right: make the user the owner of the database and of greenroom's tables in it.", where)
	case code == pgDiskFull:
		message = fmt.Sprintf("The disk of the database %s is full: free some space. What was not confirmed was not saved.", where)
	case code == pgReadOnly:
		message = fmt.Sprintf("The database %s is read-only, as a standby is: name the primary server.", where)
	case code == pgTooMany:
		message = fmt.Sprintf("The database %s has no connection to spare: raise its max_connections.", where)
	case lost(err), errors.Is(err, errNoAnswer), errors.Is(err, context.DeadlineExceeded), code == pgLockNotFree, code == pgTookTooLong, len(code) > 2 && code[:2] == classNoResources:
		message = fmt.Sprintf("The database %s does not answer: see that it runs and can be reached.", where)
	default:
		return err
	}
	return &greenroom.UserError{Message: message, Cause: errors.Join(greenroom.ErrUnavailable, err)}
}
