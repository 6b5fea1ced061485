package dynamostore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"greenroom"
	"greenroom/internal/store"
)

// get reads one item as the last answered write left it; nil if there is none.
func (s *Store) get(ctx context.Context, k item) (item, error) {
	out, err := ask(ctx, s, s.db.GetItem, &dynamodb.GetItemInput{TableName: aws.String(s.Table), Key: k, ConsistentRead: aws.Bool(true)})
	if err != nil {
		return nil, err
	}
	return out.Item, nil
}

func (s *Store) read(ctx context.Context, id string) (greenroom.Meeting, head, error) {
	found, err := s.get(ctx, meetingKey(id))
	if err != nil {
		return greenroom.Meeting{}, head{}, err
	}
	if found == nil {
		return greenroom.Meeting{}, head{}, greenroom.ErrNotFound
	}
	m, h, err := meetingOf(found)
	if err == nil {
		s.heads.put(id, h)
	}
	return m, h, err
}

// Meeting implements store.Store.
func (s *Store) Meeting(ctx context.Context, id string) (greenroom.Meeting, error) {
	m, _, err := s.read(ctx, id)
	if err != nil {
		return greenroom.Meeting{}, missing(id, err)
	}
	return m, nil
}

// MeetingOf returns the id of the meeting that has or had an instance. ErrNotFound if it is nobody's.
func (s *Store) MeetingOf(ctx context.Context, instance string) (string, error) {
	found, err := s.get(ctx, key(ofInstance+instance, onlySort))
	if err == nil && found == nil {
		err = greenroom.ErrNotFound
	}
	if err != nil {
		return "", fmt.Errorf("instance %s: %w", instance, err)
	}
	return textOf(found, "meeting"), nil
}

// First implements store.Store.
func (s *Store) First(ctx context.Context, idem store.Idempotency) (greenroom.Meeting, error) {
	used, err := s.usedKey(ctx, idem)
	switch {
	case err != nil:
		return greenroom.Meeting{}, fmt.Errorf("look up the idempotency key: %w", err)
	case !used.kept:
		return greenroom.Meeting{}, fmt.Errorf("idempotency key: %w", greenroom.ErrNotFound)
	case !used.is(idem):
		return greenroom.Meeting{}, errOtherRequest
	}
	return s.Meeting(ctx, used.meeting)
}

var errOtherRequest = fmt.Errorf("idempotency key of another request: %w", greenroom.ErrConflict)

// used is what is known of an idempotency key.
type used struct {
	stored, kept         bool // its item exists; and it is not forgotten
	fingerprint, meeting string
	at                   int64
}

func (u used) is(idem store.Idempotency) bool { return u.kept && u.fingerprint == idem.Fingerprint }

// forgotten is the setting that holds until when idempotency keys are forgotten. What it covers expires by itself.
const forgotten = "keys_forgotten"

func (s *Store) usedKey(ctx context.Context, idem store.Idempotency) (used, error) {
	k, mark := idempotencyKey(idem.Key), key(ofSetting+forgotten, onlySort)
	found, err := s.getAll(ctx, []item{k, mark}, "")
	if err != nil {
		return used{}, err
	}
	i, ok := found[textOf(k, partition)]
	if !ok {
		return used{}, nil
	}
	u := used{stored: true, fingerprint: textOf(i, "fingerprint"), meeting: textOf(i, "meeting"), at: numberOf(i, "used_at")}
	u.kept = u.at >= numberOf(found[textOf(mark, partition)], "before") || found[textOf(mark, partition)] == nil
	return u, nil
}

// Events implements store.Store.
func (s *Store) Events(ctx context.Context, meetingID string, after int64, limit int) ([]greenroom.Event, error) {
	found, err := s.timeline(ctx, meetingID, max(after, 0), max(limit, 0))
	if err == nil && len(found) == 0 {
		_, _, err = s.read(ctx, meetingID)
	}
	if err != nil {
		return nil, fmt.Errorf("events of meeting %s: %w", meetingID, err)
	}
	return found, nil
}

// kindsOfASave is how many packs a save may have, and more.
const kindsOfASave = 32

// timeline reads packs until there are enough events, and then on to the end of a save: its packs interleave.
func (s *Store) timeline(ctx context.Context, id string, after int64, limit int) ([]greenroom.Event, error) {
	var out []greenroom.Event
	if limit == 0 {
		return out, nil
	}
	in := &dynamodb.QueryInput{
		TableName: aws.String(s.Table), ConsistentRead: aws.Bool(true),
		KeyConditionExpression:    aws.String("pk = :pk and sk between :after and :end"),
		ExpressionAttributeValues: item{":pk": text(ofMeeting + id), ":after": text(eventSort + sortable(after+1)), ":end": text(eventSort + "~")},
		Limit:                     aws.Int32(int32(min(limit+kindsOfASave, 1000))),
	}
	last := ""
	for {
		page, err := ask(ctx, s, s.db.Query, in)
		if err != nil {
			return nil, err
		}
		for _, i := range page.Items {
			of, _, _ := strings.Cut(strings.TrimPrefix(textOf(i, sorting), eventSort), "#")
			if len(out) >= limit && of != last {
				return ordered(out, limit), nil
			}
			last = of
			var pack []greenroom.Event
			if err := store.Unmarshal([]byte(textOf(i, "doc")), &pack); err != nil {
				return nil, err
			}
			out = append(out, slices.DeleteFunc(pack, func(e greenroom.Event) bool { return e.Seq <= after })...)
		}
		if len(page.LastEvaluatedKey) == 0 {
			return ordered(out, limit), nil
		}
		in.ExclusiveStartKey = page.LastEvaluatedKey
	}
}

func ordered(events []greenroom.Event, limit int) []greenroom.Event {
	slices.SortFunc(events, func(a, b greenroom.Event) int { return cmp.Compare(a.Seq, b.Seq) })
	return events[:min(limit, len(events))]
}

// RecentEvents implements store.Store. The latest second may be missing in it.
func (s *Store) RecentEvents(ctx context.Context, kind greenroom.EventKind, limit int) ([]greenroom.Event, error) {
	if limit <= 0 {
		return nil, nil
	}
	found, _, err := s.look(ctx, byKind, partitionsOf(string(kind)), span{lowest, highest, true}, limit)
	if err != nil {
		return nil, fmt.Errorf("recent events: %w", err)
	}
	type known struct {
		greenroom.Event
		meeting string
	}
	var all []known
	for _, i := range found {
		var pack []greenroom.Event
		if err := store.Unmarshal([]byte(textOf(i, "doc")), &pack); err != nil {
			return nil, fmt.Errorf("recent events: %w", err)
		}
		for _, e := range pack {
			all = append(all, known{e, textOf(i, partition)})
		}
	}
	slices.SortFunc(all, func(a, b known) int {
		return cmp.Or(b.At.Compare(a.At), cmp.Compare(b.meeting, a.meeting), cmp.Compare(b.Seq, a.Seq))
	})
	out := make([]greenroom.Event, min(limit, len(all)))
	for i := range out {
		out[i] = all[i].Event
	}
	return out, nil
}

// List implements store.Store. It hands out nothing that is not so any more; what was saved within the last second may
// be missing in it, or stand where it stood.
func (s *Store) List(ctx context.Context, f store.Filter) ([]greenroom.Meeting, string, error) {
	where, err := spanOf(f)
	if err != nil {
		return nil, "", err
	}
	var partitions []string
	for _, state := range greenroom.States() {
		if f.State == "" || f.State == state {
			partitions = append(partitions, partitionsOf(string(state))...)
		}
	}
	var out []greenroom.Meeting
	for n := f.PageSize(); ; {
		entries, more, err := s.look(ctx, byStart, partitions, where, n-len(out))
		if err != nil {
			return nil, "", fmt.Errorf("list meetings: %w", err)
		}
		found, err := s.named(ctx, byStart, entries, func(now greenroom.State) bool { return f.State == "" || now == f.State })
		if err != nil {
			return nil, "", fmt.Errorf("list meetings: %w", err)
		}
		out = append(out, found...)
		if !more {
			return out, "", nil
		}
		last := textOf(entries[len(entries)-1], byStart.sort)
		if len(out) == n {
			at, id := placed(last)
			return out, store.Cursor{StartsAt: at, ID: id}.String(), nil
		}
		where = where.after(last)
	}
}

// Live implements store.Store. What has become live within the last second may be missing in it.
func (s *Store) Live(ctx context.Context, cursor string) ([]greenroom.Meeting, string, error) {
	where := span{ofMeeting, ofMeeting + highest, false}
	if cursor != "" {
		where = where.after(ofMeeting + cursor)
	}
	entries, more, err := s.look(ctx, byLive, partitionsOf(living), where, store.MaxLive)
	if err != nil {
		return nil, "", fmt.Errorf("list live meetings: %w", err)
	}
	next := ""
	if more {
		next = strings.TrimPrefix(textOf(entries[len(entries)-1], partition), ofMeeting)
	}
	out, err := s.named(ctx, byLive, entries, greenroom.State.Live)
	if err != nil {
		return nil, "", fmt.Errorf("list live meetings: %w", err)
	}
	return out, next, nil
}

// named reads the meetings that an index names, and returns those that still stand there and are in a wanted state.
func (s *Store) named(ctx context.Context, x index, entries []item, wanted func(greenroom.State) bool) ([]greenroom.Meeting, error) {
	confirmed, err := s.confirm(ctx, x, entries, "")
	if err != nil {
		return nil, err
	}
	out := make([]greenroom.Meeting, 0, len(confirmed))
	for _, i := range confirmed {
		m, h, err := meetingOf(i)
		if err != nil {
			return nil, err
		}
		s.heads.put(m.ID, h)
		if wanted(m.State()) {
			out = append(out, m)
		}
	}
	return out, nil
}

// spanOf is where the meetings of f stand by their start.
func spanOf(f store.Filter) (span, error) {
	where := span{lowest, highest, f.Newest}
	if !f.From.IsZero() {
		where.low = sortable(ceilMicro(f.From))
	}
	if !f.To.IsZero() {
		where.high = sortable(ceilMicro(f.To)-1) + highest
	}
	if f.Cursor == "" {
		return where, nil
	}
	c, err := store.ParseCursor(f.Cursor)
	if err == nil && !greenroom.ValidMeetingID(c.ID) {
		var e greenroom.InvalidError
		e.Add("cursor", "a cursor is what the page before gave as its next one; %.40q is not", f.Cursor)
		err = e.Err()
	}
	if err != nil {
		return where, err
	}
	return where.after(place(c.StartsAt, c.ID)), nil
}

// Due implements store.Store. What was saved within the last second may be missing in it.
func (s *Store) Due(ctx context.Context, before time.Time, limit int) ([]store.Wake, error) {
	where := span{lowest, sortable(ceilMicro(before)-1) + highest, false}
	var due []store.Wake
	for limit > len(due) {
		entries, more, err := s.look(ctx, byWake, partitionsOf(wakes), where, limit-len(due))
		if err == nil {
			entries2, err2 := s.confirm(ctx, byWake, entries, "pk, "+byWake.sort)
			for _, i := range entries2 {
				at, id := placed(textOf(i, byWake.sort))
				due = append(due, store.Wake{Meeting: id, At: time.UnixMicro(at).UTC()})
			}
			err = err2
		}
		if err != nil {
			return nil, fmt.Errorf("list what is due: %w", err)
		}
		if !more {
			break
		}
		where = where.after(textOf(entries[len(entries)-1], byWake.sort))
	}
	return due, nil
}

// ceilMicro is the first microsecond that is not before t.
func ceilMicro(t time.Time) int64 { return t.Add(time.Microsecond - 1).UnixMicro() }

// Setting implements store.Store.
func (s *Store) Setting(ctx context.Context, name, initial string) (string, error) {
	i := key(ofSetting+name, onlySort)
	found, err := s.get(ctx, i)
	if err == nil && found == nil {
		put := key(ofSetting+name, onlySort)
		put["value"] = text(initial)
		_, err = ask(ctx, s, s.db.PutItem, &dynamodb.PutItemInput{
			TableName: aws.String(s.Table), Item: put, ConditionExpression: aws.String("attribute_not_exists(" + partition + ")"),
		})
		if err == nil || errors.Is(err, errRefused) {
			found, err = s.get(ctx, i)
		}
	}
	if err != nil {
		return "", fmt.Errorf("setting %s: %w", name, err)
	}
	return textOf(found, "value"), nil
}
