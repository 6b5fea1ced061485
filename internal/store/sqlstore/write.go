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

// form is a meeting with its events as they are stored. It is made before the writer's turn, whose time is dear.
type form struct {
	meeting greenroom.Meeting // as a reader of doc would see it
	doc     []byte
	events  []greenroom.Event
}

func formOf(m greenroom.Meeting, events []greenroom.Event) (form, error) {
	f := form{events: events}
	var err error
	if f.doc, err = store.Marshal(m); err != nil {
		return form{}, err
	}
	return f, store.Unmarshal(f.doc, &f.meeting)
}

// wakeAt is the column: no wake for a meeting that is over.
func (f *form) wakeAt() sql.NullInt64 {
	m := &f.meeting
	return sql.NullInt64{Int64: m.WakeAt.UnixMicro(), Valid: !m.WakeAt.IsZero() && !m.Closed}
}

// Create implements store.Store.
func (s *Store) Create(ctx context.Context, m greenroom.Meeting, events []greenroom.Event, idem store.Idempotency) (greenroom.Meeting, bool, error) {
	ctx, leave, err := s.admit(ctx)
	if err != nil {
		return greenroom.Meeting{}, false, err
	}
	defer leave()
	m.Rev = 1
	f, err := formOf(m, events)
	if err != nil {
		return greenroom.Meeting{}, false, err
	}
	var first *greenroom.Meeting
	err = s.submitWrite(ctx, &write{what: m.ID, adds: true, run: func(ctx context.Context, t *turn) error {
		if idem.Key != "" {
			if first, err = t.firstOf(ctx, idem); err != nil || first != nil {
				return err
			}
		}
		return t.create(ctx, &f, idem)
	}})
	switch {
	case err != nil:
		return greenroom.Meeting{}, false, fmt.Errorf("create meeting %s: %w", m.ID, err)
	case first != nil:
		return *first, false, nil
	}
	return f.meeting.Clone(), true, nil
}

// firstOf returns the meeting that the key made before, or nil.
func (t *turn) firstOf(ctx context.Context, idem store.Idempotency) (*greenroom.Meeting, error) {
	id, err := keptBy(t.queryRow(ctx, selectKey, idem.Key), idem)
	switch {
	case errors.Is(err, greenroom.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("look up the idempotency key: %w", err)
	}
	if err := t.pipe.flush(ctx); err != nil { // it may be about that meeting
		return nil, err
	}
	m, err := scanMeeting(t.queryRow(ctx, selectMeeting, id))
	return &m, err
}

func (t *turn) create(ctx context.Context, f *form, idem store.Idempotency) error {
	m := &f.meeting
	res, err := t.exec(ctx, insertMeeting, m.ID, m.State(), m.StartsAt.UnixMicro(), f.wakeAt(), len(f.events), m.Closed, f.doc)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, fmt.Errorf("the id exists: %w", greenroom.ErrConflict))
	}
	if idem.Key != "" {
		if _, err := t.exec(ctx, insertKey, idem.Key, idem.Fingerprint, m.ID, idem.At.UnixMicro()); err != nil {
			return err
		}
	}
	t.saved = m
	return t.append(ctx, m.ID, 0, f.events)
}

// Update implements store.Store.
func (s *Store) Update(ctx context.Context, m greenroom.Meeting, events []greenroom.Event) (greenroom.Meeting, error) {
	ctx, leave, err := s.admit(ctx)
	if err != nil {
		return greenroom.Meeting{}, err
	}
	defer leave()
	m.Rev++
	f, err := formOf(m, events)
	if err != nil {
		return greenroom.Meeting{}, err
	}
	err = s.submit(ctx, m.ID, func(ctx context.Context, t *turn) error { return t.update(ctx, &f) })
	if err != nil {
		return greenroom.Meeting{}, fmt.Errorf("save meeting %s: %w", m.ID, err)
	}
	return f.meeting.Clone(), nil
}

func (t *turn) update(ctx context.Context, f *form) error {
	m := &f.meeting
	var rev, seq int64
	err := t.queryRow(ctx, selectHead, m.ID).Scan(&rev, &seq)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return greenroom.ErrNotFound
	case err != nil:
		return err
	case rev != m.Rev-1:
		return fmt.Errorf("its revision is %d, not %d: %w", rev, m.Rev-1, greenroom.ErrConflict)
	}
	if err := t.later(ctx, updateMeeting, m.Rev, m.State(), m.StartsAt.UnixMicro(), f.wakeAt(), seq+int64(len(f.events)), m.Closed, f.doc, m.ID); err != nil {
		return err
	}
	t.saved = m
	return t.append(ctx, m.ID, seq, f.events)
}

// append adds events after seq.
func (t *turn) append(ctx context.Context, id string, seq int64, events []greenroom.Event) error {
	for _, e := range events {
		seq++
		e.Seq = seq
		doc, err := store.Marshal(e)
		if err != nil {
			return err
		}
		if err := t.later(ctx, insertEvent, id, e.Seq, e.At.UnixMicro(), e.Kind, doc); err != nil {
			return err
		}
	}
	return nil
}

// Setting implements store.Store.
func (s *Store) Setting(ctx context.Context, name, initial string) (string, error) {
	var value string
	bounded, cancel := s.bound(ctx)
	defer cancel()
	if err := s.reads[selectSetting].QueryRowContext(bounded, name).Scan(&value); !errors.Is(err, sql.ErrNoRows) {
		return value, s.explain(ctx, err)
	}
	err := s.submit(ctx, "setting", func(ctx context.Context, t *turn) error {
		if _, err := t.exec(ctx, insertSetting, name, initial); err != nil {
			return err
		}
		return t.queryRow(ctx, selectSetting, name).Scan(&value)
	})
	if err != nil {
		return "", fmt.Errorf("keep setting %s: %w", name, err)
	}
	return value, nil
}

// PutRecords implements store.Store.
func (s *Store) PutRecords(ctx context.Context, records []store.Record) error {
	err := s.submit(ctx, "record", func(ctx context.Context, t *turn) error {
		for _, r := range records {
			if _, err := t.exec(ctx, upsertRecord, r.Name, r.AddressText(), r.Owner); err != nil {
				return fmt.Errorf("put record %s: %w", r.Name, err)
			}
		}
		return nil
	})
	return err
}

// DeleteRecords implements store.Store.
func (s *Store) DeleteRecords(ctx context.Context, names []string) error {
	err := s.submit(ctx, "record", func(ctx context.Context, t *turn) error {
		for _, name := range names {
			if _, err := t.exec(ctx, deleteRecord, name); err != nil {
				return fmt.Errorf("delete record %s: %w", name, err)
			}
		}
		return nil
	})
	return err
}

// PutText implements store.Store.
func (s *Store) PutText(ctx context.Context, name, text string, at time.Time) error {
	return s.submit(ctx, "text", func(ctx context.Context, t *turn) error {
		_, err := t.exec(ctx, upsertText, name, text, at.UnixMicro())
		return err
	})
}

// DeleteText implements store.Store.
func (s *Store) DeleteText(ctx context.Context, name, text string) error {
	return s.submit(ctx, "text", func(ctx context.Context, t *turn) error {
		_, err := t.exec(ctx, deleteText, name, text)
		return err
	})
}

// Forget implements store.Store.
func (s *Store) Forget(ctx context.Context, before time.Time) error {
	err := s.submit(ctx, "forget", func(ctx context.Context, t *turn) error {
		for _, query := range []string{deleteKeys, deleteTexts} {
			if _, err := t.exec(ctx, query, before.UnixMicro()); err != nil {
				return err
			}
		}
		return nil
	})
	return err
}

// Ping implements store.Store: it writes, and waits until that is durable.
func (s *Store) Ping(ctx context.Context) error {
	err := s.submitWrite(ctx, &write{what: "pulse", adds: true, run: func(ctx context.Context, t *turn) error {
		_, err := t.exec(ctx, upsertPulse, time.Now().UnixMicro())
		return err
	}})
	return err
}
