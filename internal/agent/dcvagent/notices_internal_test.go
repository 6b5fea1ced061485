package dcvagent

import (
	"testing"
	"time"
)

// Whoever comes with seven minutes left is told of them at once, and next at five.
func TestWarnedAt(t *testing.T) {
	t.Parallel()
	for left, want := range map[time.Duration]time.Duration{
		time.Hour: 0, 10*time.Minute + 1: 0, 10 * time.Minute: 10 * time.Minute, 7 * time.Minute: 10 * time.Minute, 5 * time.Minute: 5 * time.Minute,
		3 * time.Minute: 5 * time.Minute, time.Minute: time.Minute, time.Second: time.Minute, 0: 0, -time.Minute: 0,
	} {
		if got := warnedAt(left); got != want {
			t.Errorf("%s left: %s, want %s", left, got, want)
		}
	}
	end := time.Date(2026, 12, 1, 16, 0, 0, 0, time.UTC)
	if at, left, ok := nextMark(end, end.Add(-7*time.Minute), warnedAt(7*time.Minute)); !ok || left != 5*time.Minute || !at.Equal(end.Add(-5*time.Minute)) {
		t.Errorf("next at %s, %s left, %v", at, left, ok)
	}
}
