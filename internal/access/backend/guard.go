package backend

import (
	"context"
	"errors"
	"sync"
	"time"

	"greenroom"
	"greenroom/internal/meetings"
)

// How a Guard looks.
const (
	lookSoon = 2 * time.Second  // between two looks, where nothing tells of changes
	lookLate = 10 * time.Second // the same, where changes are told
	lookTime = 5 * time.Second  // that one look may take
	politely = time.Second      // that the desktop's agent has to close a session itself, and to say why
)

// Guard cuts sessions with desktops whose participant may no longer be there: the seat's link was replaced, the seat was taken off,
// the meeting or the desktop has ended. It looks once for all sessions of a desktop.
type Guard struct {
	Way     func(ctx context.Context, hostname string) (meetings.Way, error)
	Changes func(ctx context.Context, meeting string) <-chan struct{} // tells that a meeting changed; may be nil

	mu    sync.Mutex
	hosts map[string]*guarded
}

// guarded are the sessions with one desktop.
type guarded struct {
	sessions map[*admitted]struct{}
	look     chan struct{}
	stop     context.CancelFunc
}

type admitted struct {
	way meetings.Way
	cut func()
}

// Watch has a session cut when its way no longer leads to the desktop. The caller calls left when it has ended.
func (g *Guard) Watch(way meetings.Way, cut func()) (left func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	h := g.hosts[way.Hostname]
	if h == nil {
		ctx, stop := context.WithCancel(context.Background())
		h = &guarded{sessions: map[*admitted]struct{}{}, look: make(chan struct{}, 1), stop: stop}
		if g.hosts == nil {
			g.hosts = map[string]*guarded{}
		}
		g.hosts[way.Hostname] = h
		go g.run(ctx, h, way)
	}
	one := &admitted{way, cut}
	h.sessions[one] = struct{}{}
	select {
	case h.look <- struct{}{}: // it may have changed since the way was looked up
	default:
	}
	return func() { g.leave(way.Hostname, h, one) }
}

func (g *Guard) leave(hostname string, h *guarded, one *admitted) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(h.sessions, one)
	if len(h.sessions) == 0 && g.hosts[hostname] == h {
		delete(g.hosts, hostname)
		h.stop()
	}
}

// run looks at the desktop until it has no session any more.
func (g *Guard) run(ctx context.Context, h *guarded, way meetings.Way) {
	every := lookSoon
	var changes <-chan struct{}
	if g.Changes != nil {
		changes, every = g.Changes(ctx, way.Meeting()), lookLate
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.look:
		case <-tick.C:
		case _, open := <-changes:
			if !open {
				changes = nil
			}
		}
		g.check(ctx, h, way.Hostname)
	}
}

// check has those cut whose way no longer leads there. What cannot be looked up just now is left alone.
func (g *Guard) check(ctx context.Context, h *guarded, hostname string) {
	look, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	now, err := g.Way(look, hostname)
	if err != nil && !errors.Is(err, greenroom.ErrNotFound) {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for one := range h.sessions {
		if !one.way.Leads(now) {
			delete(h.sessions, one)
			time.AfterFunc(politely, one.cut)
		}
	}
}
