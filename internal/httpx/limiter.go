package httpx

import (
	"container/list"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxKeys bounds the memory of a Limiter; the key that was quiet longest is forgotten first.
const maxKeys = 16384

// Limiter allows each key so many events in a time, in bounded memory.
type Limiter struct {
	limit rate.Limit
	burst int

	mu    sync.Mutex
	keys  map[string]*list.Element
	order *list.List // of *bucket, the most recent first
}

type bucket struct {
	key    string
	tokens *rate.Limiter
}

// NewLimiter allows burst events at once for each key, and one more in every interval.
func NewLimiter(every time.Duration, burst int) *Limiter {
	return &Limiter{limit: rate.Every(every), burst: burst, keys: map[string]*list.Element{}, order: list.New()}
}

// Allow spends one event of key. When none is left it reports after how long there is one again.
func (l *Limiter) Allow(key string) (time.Duration, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.bucket(key)
	r := b.tokens.Reserve()
	if wait := r.Delay(); wait > 0 {
		r.Cancel()
		return wait, false
	}
	return 0, true
}

// bucket finds or makes the bucket of key; l.mu is held.
func (l *Limiter) bucket(key string) *bucket {
	if e, known := l.keys[key]; known {
		l.order.MoveToFront(e)
		return e.Value.(*bucket)
	}
	if l.order.Len() >= maxKeys {
		oldest := l.order.Back()
		l.order.Remove(oldest)
		delete(l.keys, oldest.Value.(*bucket).key)
	}
	b := &bucket{key: key, tokens: rate.NewLimiter(l.limit, l.burst)}
	l.keys[key] = l.order.PushFront(b)
	return b
}
