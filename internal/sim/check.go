package sim

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"greenroom"
	"greenroom/internal/compute"
	"greenroom/internal/meetings"
)

// book is what the simulation knows of a meeting beside the store.
type book struct {
	n       int
	id      string
	wake    wake
	now     greenroom.Meeting // as last saved
	live    time.Duration     // since when its state has been a live one
	edits   int
	forced  bool                         // the organiser's present change is one that takes desktops from people knowingly
	stops   map[greenroom.EndReason]bool // what the organiser asked for
	invited map[string]bool              // by join key
	ids     map[string]bool              // of seats, of those taken off, too
	data    map[string]string            // accepted session data, by seat and key
	was     map[greenroom.EventKind]int  // what the timeline tells
	reasons greenroom.EndReason
}

func newBook(n int) *book {
	return &book{n: n, stops: map[greenroom.EndReason]bool{}, invited: map[string]bool{}, ids: map[string]bool{}, data: map[string]string{}, was: map[greenroom.EventKind]int{}}
}

func (b *book) open() bool { return b.id != "" && !b.now.Closed }

// seat gives the stored seat whose current attempt h is, or nil.
func (l *life) seat(h greenroom.Handle) *greenroom.Seat {
	b := l.byID[h.Meeting]
	if b == nil {
		return nil
	}
	if s := b.now.AnySeat(h.Seat); s != nil && b.now.Handle(s) == h {
		return s
	}
	return nil
}

// checkIntent holds a launch against what is saved before it is asked for.
func (l *life) checkIntent(q compute.Request) {
	b := l.byID[q.Handle.Meeting]
	if b == nil {
		l.fail("launch of %s for a meeting that is not saved", q.Handle.Token())
		return
	}
	s := b.now.AnySeat(q.Handle.Seat)
	if s != nil && (s.Desktop.Attempt < q.Handle.Attempt || s.Desktop.Attempt == q.Handle.Attempt && s.Desktop.Phase == greenroom.Planned) {
		l.fail("launch of %s before its intent was saved", q.Handle.Token())
	}
	if s != nil && b.now.Handle(s) == q.Handle && !s.Desktop.KillAt.Equal(q.KillAt) {
		l.fail("the machine of %s is told another kill time than is saved", q.Handle.Token())
	}
	if latest := epoch.Add(l.now + time.Duration(b.now.Blueprint.Rules.KillAfter) + 2*maxOffset); q.KillAt.After(latest) || q.KillAt.Before(epoch) {
		l.fail("the machine of %s may live until %s", q.Handle.Token(), q.KillAt)
	}
}

// checkLaunch runs when a machine comes into being.
func (l *life) checkLaunch(m *machine) {
	for _, o := range l.machines {
		if o != m && !o.foreign && o.handle.Meeting == m.handle.Meeting && o.handle.Seat == m.handle.Seat && o.alive(l.now) {
			l.fail("two machines for a seat: %s and %s", o.handle.Token(), m.handle.Token())
		}
	}
	b := l.byID[m.handle.Meeting]
	if s := l.seat(m.handle); s == nil || b.now.Closed || s.Desktop.Cleared {
		l.fail("machine of %s came into being when its desktop was no more", m.handle.Token())
	}
}

// checkRemoval runs when a machine's removal takes effect.
func (l *life) checkRemoval(m *machine) {
	s := l.seat(m.handle)
	switch {
	case s == nil:
	case s.Desktop.Phase.Live():
		l.fail("the machine of %s was removed, and its desktop is %s", m.handle.Token(), s.Desktop.Phase)
	case s.Desktop.EndReason == "":
		l.fail("the machine of %s was removed for no reason", m.handle.Token())
	}
}

// named gives the stored seat whose desktop has this host name, or nil.
func (l *life) named(name string) *greenroom.Seat {
	for _, b := range l.books {
		for i := range b.now.Seats {
			if s := &b.now.Seats[i]; s.Desktop.Hostname == name {
				return s
			}
		}
	}
	return nil
}

func (l *life) checkUnpublish(name string) {
	if s := l.named(name); s != nil && s.Desktop.Phase.Live() {
		l.fail("the record %s was removed, and its desktop is %s", name, s.Desktop.Phase)
	}
}

// checkEntry runs when somebody was given the entry URL.
func (l *life) checkEntry(b *book, role, name, token string) {
	if !l.proved[name] {
		l.fail("%s was sent to %s, which was never proved", role, name)
	}
	s := b.now.AnySeat(role)
	if s == nil {
		return
	}
	if d := &s.Desktop; d.Hostname == name && d.LastProof().Before(d.Timings[greenroom.Proving].Add(-2*maxOffset)) {
		l.fail("%s was sent to %s, and there is no proof of this attempt", role, name)
	}
	for _, t := range s.Desktop.Tokens {
		if strings.Contains(t.Hash, token) {
			l.fail("a token is stored as it is")
		}
	}
}

// lobbyTime bounds the wait for a desktop in a calm world.
const lobbyTime = 15 * time.Minute

// checkLobby runs when somebody was told to wait.
func (l *life) checkLobby(p *person, st meetings.Standing) {
	if st.Message == "" {
		l.fail("%s waits and is told nothing", p.seat)
	}
	from := max(p.since, l.calmAt, st.OpensAt.Sub(epoch))
	s := p.b.now.Seat(p.seat)
	if s == nil || !l.calm || s.Desktop.Permanent {
		return
	}
	from = max(from, l.roomSince())
	if d := p.b.lastMove(p.seat); l.now-from > lobbyTime {
		l.fail("%s has waited for %s in a calm world and has no desktop (%s since %s)", p.seat, l.now-from, s.Desktop.Phase, d)
	}
}

// checkWayIn runs when somebody was given the entry URL and did not get in.
func (l *life) checkWayIn(p *person) {
	if wait := l.now - max(p.since, l.calmAt); l.calm && wait > lobbyTime {
		l.fail("%s is given ways in for %s in a calm world, and none leads anywhere", p.seat, wait)
	}
}

func (b *book) lastMove(role string) time.Time {
	var last time.Time
	for _, at := range b.now.AnySeat(role).Desktop.Timings {
		if at.After(last) {
			last = at
		}
	}
	return last
}

// endTime bounds how long a meeting may be open after it must be over, in a calm world.
const endTime = 10 * time.Minute

// checkOpen runs every few minutes once the world is calm.
func (l *life) checkOpen() {
	for _, b := range l.books {
		if !b.open() {
			continue
		}
		l.checkNoticed(b)
		l.checkRoom(b)
		r := b.now.Blueprint.Rules
		over := b.now.EndsAt.Add(time.Duration(max(r.Grace, r.Overtime)))
		if b.now.EndReason != "" {
			over = b.now.EndedAt
		}
		if l.now > max(l.calmAt, over.Sub(epoch))+endTime {
			l.fail("meeting %s should be over since %s and is not closed: %s", b.id, over, describe(&b.now))
		}
	}
	l.after(2*time.Minute, l.checkOpen)
}

func describe(m *greenroom.Meeting) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", m.State(), m.EndReason)
	for _, s := range m.Seats {
		fmt.Fprintf(&b, "; %s.%d %s (%s)", s.ID, s.Desktop.Attempt, s.Desktop.Phase, s.Desktop.Error)
	}
	return b.String()
}

// checkEnd runs when the world has come to rest: nothing of ours is left, and nothing opens any more.
func (l *life) checkEnd() {
	for _, b := range l.books {
		if !b.now.Closed {
			l.fail("meeting %s never ended: %s", b.id, describe(&b.now))
		}
		for _, s := range b.now.Seats {
			if where := b.data[s.ID+s.Key]; where != "" && (s.SessionData == nil || s.SessionData.URL != where) {
				l.fail("session data of %s was accepted and is not there", s.ID)
			}
		}
	}
	foreign := 0
	for _, m := range l.machines {
		switch {
		case m.foreign && m.alive(l.now):
			foreign++
		case m.alive(l.now):
			l.fail("machine %s of %s is left", m.id, m.handle.Token())
		}
	}
	names := make([]string, 0, len(l.records))
	for name, r := range l.records {
		if r.foreign {
			foreign++
		} else {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	if len(names) > 0 {
		l.fail("records %s are left", names)
	}
	if foreign != 2 {
		l.fail("what is not ours was touched")
	}
	for _, t := range l.tokens {
		if v, err := l.processes[0].service.Verify(context.Background(), t.verifier, "console", t.token, t.client); err != nil || v.OK {
			l.fail("a token opens a desktop of a meeting that is closed: %v", err)
		}
	}
}
