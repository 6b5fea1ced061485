// Package connlimit bounds what strangers may hold open at once: connections, streams, and checks under way. When
// room is short, those who have proved nothing make way first, those of the client with the most of them before
// others, the oldest before younger ones. Who has shown a right credential keeps the place.
package connlimit

import (
	"container/list"
	"net"
	"net/netip"
	"sync"
)

// Rank says who makes way for whom.
type Rank int

// The ranks. A place is taken as a Stranger.
const (
	Stranger Rank = iota // has shown nothing yet
	Known                // asked for something that exists, or was proved and is idle
	Proved               // showed a right credential and is in use: never makes way
	ranks
)

// Limits of a Pool. Zero means no limit of that kind.
type Limits struct {
	All      int // places
	Each     int // places of one client, see Client; those that make way are its own
	PerProof int // proved places of one credential; more stay Known
	Reserve  int // places of All that strangers cannot take
}

// Pool is a bounded number of places. Its memory is bounded by Limits.All.
type Pool struct {
	limits Limits

	mu      sync.Mutex
	total   int
	ranked  [ranks]int
	clients map[netip.Prefix]*group
	proofs  map[string]int
	entered uint64 // places taken so far: who has the lower number is older
	refused int64
	evicted int64
}

// group is what one client holds, by rank, the oldest first.
type group struct {
	total  int
	places [ranks]list.List // of *Place
}

// Stats counts places. Refused and Evicted are since the start.
type Stats struct {
	Open, Strangers, Proved int
	Refused                 int64 // there was no room, and nobody to make way
	Evicted                 int64 // made way for others
}

// Place is one member's place in a Pool. Its methods may be called in any order and more than once.
type Place struct {
	pool    *Pool
	evict   func()
	client  netip.Prefix
	rank    Rank
	proof   string
	idle    bool
	trusted bool
	left    bool
	entered uint64
	at      *list.Element
}

// NewPool returns an empty pool.
func NewPool(l Limits) *Pool {
	return &Pool{limits: l, clients: map[netip.Prefix]*group{}, proofs: map[string]int{}}
}

// Enter takes a place for client. The limit of each does not hold for a client that is not valid. When evict is called, the place
// is free already; it must return soon. Without room, and with nobody to make way, it is nil.
func (p *Pool) Enter(client netip.Prefix, evict func()) *Place {
	p.mu.Lock()
	victims, ok := p.makeRoom(client)
	var pl *Place
	if ok {
		p.entered++
		pl = &Place{pool: p, evict: evict, client: client, entered: p.entered}
		p.add(pl)
	} else {
		p.refused++
	}
	p.mu.Unlock()
	for _, v := range victims {
		v.evict()
	}
	return pl
}

// Stats returns the counts.
func (p *Pool) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Stats{Open: p.total, Strangers: p.ranked[Stranger], Proved: p.ranked[Proved], Refused: p.refused, Evicted: p.evicted}
}

// makeRoom takes out who makes way for a new place of client, and reports whether there is room then; p.mu is held.
func (p *Pool) makeRoom(client netip.Prefix) (victims []*Place, ok bool) {
	out := func(v *Place) bool {
		if v == nil {
			return false
		}
		p.remove(v)
		p.evicted++
		victims = append(victims, v)
		return true
	}
	if g := p.clients[client]; g != nil && client.IsValid() && p.limits.Each > 0 && g.total >= p.limits.Each && !out(g.oldest()) {
		return nil, false
	}
	if p.limits.All > 0 && p.ranked[Stranger] >= p.limits.All-p.limits.Reserve && !out(p.heaviest(Stranger)) {
		return victims, false
	}
	if p.limits.All > 0 && p.total >= p.limits.All && !out(p.heaviest(Stranger)) && !out(p.heaviest(Known)) {
		return victims, false
	}
	return victims, true
}

// oldest is the first of the group that makes way, nil if nobody does.
func (g *group) oldest() *Place {
	for r := Stranger; r < Proved; r++ {
		if e := g.places[r].Front(); e != nil {
			return e.Value.(*Place)
		}
	}
	return nil
}

// heaviest is the oldest place of the rank that the client with the most of them has. It looks at every client, of which there
// are no more than places; only a full pool asks.
func (p *Pool) heaviest(r Rank) *Place {
	var found *Place
	most := 0
	for _, g := range p.clients {
		n := g.places[r].Len()
		if n == 0 || n < most {
			continue
		}
		first := g.places[r].Front().Value.(*Place)
		if n > most || first.entered < found.entered {
			found, most = first, n
		}
	}
	return found
}

// add and remove keep the counts; p.mu is held.
func (p *Pool) add(pl *Place) {
	g := p.clients[pl.client]
	if g == nil {
		g = &group{}
		p.clients[pl.client] = g
	}
	pl.at = g.places[pl.rank].PushBack(pl)
	g.total++
	p.total++
	p.ranked[pl.rank]++
	if pl.rank == Proved {
		p.proofs[pl.proof]++
	}
}

func (p *Pool) remove(pl *Place) {
	p.take(pl)
	pl.left = true
}

func (p *Pool) take(pl *Place) {
	g := p.clients[pl.client]
	g.places[pl.rank].Remove(pl.at)
	p.total--
	p.ranked[pl.rank]--
	if pl.rank == Proved {
		if p.proofs[pl.proof]--; p.proofs[pl.proof] == 0 {
			delete(p.proofs, pl.proof)
		}
	}
	if g.total--; g.total == 0 {
		delete(p.clients, pl.client)
	}
}

// change applies f to a place that is still held.
func (pl *Place) change(f func()) {
	if pl == nil {
		return
	}
	p := pl.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if pl.left {
		return
	}
	p.take(pl)
	f()
	p.add(pl)
}

// Know raises a stranger.
func (pl *Place) Know() {
	pl.change(func() { pl.rank = max(pl.rank, Known) })
}

// Prove says that a right credential was shown: proof names whose. Beyond Limits.PerProof the place is only Known.
func (pl *Place) Prove(proof string) {
	pl.change(func() {
		if pl.proof == "" {
			pl.proof = proof
		}
		pl.settle()
	})
}

// Trust says that the place is a proxy's, which speaks for many clients: it never makes way.
func (pl *Place) Trust() {
	pl.change(func() {
		pl.trusted = true
		pl.settle()
	})
}

// Idle says whether the place is in use. Proved ones that are idle make way when no stranger is left to.
func (pl *Place) Idle(idle bool) {
	pl.change(func() {
		pl.idle = idle
		pl.settle()
	})
}

// settle gives a proved place its rank; the pool is locked and the place taken out.
func (pl *Place) settle() {
	if pl.trusted {
		pl.rank = Proved
	}
	if pl.trusted || pl.proof == "" {
		return
	}
	full := pl.pool.limits.PerProof > 0 && pl.pool.proofs[pl.proof] >= pl.pool.limits.PerProof
	pl.rank = Proved
	if pl.idle || full {
		pl.rank = Known
	}
}

// Leave gives the place back.
func (pl *Place) Leave() {
	if pl == nil {
		return
	}
	p := pl.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if !pl.left {
		p.remove(pl)
	}
}

// Client is what counts as one client of a TCP address: an IPv4 address, or an IPv6 network of 64 bits, since one
// client has all of that. It is not valid for anything else.
func Client(a net.Addr) netip.Prefix {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	return Network(tcp.AddrPort().Addr())
}

// Network is Client of an address.
func Network(ip netip.Addr) netip.Prefix {
	ip = ip.Unmap().WithZone("")
	bits := 64
	if ip.Is4() {
		bits = 32
	}
	network, _ := ip.Prefix(bits) // fails for more bits than an address has
	return network
}
