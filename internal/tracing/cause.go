package tracing

import (
	"context"
	"sync"

	"go.opentelemetry.io/otel/trace"

	"greenroom"
	"greenroom/internal/store"
)

// maxCauses bounds the meetings whose next pass is known to be a request's.
const maxCauses = 10_000

// causes are the requests that have saved a meeting whose pass is still to come.
type causes struct {
	mu  sync.Mutex
	all map[string]trace.SpanContext
}

func (c *causes) put(ctx context.Context, id string) {
	span := trace.SpanContextFromContext(ctx)
	if !span.IsValid() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all == nil || len(c.all) >= maxCauses { // their passes are others': replicas have them
		c.all = map[string]trace.SpanContext{}
	}
	c.all[id] = span
}

func (c *causes) take(id string) (trace.SpanContext, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	span, ok := c.all[id]
	delete(c.all, id)
	return span, ok
}

// Store is the store as requests use it: the pass that follows a save belongs to the request's trace.
func (t *Tracing) Store(s store.Store) store.Store {
	if t == nil {
		return s
	}
	return causing{s, &t.causes}
}

type causing struct {
	store.Store
	causes *causes
}

// The cause is noted before the save, because the pass may begin before the save has returned.

func (c causing) Create(ctx context.Context, m greenroom.Meeting, events []greenroom.Event, idem store.Idempotency) (greenroom.Meeting, bool, error) {
	c.causes.put(ctx, m.ID)
	return c.Store.Create(ctx, m, events, idem)
}

func (c causing) Update(ctx context.Context, m greenroom.Meeting, events []greenroom.Event) (greenroom.Meeting, error) {
	c.causes.put(ctx, m.ID)
	return c.Store.Update(ctx, m, events)
}
