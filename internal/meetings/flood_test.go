package meetings_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"greenroom"
	"greenroom/internal/meetings"
)

// TestOneLinkIsOneEntry: a right link that is used again and again from one address is one entry a minute, each use gets its token, and
// the next entry says how many there were.
func TestOneLinkIsOneEntry(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m, _, _ := b.ready()
	enter := func(client string) {
		t.Helper()
		st, err := b.Enter(t.Context(), m.ID, "teacher", m.Seat("teacher").Key, client)
		if err != nil || st.URL == "" {
			t.Fatalf("%+v, %v", st, err)
		}
	}
	for range 400 {
		enter("192.0.2.7")
	}
	if told := b.told(m.ID, greenroom.EventEntered); len(told) != 1 {
		t.Errorf("%d entries", len(told))
	}
	enter("192.0.2.8")
	told := b.told(m.ID, greenroom.EventEntered)
	if len(told) != 2 || !strings.Contains(told[1], "and 399 times more") {
		t.Errorf("%d entries: %v", len(told), told)
	}
}

// TestConcurrentEditsAllSucceed: changes that name no version never conflict with each other.
func TestConcurrentEditsAllSucceed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m, _, _ := b.ready()
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			title := fmt.Sprint("Title ", i)
			if _, err := b.Edit(t.Context(), m.ID, meetings.Edit{Title: &title}, 0); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}
