package cloudflare_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"greenroom/internal/cloudflare"
)

func get(ctx context.Context, c *cloudflare.Client) error {
	_, err := c.TokenStatus(ctx)
	return err
}

func post(ctx context.Context, c *cloudflare.Client) error {
	return c.AddRecord(ctx, "z", cloudflare.Record{Name: "a"})
}

func remove(ctx context.Context, c *cloudflare.Client) error { return c.DeleteRecord(ctx, "z", "r") }

func TestSecondAttempt(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		call   func(context.Context, *cloudflare.Client) error
		status int
		header string
		took   time.Duration // when it is made again
		again  bool
	}{
		"out of order":                      {get, 503, "", 300 * time.Millisecond, true},
		"out of order for a second":         {get, 502, "Retry-After: 1", time.Second, true},
		"out of order for long":             {get, 503, "Retry-After: 60", 0, false},
		"out of order while removing":       {remove, 500, "", 300 * time.Millisecond, true},
		"out of order while changing":       {post, 500, "", 0, false},
		"changing is told to come back":     {post, 503, "Retry-After: 1", 0, false},
		"too many for a moment":             {post, 429, "Retry-After: 2", 2 * time.Second, true},
		"too many for long":                 {get, 429, "Retry-After: 3", 0, false},
		"too many and nobody says how long": {get, 429, "", 0, false},
		"refused":                           {get, 403, "Retry-After: 1", 0, false},
		"not found":                         {remove, 404, "", 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				calls, turns := 0, 0
				o := options(func(*http.Request) *http.Response {
					if calls++; calls > 1 {
						return good("{}")
					}
					return reply(test.status, test.header, "{}")
				})
				o.Turn = func(context.Context) error { turns++; return nil }
				began := time.Now()
				err := test.call(t.Context(), cloudflare.New(o))
				if (err == nil) != test.again || calls != turns || (calls == 2) != test.again || time.Since(began) != test.took {
					t.Errorf("%d calls, %d turns, %v after %v", calls, turns, err, time.Since(began))
				}
			})
		})
	}
}

func TestSecondAttemptIsTheLast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		c := cloudflare.New(options(func(*http.Request) *http.Response { calls++; return reply(503, "Retry-After: 0", "") }))
		e, ok := errors.AsType[*cloudflare.Error](get(t.Context(), c))
		if !ok || e.Status != 503 || calls != 2 {
			t.Errorf("%+v after %d calls", e, calls)
		}
	})
}

func TestPauseEndsWithItsContext(t *testing.T) {
	t.Parallel()
	for name, ends := range map[string]func(context.Context) (context.Context, context.CancelFunc){
		"deadline": func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, time.Second)
		},
		"cancelled": func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(time.Second, cancel)
			return ctx, cancel
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				calls := 0
				c := cloudflare.New(options(func(*http.Request) *http.Response { calls++; return reply(503, "Retry-After: 2", "") }))
				ctx, cancel := ends(t.Context())
				defer cancel()
				began := time.Now()
				if e, ok := errors.AsType[*cloudflare.Error](get(ctx, c)); !ok || e.Status != 503 || calls != 1 || time.Since(began) > time.Second {
					t.Errorf("%+v after %d calls and %v", e, calls, time.Since(began))
				}
			})
		})
	}
}

func TestHangingServerIsLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := cloudflare.New(cloudflare.Options{BaseURL: "http://api.test", HTTP: &http.Client{Transport: hanging{}}, Token: func(context.Context) (string, error) { return token, nil }})
		began := time.Now()
		if err := get(t.Context(), c); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 2*time.Minute {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

type hanging struct{}

func (hanging) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}
