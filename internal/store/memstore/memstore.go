// Package memstore keeps meetings in memory, for tests: whatever it is asked, it answers as the durable
// stores do, and it is gone with its process.
package memstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"greenroom"
	"greenroom/internal/store"
)

// Store is a store.Store.
type Store struct {
	// OnWake, if set, is told of the wake that each committed write promised; a zero At means none. It is set
	// before the store is used and may call the store.
	OnWake func(store.Wake)

	mu       sync.Mutex
	meetings map[string]*row
	keys     map[string]used
	settings map[string]string
	records  map[string]store.Record
	texts    map[string]map[string]time.Time // by name and text, when each was written
	written  int                             // events so far
}

// row holds a copy that no caller can change: what comes in is cloned, and so is what goes out by the contract. What a saved
// meeting points at is replaced by the next save, never changed.
type row struct {
	meeting greenroom.Meeting
	events  []event
}

type event struct {
	greenroom.Event
	order int // over all meetings
}

type used struct {
	fingerprint, meeting string
	at                   time.Time
}

var _ store.Store = (*Store)(nil)

// New returns an empty Store.
func New() *Store {
	return &Store{
		meetings: map[string]*row{}, keys: map[string]used{},
		settings: map[string]string{}, records: map[string]store.Record{}, texts: map[string]map[string]time.Time{},
	}
}

// Create implements store.Store.
func (s *Store) Create(ctx context.Context, m greenroom.Meeting, events []greenroom.Event, idem store.Idempotency) (greenroom.Meeting, bool, error) {
	created, isNew, err := s.create(ctx, m, events, idem)
	if err == nil && isNew {
		s.told(created)
	}
	return created, isNew, err
}

func (s *Store) create(ctx context.Context, m greenroom.Meeting, events []greenroom.Event, idem store.Idempotency) (greenroom.Meeting, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return greenroom.Meeting{}, false, err
	}
	if idem.Key != "" {
		if first, err := s.first(idem); !errors.Is(err, greenroom.ErrNotFound) {
			return first, false, err
		}
	}
	if s.meetings[m.ID] != nil {
		return greenroom.Meeting{}, false, fmt.Errorf("meeting %s exists: %w", m.ID, greenroom.ErrConflict)
	}
	m.Rev = 0
	created := s.save(&row{}, m, events)
	if idem.Key != "" {
		s.keys[idem.Key] = used{idem.Fingerprint, m.ID, idem.At}
	}
	return created, true, nil
}

// First implements store.Store.
func (s *Store) First(ctx context.Context, idem store.Idempotency) (greenroom.Meeting, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return greenroom.Meeting{}, err
	}
	return s.first(idem)
}

func (s *Store) first(idem store.Idempotency) (greenroom.Meeting, error) {
	u, ok := s.keys[idem.Key]
	switch {
	case !ok:
		return greenroom.Meeting{}, fmt.Errorf("idempotency key: %w", greenroom.ErrNotFound)
	case u.fingerprint != idem.Fingerprint:
		return greenroom.Meeting{}, fmt.Errorf("idempotency key of another request: %w", greenroom.ErrConflict)
	}
	return s.meeting(u.meeting)
}

// Update implements store.Store.
func (s *Store) Update(ctx context.Context, m greenroom.Meeting, events []greenroom.Event) (greenroom.Meeting, error) {
	updated, err := s.update(ctx, m, events)
	if err == nil {
		s.told(updated)
	}
	return updated, err
}

func (s *Store) update(ctx context.Context, m greenroom.Meeting, events []greenroom.Event) (greenroom.Meeting, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return greenroom.Meeting{}, err
	}
	r := s.meetings[m.ID]
	switch {
	case r == nil:
		return greenroom.Meeting{}, missing(m.ID)
	case r.meeting.Rev != m.Rev:
		return greenroom.Meeting{}, fmt.Errorf("meeting %s has revision %d, not %d: %w", m.ID, r.meeting.Rev, m.Rev, greenroom.ErrConflict)
	}
	return s.save(r, m, events), nil
}

// save puts a copy of m with the next revision into r, and gives m itself back: what it points at is the caller's before and after.
func (s *Store) save(r *row, m greenroom.Meeting, events []greenroom.Event) greenroom.Meeting {
	m.Rev++
	store.UTC(&m)
	r.meeting = m.Clone()
	for _, e := range events {
		e.Seq = int64(len(r.events) + 1)
		e.At, e.Data = e.At.Round(0).UTC(), maps.Clone(e.Data)
		r.events = append(r.events, event{e, s.written})
		s.written++
	}
	s.meetings[m.ID] = r
	return m
}

// Peek gives a meeting that exists as it is kept, not a copy, to those who only read it. It stays as it is when the next
// revision is saved.
func (s *Store) Peek(id string) greenroom.Meeting {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.meetings[id].meeting
}

func (s *Store) told(m greenroom.Meeting) {
	if s.OnWake == nil {
		return
	}
	w := store.Wake{Meeting: m.ID}
	if !m.Closed {
		w.At = m.WakeAt
	}
	s.OnWake(w)
}

// Meeting implements store.Store.
func (s *Store) Meeting(ctx context.Context, id string) (greenroom.Meeting, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return greenroom.Meeting{}, err
	}
	return s.meeting(id)
}

func (s *Store) meeting(id string) (greenroom.Meeting, error) {
	r := s.meetings[id]
	if r == nil {
		return greenroom.Meeting{}, missing(id)
	}
	return r.meeting.Clone(), nil
}

func missing(id string) error { return fmt.Errorf("meeting %s: %w", id, greenroom.ErrNotFound) }

// List implements store.Store.
func (s *Store) List(ctx context.Context, f store.Filter) ([]greenroom.Meeting, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, "", err
	}
	var after store.Cursor
	if f.Cursor != "" {
		var err error
		if after, err = store.ParseCursor(f.Cursor); err != nil {
			return nil, "", err
		}
	}
	inOrder := compare
	if f.Newest {
		inOrder = func(a, b store.Cursor) int { return compare(b, a) }
	}
	var found []*greenroom.Meeting
	for _, r := range s.meetings {
		if m := &r.meeting; selects(f, m) && (f.Cursor == "" || inOrder(store.CursorAfter(*m), after) > 0) {
			found = append(found, m)
		}
	}
	slices.SortFunc(found, func(a, b *greenroom.Meeting) int { return inOrder(store.CursorAfter(*a), store.CursorAfter(*b)) })
	next := ""
	if n := f.PageSize(); len(found) > n {
		found, next = found[:n], store.CursorAfter(*found[n-1]).String()
	}
	out := make([]greenroom.Meeting, len(found))
	for i, m := range found {
		out[i] = m.Clone()
	}
	return out, next, nil
}

func selects(f store.Filter, m *greenroom.Meeting) bool {
	return (f.State == "" || m.State() == f.State) &&
		(f.From.IsZero() || !m.StartsAt.Before(f.From)) &&
		(f.To.IsZero() || m.StartsAt.Before(f.To))
}

func compare(a, b store.Cursor) int {
	return cmp.Or(cmp.Compare(a.StartsAt, b.StartsAt), cmp.Compare(a.ID, b.ID))
}

// Live implements store.Store.
func (s *Store) Live(ctx context.Context, cursor string) ([]greenroom.Meeting, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, "", err
	}
	var found []string
	for id, r := range s.meetings {
		if id > cursor && r.meeting.State().Live() {
			found = append(found, id)
		}
	}
	slices.Sort(found)
	next := ""
	if len(found) > store.MaxLive {
		found = found[:store.MaxLive]
		next = found[store.MaxLive-1]
	}
	out := make([]greenroom.Meeting, len(found))
	for i, id := range found {
		out[i] = s.meetings[id].meeting.Clone()
	}
	return out, next, nil
}

// Due implements store.Store.
func (s *Store) Due(ctx context.Context, before time.Time, limit int) ([]store.Wake, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var due []store.Wake
	for _, r := range s.meetings {
		if m := &r.meeting; !m.Closed && !m.WakeAt.IsZero() && m.WakeAt.Before(before) {
			due = append(due, store.Wake{Meeting: m.ID, At: m.WakeAt})
		}
	}
	slices.SortFunc(due, func(a, b store.Wake) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Meeting, b.Meeting))
	})
	return due[:min(max(limit, 0), len(due))], nil
}

// Events implements store.Store.
func (s *Store) Events(ctx context.Context, meetingID string, after int64, limit int) ([]greenroom.Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r := s.meetings[meetingID]
	if r == nil {
		return nil, missing(meetingID)
	}
	rest := r.events[min(max(after, 0), int64(len(r.events))):]
	return handOut(rest[:min(max(limit, 0), len(rest))]), nil
}

// RecentEvents implements store.Store.
func (s *Store) RecentEvents(ctx context.Context, kind greenroom.EventKind, limit int) ([]greenroom.Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var found []event
	for _, r := range s.meetings {
		for _, e := range r.events {
			if e.Kind == kind {
				found = append(found, e)
			}
		}
	}
	slices.SortFunc(found, func(a, b event) int { return cmp.Or(b.At.Compare(a.At), cmp.Compare(b.order, a.order)) })
	return handOut(found[:min(max(limit, 0), len(found))]), nil
}

func handOut(events []event) []greenroom.Event {
	out := make([]greenroom.Event, len(events))
	for i, e := range events {
		out[i] = e.Event
		out[i].Data = maps.Clone(e.Data)
	}
	return out
}

// Setting implements store.Store.
func (s *Store) Setting(ctx context.Context, name, initial string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if _, ok := s.settings[name]; !ok {
		s.settings[name] = initial
	}
	return s.settings[name], nil
}

// PutRecords implements store.Store.
func (s *Store) PutRecords(ctx context.Context, records []store.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, r := range records {
		s.records[r.Name] = r
	}
	return nil
}

// DeleteRecords implements store.Store.
func (s *Store) DeleteRecords(ctx context.Context, names []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, name := range names {
		delete(s.records, name)
	}
	return nil
}

// Records implements store.Store.
func (s *Store) Records(ctx context.Context) ([]store.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return slices.SortedFunc(maps.Values(s.records), func(a, b store.Record) int { return cmp.Compare(a.Name, b.Name) }), nil
}

// Record implements store.Store.
func (s *Store) Record(ctx context.Context, name string) (store.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return store.Record{}, err
	}
	r, ok := s.records[name]
	if !ok {
		return store.Record{}, fmt.Errorf("record %s: %w", name, greenroom.ErrNotFound)
	}
	return r, nil
}

// PutText implements store.Store.
func (s *Store) PutText(ctx context.Context, name, text string, at time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.texts[name] == nil {
		s.texts[name] = map[string]time.Time{}
	}
	s.texts[name][text] = at
	return nil
}

// DeleteText implements store.Store.
func (s *Store) DeleteText(ctx context.Context, name, text string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	delete(s.texts[name], text)
	return nil
}

// Texts implements store.Store.
func (s *Store) Texts(ctx context.Context, name string) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.texts[name])), ctx.Err()
}

// Forget implements store.Store.
func (s *Store) Forget(ctx context.Context, before time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	maps.DeleteFunc(s.keys, func(_ string, u used) bool { return u.at.Before(before) })
	for _, texts := range s.texts {
		maps.DeleteFunc(texts, func(_ string, at time.Time) bool { return at.Before(before) })
	}
	return nil
}

// Ping implements store.Store.
func (s *Store) Ping(ctx context.Context) error { return ctx.Err() }
