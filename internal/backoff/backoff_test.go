package backoff_test

import (
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"greenroom/internal/backoff"
)

func TestAfter(t *testing.T) {
	t.Parallel()
	s := backoff.Schedule{First: 100 * time.Millisecond, Most: time.Second}
	for earlier, want := range map[int]time.Duration{
		-1: 100 * time.Millisecond, 0: 100 * time.Millisecond, 1: 200 * time.Millisecond, 3: 800 * time.Millisecond,
		4: time.Second, 5: time.Second, 1000: time.Second, math.MaxInt: time.Second,
	} {
		if got := s.After(earlier); got != want {
			t.Errorf("after %d pauses: %s, want %s", earlier, got, want)
		}
	}
	if got := (backoff.Schedule{First: time.Second, Most: math.MaxInt64}).After(1000); got != math.MaxInt64 {
		t.Errorf("the longest pause there is became %s", got)
	}
	if got := (backoff.Schedule{First: time.Minute, Most: time.Minute}).After(7); got != time.Minute {
		t.Errorf("a constant pause became %s", got)
	}
}

func TestSpread(t *testing.T) {
	t.Parallel()
	s := backoff.Schedule{First: 100 * time.Millisecond, Most: time.Second}
	different := map[time.Duration]bool{}
	for range 1000 {
		d, err := s.Delay(2, nil)
		if err != nil || d < 200*time.Millisecond || d > 400*time.Millisecond {
			t.Fatalf("pause %s, %v, want from 200ms to 400ms", d, err)
		}
		different[d] = true
	}
	if len(different) < 100 {
		t.Errorf("1000 pauses have %d lengths only: who failed together comes back together", len(different))
	}
	if d := (backoff.Schedule{First: 1, Most: 1}).Spread(0); d != 1 {
		t.Errorf("the shortest pause became %d ns", d)
	}
}

func TestPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := backoff.Every(time.Second, 4*time.Second)
		for _, most := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 4 * time.Second} {
			waited(t, &p, most)
		}
		p.Reset()
		waited(t, &p, time.Second)
	})
}

func waited(t *testing.T, p *backoff.Pause, most time.Duration) {
	t.Helper()
	began := time.Now()
	if !p.Wait(t.Context()) {
		t.Fatal("it was interrupted")
	}
	if took := time.Since(began); took < most/2 || took > most {
		t.Errorf("waited %s, want from %s to %s", took, most/2, most)
	}
}

func TestPauseEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		p, began := backoff.Every(time.Hour, time.Hour), time.Now()
		if p.Wait(ctx) {
			t.Error("it did not say that its context ended")
		}
		if took := time.Since(began); took != 100*time.Millisecond {
			t.Errorf("it waited %s", took)
		}
	})
}
