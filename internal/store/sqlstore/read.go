package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"greenroom"
	"greenroom/internal/store"
)

// Meeting implements store.Store.
func (s *Store) Meeting(ctx context.Context, id string) (greenroom.Meeting, error) {
	if err := ctx.Err(); err != nil {
		return greenroom.Meeting{}, err
	}
	m, ticket, ok := s.cache.get(id)
	if ok {
		return m, nil
	}
	bounded, cancel := s.bound(ctx)
	defer cancel()
	m, err := scanMeeting(s.reads[selectMeeting].QueryRowContext(bounded, id))
	if err != nil {
		return greenroom.Meeting{}, fmt.Errorf("meeting %s: %w", id, s.explain(ctx, err))
	}
	s.cache.fill(m, ticket)
	return m.Clone(), nil
}

// First implements store.Store.
func (s *Store) First(caller context.Context, idem store.Idempotency) (greenroom.Meeting, error) {
	ctx, cancel := s.bound(caller)
	defer cancel()
	id, err := keptBy(s.reads[selectKey].QueryRowContext(ctx, idem.Key), idem)
	if err != nil {
		return greenroom.Meeting{}, fmt.Errorf("look up the idempotency key: %w", s.explain(caller, err))
	}
	return s.Meeting(caller, id)
}

// keptBy reads the id of the meeting that the key made.
func keptBy(row *sql.Row, idem store.Idempotency) (id string, err error) {
	var fingerprint string
	err = row.Scan(&fingerprint, &id)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return "", greenroom.ErrNotFound
	case err == nil && fingerprint != idem.Fingerprint:
		return "", fmt.Errorf("idempotency key of another request: %w", greenroom.ErrConflict)
	}
	return id, err
}

func scanMeeting(row interface{ Scan(...any) error }) (greenroom.Meeting, error) {
	var doc []byte
	var m greenroom.Meeting
	if err := row.Scan(&doc); errors.Is(err, sql.ErrNoRows) {
		return m, greenroom.ErrNotFound
	} else if err != nil {
		return m, err
	}
	return m, store.Unmarshal(doc, &m)
}

// collect reads all rows with scan. The end of ctx ends it.
func collect[T any](rows *sql.Rows, err error, scan func(*sql.Rows) (T, error)) ([]T, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// List implements store.Store.
func (s *Store) List(caller context.Context, f store.Filter) ([]greenroom.Meeting, string, error) {
	ctx, cancel := s.bound(caller)
	defer cancel()
	query, args, err := listQuery(f)
	if err != nil {
		return nil, "", err
	}
	rows, err := s.readers.QueryContext(ctx, s.dialect.bind(query), args...)
	found, err := collect(rows, err, func(r *sql.Rows) (greenroom.Meeting, error) { return scanMeeting(r) })
	if err != nil {
		return nil, "", fmt.Errorf("list meetings: %w", s.explain(caller, err))
	}
	if n := f.PageSize(); len(found) > n {
		return found[:n], store.CursorAfter(found[n-1]).String(), nil
	}
	return found, "", nil
}

// Live implements store.Store.
func (s *Store) Live(caller context.Context, cursor string) ([]greenroom.Meeting, string, error) {
	ctx, cancel := s.bound(caller)
	defer cancel()
	rows, err := s.reads[selectLive].QueryContext(ctx, cursor, store.MaxLive+1)
	found, err := collect(rows, err, func(r *sql.Rows) (greenroom.Meeting, error) { return scanMeeting(r) })
	if err != nil {
		return nil, "", fmt.Errorf("list live meetings: %w", s.explain(caller, err))
	}
	if len(found) > store.MaxLive {
		return found[:store.MaxLive], found[store.MaxLive-1].ID, nil
	}
	return found, "", nil
}

// Due implements store.Store.
func (s *Store) Due(caller context.Context, before time.Time, limit int) ([]store.Wake, error) {
	ctx, cancel := s.bound(caller)
	defer cancel()
	rows, err := s.reads[selectDue].QueryContext(ctx, ceilMicro(before), max(limit, 0))
	due, err := collect(rows, err, func(r *sql.Rows) (store.Wake, error) {
		var w store.Wake
		var at int64
		err := r.Scan(&w.Meeting, &at)
		w.At = time.UnixMicro(at).UTC()
		return w, err
	})
	if err != nil {
		return nil, fmt.Errorf("list what is due: %w", s.explain(caller, err))
	}
	return due, nil
}

// Events implements store.Store.
func (s *Store) Events(caller context.Context, meetingID string, after int64, limit int) ([]greenroom.Event, error) {
	ctx, cancel := s.bound(caller)
	defer cancel()
	rows, err := s.reads[selectEvents].QueryContext(ctx, meetingID, after, max(limit, 0))
	found, err := collect(rows, err, scanEvent)
	if err == nil && len(found) == 0 {
		_, err = s.Meeting(ctx, meetingID)
	}
	if err != nil {
		return nil, fmt.Errorf("events of meeting %s: %w", meetingID, s.explain(caller, err))
	}
	return found, nil
}

// RecentEvents implements store.Store.
func (s *Store) RecentEvents(caller context.Context, kind greenroom.EventKind, limit int) ([]greenroom.Event, error) {
	ctx, cancel := s.bound(caller)
	defer cancel()
	rows, err := s.reads[selectRecent].QueryContext(ctx, kind, max(limit, 0))
	found, err := collect(rows, err, scanEvent)
	if err != nil {
		return nil, fmt.Errorf("recent events: %w", s.explain(caller, err))
	}
	return found, nil
}

func scanEvent(r *sql.Rows) (greenroom.Event, error) {
	var doc []byte
	var e greenroom.Event
	if err := r.Scan(&doc); err != nil {
		return e, err
	}
	return e, store.Unmarshal(doc, &e)
}

// Records implements store.Store.
func (s *Store) Records(caller context.Context) ([]store.Record, error) {
	ctx, cancel := s.bound(caller)
	defer cancel()
	rows, err := s.reads[selectRecords].QueryContext(ctx)
	found, err := collect(rows, err, func(r *sql.Rows) (store.Record, error) { return scanRecord(r) })
	if err != nil {
		return nil, fmt.Errorf("list records: %w", s.explain(caller, err))
	}
	return found, nil
}

// Record implements store.Store.
func (s *Store) Record(caller context.Context, name string) (store.Record, error) {
	ctx, cancel := s.bound(caller)
	defer cancel()
	r, err := scanRecord(s.reads[selectRecord].QueryRowContext(ctx, name))
	if err != nil {
		return store.Record{}, fmt.Errorf("record %s: %w", name, s.explain(caller, err))
	}
	return r, nil
}

// Texts implements store.Store.
func (s *Store) Texts(caller context.Context, name string) ([]string, error) {
	ctx, cancel := s.bound(caller)
	defer cancel()
	rows, err := s.reads[selectTexts].QueryContext(ctx, name)
	found, err := collect(rows, err, func(r *sql.Rows) (text string, err error) { return text, r.Scan(&text) })
	if err != nil {
		return nil, fmt.Errorf("texts of %s: %w", name, s.explain(caller, err))
	}
	return found, nil
}

func scanRecord(row interface{ Scan(...any) error }) (store.Record, error) {
	var r store.Record
	var address string
	if err := row.Scan(&r.Name, &address, &r.Owner); errors.Is(err, sql.ErrNoRows) {
		return r, greenroom.ErrNotFound
	} else if err != nil {
		return r, err
	}
	return r, r.SetAddressText(address)
}
