package sqlstore

import (
	"container/list"
	"sync"

	"greenroom"
)

// cachedMeetings bounds the cache: some 5 KiB each.
const cachedMeetings = 4096

// cache holds the meetings used last, as they are in the database. It is right because one process owns the
// database, because every commit is told before the saver is answered, and because what a reader found is
// dropped if anything was committed since the reader began to look. A nil cache holds nothing.
type cache struct {
	mu      sync.Mutex
	max     int
	items   map[string]*list.Element // of greenroom.Meeting
	order   *list.List               // latest use first
	commits uint64
}

func newCache(size int) *cache {
	return &cache{max: size, items: map[string]*list.Element{}, order: list.New()}
}

// get returns a copy of the meeting, or false and the ticket that fill needs.
func (c *cache) get(id string) (greenroom.Meeting, uint64, bool) {
	if c == nil {
		return greenroom.Meeting{}, 0, false
	}
	c.mu.Lock()
	e, ok := c.items[id]
	if !ok {
		defer c.mu.Unlock()
		return greenroom.Meeting{}, c.commits, false
	}
	c.order.MoveToFront(e)
	m := e.Value.(greenroom.Meeting)
	c.mu.Unlock()
	return m.Clone(), 0, true // a value in the cache is replaced, never changed: it can be copied unlocked
}

// fill adds what a reader found.
func (c *cache) fill(m greenroom.Meeting, ticket uint64) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.commits == ticket {
		c.put(m)
	}
}

// committed takes over what a transaction saved, in order.
func (c *cache) committed(saved []greenroom.Meeting) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.commits++
	for _, m := range saved {
		c.put(m)
	}
}

// doubted drops what a transaction may or may not have saved.
func (c *cache) doubted(saved []greenroom.Meeting) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.commits++
	for _, m := range saved {
		if e, ok := c.items[m.ID]; ok {
			c.order.Remove(e)
			delete(c.items, m.ID)
		}
	}
}

func (c *cache) put(m greenroom.Meeting) {
	if e, ok := c.items[m.ID]; ok {
		e.Value = m
		c.order.MoveToFront(e)
		return
	}
	c.items[m.ID] = c.order.PushFront(m)
	if c.order.Len() > c.max {
		oldest := c.order.Back()
		c.order.Remove(oldest)
		delete(c.items, oldest.Value.(greenroom.Meeting).ID)
	}
}
