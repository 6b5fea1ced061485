// Package store is the contract of everything that keeps meetings. Its implementations are sqlstore (SQLite and PostgreSQL),
// dynamostore (DynamoDB) and memstore (in memory, for tests); all pass storetest. Packages below internal/app choose one.
package store

import (
	"context"
	"net/netip"
	"time"

	"greenroom"
)

// Store keeps meetings, their timelines and the wakes that move them.
//
// Every method returns errors that wrap greenroom's kinds; an error of no kind is transient. Values handed
// in and out are the caller's own: a store neither keeps nor returns memory that it still uses.
// A write that returned nil survives a kill and a power loss. Times come back in UTC, to the microsecond
// at least. All methods may be called at once from many goroutines.
type Store interface {
	// Create saves a new meeting with its first events and its wake, all or nothing, and returns it with
	// Rev 1. With an idempotency key that was used before for the same fingerprint it returns the meeting of
	// that first call, as it is now, and false; for another fingerprint it returns ErrConflict. Of many
	// callers with one key at once, exactly one creates. ErrConflict too if the id exists.
	Create(ctx context.Context, m greenroom.Meeting, events []greenroom.Event, idem Idempotency) (greenroom.Meeting, bool, error)

	// First returns the meeting that the idempotency key made, as it is now. ErrNotFound if the key made none;
	// ErrConflict if it was used for another fingerprint.
	First(ctx context.Context, idem Idempotency) (greenroom.Meeting, error)

	// Meeting returns one meeting. ErrNotFound if there is none.
	Meeting(ctx context.Context, id string) (greenroom.Meeting, error)

	// Update replaces m if the stored Rev is still m.Rev, appends events to its timeline and promises the
	// wake at m.WakeAt (none if zero), all or nothing, and returns m with Rev+1. ErrConflict if the Rev is
	// another; ErrNotFound if there is no such meeting.
	Update(ctx context.Context, m greenroom.Meeting, events []greenroom.Event) (greenroom.Meeting, error)

	// List returns meetings ordered by start, then id, and the cursor of the next page in the same order, "" at the end.
	// A cursor that no List returned is an InvalidError on the field "cursor".
	List(ctx context.Context, f Filter) ([]greenroom.Meeting, string, error)

	// Live returns the meetings that may have desktops (State.Live), 500 at a time, in the order of their ids, and the
	// cursor of the next page, "" at the end. It does not grow with the others. A meeting that is live all the while is
	// in exactly one page of a reading, whatever it becomes meanwhile; AllLive reads all of them.
	Live(ctx context.Context, cursor string) ([]greenroom.Meeting, string, error)

	// Due returns the open (not Closed) meetings with 0 < WakeAt < before, earliest first, at most limit.
	// It does not grow with meetings that are over.
	Due(ctx context.Context, before time.Time, limit int) ([]Wake, error)

	// Events returns a meeting's timeline after seq, in order, at most limit. ErrNotFound if no such meeting.
	Events(ctx context.Context, meetingID string, after int64, limit int) ([]greenroom.Event, error)

	// RecentEvents returns the latest events of a kind over all meetings, newest first, at most limit.
	RecentEvents(ctx context.Context, kind greenroom.EventKind, limit int) ([]greenroom.Event, error)

	// Setting returns the value stored under name; if there is none it stores and returns initial. Of many
	// callers at once, all get the same value.
	Setting(ctx context.Context, name, initial string) (string, error)

	// PutRecords and DeleteRecords keep the embedded zone's records, one address per name; Records returns all of them,
	// Record one, as it is now, or ErrNotFound.
	PutRecords(ctx context.Context, records []Record) error
	DeleteRecords(ctx context.Context, names []string) error
	Records(ctx context.Context) ([]Record, error)
	Record(ctx context.Context, name string) (Record, error)

	// PutText and DeleteText keep the texts that the embedded zone shows, each once; Texts returns those of a name, ordered.
	PutText(ctx context.Context, name, text string, at time.Time) error
	DeleteText(ctx context.Context, name, text string) error
	Texts(ctx context.Context, name string) ([]string, error)

	// Forget drops idempotency keys and texts older than before. Meetings stay.
	Forget(ctx context.Context, before time.Time) error

	// Ping reports whether the store can be read and written now.
	Ping(ctx context.Context) error
}

// MaxLive is how many meetings a page of Live has at most.
const MaxLive = 500

// AllLive calls f with each meeting that may have desktops; see Store.Live.
func AllLive(ctx context.Context, live func(ctx context.Context, cursor string) ([]greenroom.Meeting, string, error), f func(*greenroom.Meeting)) error {
	for cursor := ""; ; {
		page, next, err := live(ctx, cursor)
		if err != nil {
			return err
		}
		for i := range page {
			f(&page[i])
		}
		if cursor = next; cursor == "" {
			return nil
		}
	}
}

// Idempotency ties a request to the meeting it made. The zero value means no key was given.
type Idempotency struct {
	Key         string
	Fingerprint string // of the request, so that a key used for something else is noticed
	At          time.Time
}

// Filter selects meetings. Zero fields select everything.
type Filter struct {
	State    greenroom.State
	From, To time.Time // StartsAt in [From, To)
	Newest   bool      // the latest start first
	Limit    int       // 1 to 500; 0 is 50
	Cursor   string
}

// Wake is a promise: Advance is called for Meeting at At or soon after.
type Wake struct {
	Meeting string
	At      time.Time
}

// Record is one name of the embedded zone.
type Record struct {
	Name     string     // without the final dot
	Address  netip.Addr // IPv4; not valid if there is none
	Address6 netip.Addr // IPv6; not valid if there is none
	Owner    string     // the owner mark
}
