package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"greenroom/internal/store"
)

// All SQL is here, in the common tongue of SQLite and PostgreSQL; a dialect's bind does the rest. Times are
// microseconds since 1970.
const (
	insertMeeting = `insert into meetings (id, rev, state, starts_at, wake_at, last_seq, closed, doc) values (?, 1, ?, ?, ?, ?, ?, ?)
		on conflict (id) do nothing`
	updateMeeting = `update meetings set rev = ?, state = ?, starts_at = ?, wake_at = ?, last_seq = ?, closed = ?, doc = ? where id = ?`
	selectHead    = `select rev, last_seq from meetings where id = ?`
	selectMeeting = `select doc from meetings where id = ?`
	selectLive    = `select doc from meetings where id > ? and state <> 'scheduled' and state <> 'ended' order by id limit ?`
	selectDue     = `select id, wake_at from meetings where wake_at is not null and not closed and wake_at < ? order by wake_at, id limit ?`

	insertEvent  = `insert into events (meeting_id, seq, at, kind, doc) values (?, ?, ?, ?, ?)`
	selectEvents = `select doc from events where meeting_id = ? and seq > ? order by seq limit ?`
	selectRecent = `select doc from events where kind = ? order by at desc, meeting_id desc, seq desc limit ?`

	insertKey  = `insert into idempotency (key, fingerprint, meeting_id, at) values (?, ?, ?, ?)`
	selectKey  = `select fingerprint, meeting_id from idempotency where key = ?`
	deleteKeys = `delete from idempotency where at < ?`

	insertSetting = `insert into settings (name, value) values (?, ?) on conflict (name) do nothing`
	selectSetting = `select value from settings where name = ?`

	upsertRecord = `insert into records (name, address, owner) values (?, ?, ?)
		on conflict (name) do update set address = excluded.address, owner = excluded.owner`
	deleteRecord  = `delete from records where name = ?`
	selectRecords = `select name, address, owner from records order by name`
	selectRecord  = `select name, address, owner from records where name = ?`

	upsertText  = `insert into texts (name, value, at) values (?, ?, ?) on conflict (name, value) do update set at = excluded.at`
	deleteText  = `delete from texts where name = ? and value = ?`
	deleteTexts = `delete from texts where at < ?`
	selectTexts = `select value from texts where name = ? order by value`

	upsertPulse = `insert into pulse (id, at) values (1, ?) on conflict (id) do update set at = excluded.at`

	savepoint         = `savepoint one_write`
	releaseSavepoint  = `release savepoint one_write`
	rollbackSavepoint = `rollback to savepoint one_write`
)

// writes lists what the writer runs: prepared once, on its one connection.
var writes = []string{
	insertMeeting, updateMeeting, selectHead, selectMeeting, insertEvent, insertKey, selectKey, deleteKeys,
	insertSetting, selectSetting, upsertRecord, deleteRecord, upsertText, deleteText, deleteTexts, upsertPulse, savepoint, releaseSavepoint, rollbackSavepoint,
}

// reads lists what the readers run.
var reads = []string{selectMeeting, selectKey, selectLive, selectDue, selectEvents, selectRecent, selectSetting, selectRecords, selectRecord, selectTexts}

// statements are prepared queries by their text.
type statements map[string]*sql.Stmt

func (dl *dialect) prepare(ctx context.Context, db *sql.DB, queries []string) (statements, error) {
	out := statements{}
	for _, q := range queries {
		stmt, err := db.PrepareContext(ctx, dl.bind(q))
		if err != nil {
			out.close()
			return nil, fmt.Errorf("prepare %.40q: %w", q, err)
		}
		out[q] = stmt
	}
	return out, nil
}

func (s statements) close() {
	for _, stmt := range s {
		_ = stmt.Close()
	}
}

// listQuery asks for one meeting more than the page holds, to know whether there is a next one.
func listQuery(f store.Filter) (string, []any, error) {
	var where []string
	var args []any
	beyond, order := ">", "starts_at, id"
	if f.Newest {
		beyond, order = "<", "starts_at desc, id desc"
	}
	add := func(condition string, values ...any) {
		where, args = append(where, condition), append(args, values...)
	}
	if f.State != "" {
		add("state = ?", string(f.State))
	}
	if !f.From.IsZero() {
		add("starts_at >= ?", ceilMicro(f.From))
	}
	if !f.To.IsZero() {
		add("starts_at < ?", ceilMicro(f.To))
	}
	if f.Cursor != "" {
		c, err := store.ParseCursor(f.Cursor)
		if err != nil {
			return "", nil, err
		}
		add("(starts_at, id) "+beyond+" (?, ?)", c.StartsAt, c.ID)
	}
	query := "select doc from meetings"
	if len(where) > 0 {
		query += " where " + strings.Join(where, " and ")
	}
	return query + " order by " + order + " limit ?", append(args, f.PageSize()+1), nil
}

// ceilMicro is the first microsecond that is not before t.
func ceilMicro(t time.Time) int64 { return t.Add(time.Microsecond - 1).UnixMicro() }
