package embeddeddns

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"

	"greenroom"
	"greenroom/internal/dns"
)

// Bounds of looking up where the records are kept what is not known here. Anybody may ask for names that do not
// exist, and must not load the store with it.
const (
	looksPerSecond = 100
	looksAtOnce    = 16
	lookTime       = 500 * time.Millisecond
)

// errBusy says that nobody has looked whether a name exists, because too many are being asked for.
var errBusy = errors.New("too many unknown names are being asked for")

// looks bounds them. Questions for one name at one time are one look.
type looks struct {
	flight singleflight.Group
	rate   *rate.Limiter
	slots  chan struct{}
}

func newLooks() *looks {
	return &looks{rate: rate.NewLimiter(looksPerSecond, looksPerSecond), slots: make(chan struct{}, looksAtOnce)}
}

// Lookup returns the addresses of a name's record, as a client would get them, IPv4 first. The zone's own server has none here.
func (z *Zone) Lookup(name string) []netip.Addr {
	name = canonical(name)
	z.mu.RLock()
	r, ok := z.names[name]
	z.mu.RUnlock()
	if ok || z.looks == nil || !z.mayBeKept(name) {
		return r.plain().Addresses()
	}
	r, _ = z.look(name) // one that was not found has no address
	return r.plain().Addresses()
}

// Reload serves what is kept now, whoever wrote it. It leaves the zone as it is if one of the records cannot be
// in it: leaving that out would hide it from whoever has to remove it.
func (z *Zone) Reload(ctx context.Context) error {
	defer z.begin()()
	all, err := z.kept.Records(ctx)
	if err != nil {
		return fmt.Errorf("load the zone's records: %w", err)
	}
	kept := make(map[string]Record, len(all))
	for _, r := range all {
		if err := z.fits(r.plain()); err != nil {
			return fmt.Errorf("load the zone's records: %w", &dns.RecordError{Name: r.Name, Err: err})
		}
		kept[r.Name] = r
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	changed := false
	for name := range z.names {
		if _, ok := kept[name]; !ok {
			z.remove(name)
			changed = true
		}
	}
	for name, r := range kept {
		if z.names[name] != r {
			z.put(r)
			changed = true
		}
	}
	if changed {
		z.touch()
	}
	return nil
}

// begin begins a change, or a read of everything, and returns what ends it: one at a time, so that none undoes
// another with what was true before.
func (z *Zone) begin() (end func()) {
	z.writing.Lock()
	z.turn()
	return func() {
		z.turn()
		z.writing.Unlock()
	}
}

func (z *Zone) turn() {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.change++
}

// refresh serves what is kept under the names, if others write there, too, and returns those that it could not
// read; z.writing is held.
func (z *Zone) refresh(ctx context.Context, names []string) map[string]error {
	if z.looks == nil {
		return nil
	}
	failed := map[string]error{}
	for _, name := range names {
		if !z.mayBeKept(name) {
			continue
		}
		r, err := z.read(ctx, name)
		switch {
		case err == nil:
			z.learn(r)
		case errors.Is(err, greenroom.ErrNotFound):
			z.unlearn(name)
		default:
			failed[name] = err
		}
	}
	return failed
}

func (z *Zone) learn(r Record) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.names[r.Name] != r {
		z.put(r)
		z.touch()
	}
}

func (z *Zone) unlearn(name string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if _, ok := z.names[name]; ok {
		z.remove(name)
		z.touch()
	}
}

// mayBeKept reports whether a record can have the name.
func (z *Zone) mayBeKept(name string) bool {
	_, server := z.server(name)
	return !server && z.fits(dns.Record{Name: name, Address: netip.IPv4Unspecified()}) == nil
}

// look asks the store for a name that is not known here, within bounds: errBusy beyond them. ErrNotFound if
// there is none.
func (z *Zone) look(name string) (Record, error) {
	return bounded(z.looks, name, func(ctx context.Context) (Record, error) { return z.lookNow(ctx, name) })
}

// bounded makes one look within bounds: errBusy beyond them.
func bounded[T any](l *looks, name string, look func(context.Context) (T, error)) (T, error) {
	found, err, _ := l.flight.Do(name, func() (any, error) {
		var none T
		if !l.rate.Allow() {
			return none, errBusy
		}
		select {
		case l.slots <- struct{}{}:
			defer func() { <-l.slots }()
		default:
			return none, errBusy
		}
		ctx, cancel := context.WithTimeout(context.Background(), lookTime)
		defer cancel()
		return look(ctx)
	})
	return found.(T), err
}

// lookNow reads the record and serves it from now on, unless a change was on its way meanwhile: then what was
// read may be what it has just taken away.
func (z *Zone) lookNow(ctx context.Context, name string) (Record, error) {
	z.mu.RLock()
	before := z.change
	z.mu.RUnlock()
	r, err := z.read(ctx, name)
	if err != nil {
		return Record{}, err
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	if before%2 == 0 && z.change == before {
		z.put(r)
		z.touch()
	}
	return r, nil
}

// read reads a record that the zone can hold.
func (z *Zone) read(ctx context.Context, name string) (Record, error) {
	r, err := z.kept.Record(ctx, name)
	if err == nil {
		err = z.fits(r.plain())
	}
	return r, err
}
