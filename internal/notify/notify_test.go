package notify_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"greenroom/internal/notify"
)

// hinted reports whether a hint waits in ch, or that it is closed.
func hinted(ch <-chan struct{}) string {
	select {
	case _, open := <-ch:
		if !open {
			return "closed"
		}
		return "hint"
	default:
		return "quiet"
	}
}

func want(t *testing.T, ch <-chan struct{}, what string) {
	t.Helper()
	if got := hinted(ch); got != what {
		t.Errorf("%s, want %s", got, what)
	}
}

func TestJournal(t *testing.T) {
	t.Parallel()

	t.Run("HintsForAllReachEverybody", func(t *testing.T) {
		t.Parallel()
		j := notify.New()
		one, all := j.Subscribe(t.Context(), "one"), j.Subscribe(t.Context(), "")
		j.PublishAll()
		want(t, one, "hint")
		want(t, all, "hint")
	})

	t.Run("HintsReachWhomTheyConcern", func(t *testing.T) {
		t.Parallel()
		j := notify.New()
		one, other, all := j.Subscribe(t.Context(), "one"), j.Subscribe(t.Context(), "other"), j.Subscribe(t.Context(), "")
		j.Publish("one")
		want(t, one, "hint")
		want(t, other, "quiet")
		want(t, all, "hint")
	})

	t.Run("ASlowSubscriberGetsOneHintForMany", func(t *testing.T) {
		t.Parallel()
		j := notify.New()
		ch := j.Subscribe(t.Context(), "one")
		for range 1000 {
			j.Publish("one")
		}
		want(t, ch, "hint")
		want(t, ch, "quiet")
		j.Publish("one")
		want(t, ch, "hint")
	})

	t.Run("ChannelsCloseWithTheirContextOrTheJournal", func(t *testing.T) {
		t.Parallel()
		j := notify.New()
		ctx, cancel := context.WithCancel(t.Context())
		left, stays := j.Subscribe(ctx, "one"), j.Subscribe(t.Context(), "one")
		cancel()
		select {
		case <-left:
		case <-time.After(10 * time.Second):
			t.Fatal("the channel stays open")
		}
		j.Publish("one")
		want(t, stays, "hint")
		j.Close()
		j.Close()
		want(t, stays, "closed")
		want(t, j.Subscribe(t.Context(), "one"), "closed")
		j.Publish("one")
	})

	t.Run("ManyAtOnce", func(t *testing.T) {
		t.Parallel()
		j := notify.New()
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				id := fmt.Sprint(i % 5)
				ch := j.Subscribe(ctx, id)
				j.Publish(id)
				<-ch
			})
		}
		wg.Wait()
		j.Close()
	})
}
