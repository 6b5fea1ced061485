package httpx_test

import (
	"fmt"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"greenroom/internal/httpx"
)

func TestLimiter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := httpx.NewLimiter(time.Second, 2)
		spend := func(key string, want bool) time.Duration {
			t.Helper()
			wait, ok := l.Allow(key)
			if ok != want {
				t.Fatalf("%s: %v after %s", key, ok, wait)
			}
			return wait
		}
		spend("a", true)
		spend("a", true)
		if wait := spend("a", false); wait <= 0 || wait > time.Second {
			t.Errorf("wait is %s", wait)
		}
		spend("b", true) // each key by itself
		time.Sleep(1100 * time.Millisecond)
		spend("a", true)
		spend("a", false)
	})
}

func TestLimiterMemoryIsBounded(t *testing.T) {
	t.Parallel()
	l := httpx.NewLimiter(time.Hour, 1)
	l.Allow("first")
	for i := range 20000 {
		l.Allow(fmt.Sprint(i))
	}
	_, last := l.Allow("19999")
	if _, first := l.Allow("first"); !first || last {
		t.Error("not the oldest was forgotten")
	}
}

func TestClients(t *testing.T) {
	t.Parallel()
	for remote, want := range map[string][2]string{
		"192.0.2.7:1234":          {"192.0.2.7", "192.0.2.7"},
		"[::ffff:192.0.2.7]:1234": {"192.0.2.7", "192.0.2.7"},
		"[2001:db8::7]:1234":      {"2001:db8::7", "2001:db8::/64"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = remote
		r.Header.Set("X-Forwarded-For", "198.51.100.1")
		if got := [2]string{httpx.ClientAddr(r), httpx.ClientKey(r)}; got != want {
			t.Errorf("%s: %v, want %v", remote, got, want)
		}
	}
}
