// Package storetest is the conformance suite of store.Store. The names of its cases are promises.
package storetest

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"greenroom"
	"greenroom/internal/store"
)

// Run holds the stores that open returns to the contract. Each case gets an empty one of its own, which open
// closes by t.Cleanup.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	t.Helper()
	for name, promise := range map[string]func(t *testing.T, s store.Store){
		"CreateThenGet":                            createThenGet,
		"CreateTwiceConflicts":                     createTwiceConflicts,
		"IdempotencyKeyReturnsTheFirst":            idempotencyKeyReturnsTheFirst,
		"IdempotencyKeyForAnotherRequestConflicts": idempotencyKeyForAnotherRequestConflicts,
		"FailedCreateLeavesTheKeyFree":             failedCreateLeavesTheKeyFree,
		"ManyCallersOneKeyOneMeeting":              manyCallersOneKeyOneMeeting,
		"ForgetDropsKeysOnly":                      forgetDropsKeysOnly,
		"MissingIsNotFound":                        missingIsNotFound,
		"UpdateThenGet":                            updateThenGet,
		"StaleUpdateConflicts":                     staleUpdateConflicts,
		"OneOfManyUpdatesWins":                     oneOfManyUpdatesWins,
		"ReadsSeeEveryAnsweredWrite":               readsSeeEveryAnsweredWrite,
		"ValuesAreTheCallersOwn":                   valuesAreTheCallersOwn,
		"TimesAreUTC":                              timesAreUTC,
		"CancelledContextWritesNothing":            cancelledContextWritesNothing,
		"EventsInOrderWithSeq":                     eventsInOrderWithSeq,
		"RecentEventsNewestFirst":                  recentEventsNewestFirst,
		"DueIsSortedAndBounded":                    dueIsSortedAndBounded,
		"ClosedIsNotDue":                           closedIsNotDue,
		"DueFollowsEverySave":                      dueFollowsEverySave,
		"ListPagesWithoutGapsOrDoubles":            listPagesWithoutGapsOrDoubles,
		"ListByState":                              listByState,
		"Live":                                     live,
		"LiveMissesNobody":                         liveMissesNobody,
		"ListFromTo":                               listFromTo,
		"ListIsBounded":                            listIsBounded,
		"BadCursorIsInvalid":                       badCursorIsInvalid,
		"SettingIsFirstWriterWins":                 settingIsFirstWriterWins,
		"RecordsRoundTrip":                         recordsRoundTrip,
		"RecordIsAsItIsNow":                        recordIsAsItIsNow,
		"TextsComeAndGo":                           textsComeAndGo,
		"PingAnswers":                              pingAnswers,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			promise(t, open(t))
		})
	}
}

// start is when the meetings of the suite begin, unless a case says otherwise.
var start = time.Date(2026, 12, 1, 15, 0, 0, 123456000, time.UTC)

// Meeting returns a valid meeting that uses every corner of the aggregate and starts at the given time.
func Meeting(startsAt time.Time) greenroom.Meeting {
	b := greenroom.DefaultBlueprint()
	m := greenroom.Meeting{
		ID: greenroom.NewMeetingID(), Version: 1, Title: "Algebra – Ω", StartsAt: startsAt, EndsAt: startsAt.Add(time.Hour),
		TimeZone: "America/Vancouver", Blueprint: b, CreatedAt: startsAt.Add(-time.Hour), WakeAt: startsAt.Add(-10 * time.Minute),
	}
	for _, role := range b.Seats {
		m.Seats = append(m.Seats, greenroom.Seat{
			ID: role, Role: role, Name: "Somebody", Email: role + "@example.com", Key: greenroom.NewSecret(),
			Desktop:     greenroom.Desktop{Phase: greenroom.Planned, Attempt: 1, Timings: map[greenroom.Phase]time.Time{greenroom.Planned: startsAt.Add(-time.Hour)}},
			SessionData: &greenroom.SessionData{URL: "s3://bucket/key", At: startsAt},
		})
	}
	d := &m.Seats[0].Desktop
	d.Tokens = []greenroom.Token{{Hash: greenroom.HashSecret("x"), ExpiresAt: startsAt.Add(time.Minute)}}
	d.Proof = &greenroom.Proof{OK: true, At: startsAt, Steps: []greenroom.ProofStep{{Name: "dns", OK: true, Took: greenroom.Duration(time.Second)}}}
	return m
}

func event(kind greenroom.EventKind, at time.Time) greenroom.Event {
	return greenroom.Event{At: at, Kind: kind, Seat: "teacher", Message: "something happened", Data: map[string]string{"why": "because"}}
}

func create(t testing.TB, s store.Store, m greenroom.Meeting, events ...greenroom.Event) greenroom.Meeting {
	t.Helper()
	created, isNew, err := s.Create(t.Context(), m, events, store.Idempotency{})
	if err != nil || !isNew {
		t.Fatalf("create: new %v, %v", isNew, err)
	}
	return created
}

func update(t testing.TB, s store.Store, m greenroom.Meeting, events ...greenroom.Event) greenroom.Meeting {
	t.Helper()
	updated, err := s.Update(t.Context(), m, events)
	if err != nil {
		t.Fatalf("update: %v", err)
	}
	return updated
}

func get(t testing.TB, s store.Store, id string) greenroom.Meeting {
	t.Helper()
	m, err := s.Meeting(t.Context(), id)
	if err != nil {
		t.Fatalf("get: %v", err)
	}
	return m
}

func same(t testing.TB, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func wantKind(t testing.TB, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("error is %v, want one of kind %q", err, kind)
	}
}

// crowd runs f in n goroutines at once.
func crowd(n int, f func(i int)) {
	var wg sync.WaitGroup
	gate := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-gate
			f(i)
		})
	}
	close(gate)
	wg.Wait()
}
