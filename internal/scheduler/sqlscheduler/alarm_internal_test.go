package sqlscheduler

import (
	"testing"
	"time"

	"greenroom/internal/store"
)

func TestAlarmHoldsOnlyWhatIsNear(t *testing.T) {
	t.Parallel()
	a, now := newAlarm(), time.Now()
	a.read(func() time.Time { return now })
	expect := func(what string, want int) {
		t.Helper()
		if len(a.entries) != want || len(a.queue) != want {
			t.Errorf("%s: %d entries, %d in the queue, want %d", what, len(a.entries), len(a.queue), want)
		}
	}
	a.promised(store.Wake{Meeting: "far", At: now.Add(horizon + time.Second)}, 1)
	expect("a far wake", 0)
	a.promised(store.Wake{Meeting: "near", At: now.Add(time.Second)}, 1)
	expect("a near wake", 1)
	a.promised(store.Wake{Meeting: "near", At: now.Add(24 * time.Hour)}, 1)
	expect("put off", 0)

	a.kick("near")
	if calls, _ := a.take(10); len(calls) != 1 {
		t.Fatalf("calls are %v", calls)
	}
	a.finished("near", false)
	expect("a failed pass", 1)
	now = now.Add(time.Second)
	calls, _ := a.take(10)
	if len(calls) != 1 || !calls[0].wake.IsZero() {
		t.Fatalf("calls are %v, want a retry", calls)
	}
	a.finished("near", true)
	expect("a pass that went well", 0)
}

func TestReminderDoesNotOverruleASave(t *testing.T) {
	t.Parallel()
	a, now := newAlarm(), time.Now()
	a.read(func() time.Time { return now })
	a.promised(store.Wake{Meeting: "m", At: now.Add(time.Minute)}, 1)
	a.remind(store.Wake{Meeting: "m", At: now.Add(-time.Minute)}) // read before the save
	if calls, next := a.take(10); len(calls) != 0 || next != time.Minute {
		t.Errorf("calls are %v, next at %s", calls, next)
	}
}
