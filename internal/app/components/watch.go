package components

import (
	"context"

	"greenroom"
	"greenroom/internal/certs"
	"greenroom/internal/compute"
	"greenroom/internal/dns"
	"greenroom/internal/observe"
	"greenroom/internal/store"
)

// Watch is who sees what a Core decides and calls. The zero Watch is nobody.
type Watch struct {
	Saves    observe.Saves                 // changes that were saved
	Count    observe.Calls                 // calls where they are made: those to a provider of names behind the batches
	Trace    observe.Calls                 // calls where it is known for whom they are made: before the batches
	Requests func(store.Store) store.Store // wraps the store that requests use; nil: nothing does
}

func (w Watch) calls(fs ...observe.Calls) observe.Calls {
	var set []observe.Calls
	for _, f := range fs {
		if f != nil {
			set = append(set, f)
		}
	}
	return observe.CallsTogether(set...)
}

// Store is a store whose changes are seen: for everybody but passes, which see the meeting before a change, too.
func (w Watch) Store(s store.Store) store.Store {
	if w.Saves == nil {
		return s
	}
	return observe.Store{Store: s, Saves: w.Saves}
}

func (w Watch) requests(s store.Store) store.Store {
	if s = w.Store(s); w.Requests == nil {
		return s
	}
	return w.Requests(s)
}

func (w Watch) decisions() func(ctx context.Context, before, after *greenroom.Meeting, events []greenroom.Event) {
	if w.Saves == nil {
		return nil
	}
	return observe.Decisions(w.Saves)
}

func (w Watch) providers(all map[greenroom.Provider]compute.Provider) {
	for name, p := range all {
		all[name] = observe.Provider{Provider: p, Name: string(name), Calls: w.calls(w.Count, w.Trace)}
	}
}

func (w Watch) ownZone(name string, z dns.Zone) dns.Zone {
	return observe.Zone{Zone: z, Name: name, Calls: w.calls(w.Count, w.Trace)}
}

func (w Watch) batched(name string, z dns.Zone) dns.Zone {
	return observe.Zone{Zone: z, Name: name, Calls: w.calls(w.Trace)}
}

func (w Watch) dnsProvider(name string, p dns.Provider) dns.Provider {
	return observe.NewDNSProvider(p, name, w.calls(w.Count))
}

func (w Watch) issuer(name string, i certs.Issuer) certs.Issuer {
	return observe.Issuer{Issuer: i, Name: name, Calls: w.calls(w.Count, w.Trace)}
}
