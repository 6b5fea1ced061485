package meetings

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"greenroom"
	"greenroom/internal/store"
)

const (
	maxNames = 1 << 16                // remembered; more are read again
	readGap  = 500 * time.Millisecond // between two readings of all desktops, whoever asks for what
)

// names finds a desktop by its host name. It remembers where a name was, and never what: whoever asks looks at the
// meeting itself.
type names struct {
	store  keeper
	now    func() time.Time
	flight singleflight.Group

	mu   sync.Mutex
	at   map[string]greenroom.Handle
	read time.Time // when the last reading of all began
}

func newNames(s keeper, now func() time.Time) *names {
	return &names{store: s, now: now, at: map[string]greenroom.Handle{}}
}

// put remembers a name.
func (n *names) put(hostname string, h greenroom.Handle) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.at) >= maxNames {
		clear(n.at)
	}
	n.at[hostname] = h
}

// find returns whose name it was when last seen, after reading all if it was not seen yet. Many who ask in vain are one
// reading.
func (n *names) find(ctx context.Context, hostname string) (greenroom.Handle, error) {
	if h, ok := n.known(hostname); ok {
		return h, nil
	}
	done := n.flight.DoChan("", func() (any, error) { return nil, n.readAll(context.WithoutCancel(ctx)) })
	select {
	case <-ctx.Done():
		return greenroom.Handle{}, ctx.Err()
	case r := <-done:
		if r.Err != nil {
			return greenroom.Handle{}, fmt.Errorf("look for desktop %s: %w", hostname, r.Err)
		}
	}
	if h, ok := n.known(hostname); ok {
		return h, nil
	}
	return greenroom.Handle{}, fmt.Errorf("desktop %w", greenroom.ErrNotFound)
}

func (n *names) known(hostname string) (greenroom.Handle, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	h, ok := n.at[hostname]
	return h, ok
}

// readAll reads the names of all desktops there are. It does not grow with meetings that are over.
func (n *names) readAll(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	n.mu.Lock()
	wait := n.read.Add(readGap).Sub(n.now())
	n.mu.Unlock()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(wait):
	}
	n.mu.Lock()
	n.read = n.now()
	n.mu.Unlock()
	return store.AllLive(ctx, n.store.Live, n.putAll)
}

func (n *names) putAll(m *greenroom.Meeting) {
	for i := range m.Seats {
		if s := &m.Seats[i]; s.Desktop.Hostname != "" && s.Desktop.MayExist() {
			n.put(s.Desktop.Hostname, m.Handle(s))
		}
	}
}
