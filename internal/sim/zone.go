package sim

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"

	"greenroom"
	"greenroom/internal/dns"
)

// record is one name of the zone.
type record struct {
	name    string
	address netip.Addr
	foreign bool
	at      time.Duration // when it was written last
}

// zone is the DNS.
type zone life

// SetRecords implements dns.Zone.
func (z *zone) SetRecords(ctx context.Context, records []dns.Record) error {
	l := (*life)(z)
	r := l.request(ctx)
	l.ask("record " + records[0].Name)
	var refuse error
	for _, rec := range records {
		if old := l.records[rec.Name]; old != nil && old.foreign {
			refuse = errors.Join(refuse, &dns.RecordError{Name: rec.Name, Err: greenroom.ErrConflict})
		}
	}
	err := l.dns(r, refuse, func() {
		for _, rec := range records {
			if old := l.records[rec.Name]; old == nil || !old.foreign {
				l.log("world: record %s is %s", rec.Name, rec.Address)
				l.records[rec.Name] = &record{name: rec.Name, address: rec.Address, at: l.now}
			}
		}
	})
	l.answered(r)
	return err
}

// dns sends a change with the zone's own faults.
func (l *life) dns(r *request, refuse error, f func()) error {
	if refuse == nil && l.hit(l.rates.DNS, "DNS error before the effect") {
		refuse = errWorld
	}
	err := l.send(r, refuse, f)
	if err == nil && l.hit(l.rates.DNS, "DNS error after the effect") {
		err = errWorld
	}
	return err
}

// DeleteRecords implements dns.Zone.
func (z *zone) DeleteRecords(ctx context.Context, names []string) error {
	l := (*life)(z)
	r := l.request(ctx)
	l.ask("no record " + names[0])
	err := l.dns(r, nil, func() {
		for _, name := range names {
			l.unnamed[name] = l.now
			old := l.records[name]
			if old == nil || old.foreign {
				continue
			}
			l.checkUnpublish(name)
			l.log("world: record %s is removed", name)
			delete(l.records, name)
		}
	})
	l.answered(r)
	return err
}

// GetRecords implements dns.Zone.
func (z *zone) GetRecords(context.Context) ([]dns.Record, error) {
	l := (*life)(z)
	l.call()
	if l.hit(l.rates.DNS, "DNS list error") {
		return nil, errWorld
	}
	var out []dns.Record
	for _, r := range l.records {
		if !r.foreign {
			out = append(out, dns.Record{Name: r.name, Address: r.address})
		}
	}
	slices.SortFunc(out, func(a, b dns.Record) int { return strings.Compare(a.Name, b.Name) })
	l.cur.sleep(l.between(time.Millisecond, 300*time.Millisecond))
	return out, nil
}

// left reports whether a name is there though nothing has removed it. One that was written again after its removal is the
// sweep's, if somebody knew that it was written once: another process was late. Of one whose writing was never answered
// the removal has to wait until none can take effect any more.
func (l *life) left(name string) bool {
	r := l.records[name]
	at, removed := l.unnamed[name]
	return r != nil && (!removed || r.at < at || !l.written[name])
}

// prober looks from outside.
type prober life

// Probe is good only while name, machine and desktop are there.
func (p *prober) Probe(_ context.Context, hostname string, addresses ...netip.Addr) greenroom.Proof {
	l := (*life)(p)
	l.call()
	l.ask("proof of " + hostname)
	l.cur.sleep(l.between(10*time.Millisecond, time.Second))
	ok, lost, detail := false, false, ""
	m := l.resolve(hostname)
	switch {
	case m == nil:
		detail = "the name leads nowhere"
	case m.address != addresses[0].String():
		detail = "another address was expected"
	case m.agent != nil && m.agent.serves && m.agent.sick == torpid:
		detail = "the screen does not answer"
	case m.agent == nil || !m.agent.answers() || m.busyUntil > l.now:
		lost, detail = true, "no answer"
		l.cur.sleep(3 * time.Second)
	case l.hit(l.rates.Probe, "proof fails"):
		lost, detail = true, "the route flapped"
		l.cur.sleep(l.between(0, 3*time.Second))
	default:
		ok = true
		l.proved[hostname], l.provedAt[hostname] = true, l.now
	}
	at := l.cur.p.clock().UTC()
	l.cur.sleep(l.between(time.Millisecond, 300*time.Millisecond))
	return greenroom.Proof{OK: ok, Lost: lost, At: at, Steps: []greenroom.ProofStep{{Name: "page", OK: ok, Detail: detail}}}
}

// resolve gives the running machine that a name leads to, or nil.
func (l *life) resolve(hostname string) *machine {
	r := l.records[hostname]
	if r == nil {
		return nil
	}
	for _, m := range l.machines {
		if m.address == r.address.String() && m.alive(l.now) && l.now >= m.runs {
			return m
		}
	}
	return nil
}

// foreigners puts things into the world that are not ours, and some that are and belong to nobody.
func (l *life) foreigners() {
	at := netip.MustParseAddr("10.9.9.9")
	l.records["www."+zoneName] = &record{name: "www." + zoneName, address: at, foreign: true}
	other := &machine{id: "i-00000000000000000", sickAt: never, foreign: true, address: "10.9.9.9", ending: never, dead: never, unlisted: never}
	l.add(other)
	if l.rng.IntN(3) == 0 {
		h := greenroom.Handle{Meeting: "ghostghostghost1", Seat: "teacher", Attempt: 1}
		ghost := &machine{sickAt: never, id: greenroom.InstanceIDFromToken(h.Token()), handle: h, address: "10.9.9.8", ending: never, dead: never, unlisted: never}
		l.add(ghost)
		name := ghost.id + "." + zoneName
		l.records[name] = &record{name: name, address: netip.MustParseAddr(ghost.address)}
	}
}
