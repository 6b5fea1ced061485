package dynamostore

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"greenroom"
	"greenroom/internal/store"
)

// item is a row of the table.
type item = map[string]types.AttributeValue

// Partitions begin with what they hold; meetingSort is a meeting's own item among those of its partition.
const (
	ofMeeting   = "M#"
	ofKey       = "K#"
	ofInstance  = "I#"
	ofSetting   = "S#"
	ofRecords   = "R"
	ofPulse     = "P"
	meetingSort = "m"
	eventSort   = "e#"
	onlySort    = "-" // where there is one item in a partition
)

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func number(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

func key(pk, sk string) item { return item{partition: text(pk), sorting: text(sk)} }

func meetingKey(id string) item { return key(ofMeeting+id, meetingSort) }

// idempotencyKey has one length, whatever clients send.
func idempotencyKey(k string) item {
	sum := sha256.Sum256([]byte(k))
	return key(ofKey+hex.EncodeToString(sum[:]), onlySort)
}

func textOf(i item, name string) string {
	if v, ok := i[name].(*types.AttributeValueMemberS); ok {
		return v.Value
	}
	return ""
}

func numberOf(i item, name string) int64 {
	if v, ok := i[name].(*types.AttributeValueMemberN); ok {
		n, _ := strconv.ParseInt(v.Value, 10, 64)
		return n
	}
	return 0
}

// shards is over how many partitions each part of an index is spread, so that the saves of a full hour do not all meet
// in one, which takes 1,000 writes a second.
const shards = 4

func sharded(what, id string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id))
	return what + "#" + strconv.Itoa(int(h.Sum32()%shards))
}

// partitionsOf are the partitions of an index that hold what.
func partitionsOf(what string) []string {
	out := make([]string, shards)
	for i := range out {
		out[i] = what + "#" + strconv.Itoa(i)
	}
	return out
}

// wakes is what the partitions of byWake hold, living those of byLive.
const (
	wakes  = "open"
	living = "live"
)

// place is where something of the meeting is in an index: by time, in microseconds, then by id. Texts sort as times do.
func place(micros int64, id string) string { return sortable(micros) + id }

const timeLength = 16

func sortable(n int64) string { return fmt.Sprintf("%016x", uint64(n)^1<<63) }

// placed reads what place wrote.
func placed(at string) (micros int64, id string) {
	n, _ := strconv.ParseUint(at[:min(timeLength, len(at))], 16, 64)
	return int64(n ^ 1<<63), at[min(timeLength, len(at)):]
}

// maxItem is how large an item may become, in bytes. DynamoDB takes 400 KB, with the names and the rest of the attributes.
const maxItem = 390_000

// MaxSeats is how many seats a meeting can have in an item, each with a desktop that has as many tokens as it may.
const MaxSeats = 64

// maxSaves is how many marks of saves a meeting keeps.
const maxSaves = 8

// save is one save of a meeting: its items, and its mark, by which it is recognised when its answer is lost.
type save struct {
	meeting greenroom.Meeting // as a reader would see it
	head    head
	mark    string
	put     item
	events  []item
}

// newSave prepares the save of m after the revision of before.
func (s *Store) newSave(m greenroom.Meeting, before head, events []greenroom.Event) (save, error) {
	v := save{mark: rand.Text()[:12]}
	m.Rev = before.rev + 1
	doc, err := store.Marshal(m)
	if err != nil {
		return v, err
	}
	if err := store.Unmarshal(doc, &v.meeting); err != nil {
		return v, err
	}
	saves := append([]string{v.mark}, strings.Fields(before.saves)...)
	v.head = head{rev: m.Rev, seq: before.seq + int64(len(events)), saves: strings.Join(saves[:min(len(saves), maxSaves)], " "), instances: instancesOf(&v.meeting)}
	v.put = meetingKey(m.ID)
	v.put["doc"], v.put["rev"], v.put["seq"], v.put["saves"] = text(string(doc)), number(v.head.rev), number(v.head.seq), text(v.head.saves)
	v.put[byStart.hash], v.put[byStart.sort] = text(sharded(string(v.meeting.State()), m.ID)), text(place(v.meeting.StartsAt.UnixMicro(), m.ID))
	if !v.meeting.Closed && !v.meeting.WakeAt.IsZero() {
		v.put[byWake.hash], v.put[byWake.sort] = text(sharded(wakes, m.ID)), text(place(v.meeting.WakeAt.UnixMicro(), m.ID))
	}
	if v.meeting.State().Live() {
		v.put[byLive.hash] = text(sharded(living, m.ID))
	}
	if s.KeepHistory > 0 && v.meeting.Closed {
		v.put[expires] = s.forgottenAt(v.meeting.EndsAt)
	}
	v.events, err = s.packs(&v, before.seq, events)
	return v, cmp.Or(err, fits(len(doc)))
}

// packs puts the events of a save into items, one for each kind: so a save is a bounded number of items, however many
// seats it tells of. They sort by the last event of their save.
func (s *Store) packs(v *save, seq int64, events []greenroom.Event) ([]item, error) {
	byKinds := map[greenroom.EventKind][]greenroom.Event{}
	var order []greenroom.EventKind
	for _, e := range events {
		seq++
		e.Seq = seq
		if byKinds[e.Kind] == nil {
			order = append(order, e.Kind)
		}
		byKinds[e.Kind] = append(byKinds[e.Kind], e)
	}
	id := v.meeting.ID
	var out []item
	for _, kind := range order {
		pack := byKinds[kind]
		doc, err := store.Marshal(pack)
		if err == nil {
			err = fits(len(doc))
		}
		if err != nil {
			return nil, err
		}
		newest := slices.MaxFunc(pack, func(a, b greenroom.Event) int { return a.At.Compare(b.At) }).At
		i := key(ofMeeting+id, eventSort+sortable(v.head.seq)+"#"+string(kind))
		i["doc"] = text(string(doc))
		i[byKind.hash], i[byKind.sort] = text(sharded(string(kind), id)), text(place(newest.UnixMicro(), id+sortable(pack[0].Seq)))
		if s.KeepHistory > 0 {
			i[expires] = s.forgottenAt(later(v.meeting.EndsAt, newest))
		}
		out = append(out, i)
	}
	return out, nil
}

func (s *Store) forgottenAt(end time.Time) types.AttributeValue {
	return number(end.Add(s.KeepHistory).Unix())
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func fits(size int) error {
	if size <= maxItem {
		return nil
	}
	return &greenroom.UserError{
		Message: fmt.Sprintf("The meeting has grown to %d KB, and the table takes at most %d KB of one: take seats off it.", size/1000, maxItem/1000),
		Cause:   greenroom.ErrPermanent,
	}
}

// meetingOf reads a meeting's item.
func meetingOf(i item) (greenroom.Meeting, head, error) {
	var m greenroom.Meeting
	if err := store.Unmarshal([]byte(textOf(i, "doc")), &m); err != nil {
		return m, head{}, fmt.Errorf("the item %s: %w", textOf(i, partition), err)
	}
	return m, head{rev: numberOf(i, "rev"), seq: numberOf(i, "seq"), saves: textOf(i, "saves"), instances: instancesOf(&m)}, nil
}

func instancesOf(m *greenroom.Meeting) []string {
	var out []string
	for i := range m.Seats {
		if id := m.Seats[i].Desktop.InstanceID; id != "" {
			out = append(out, id)
		}
	}
	return out
}
