package sim

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"greenroom"
	"greenroom/internal/agent/agentapi"
	"greenroom/internal/meetings"
)

// errDown is what people see of a control plane that is away.
var errDown = errors.New("the control plane does not answer")

// do asks some replica and waits for its answer, as a browser or a machine does.
func (t *thread) do(name string, b *book, f func(p *process) error) error {
	l := t.l
	t.sleep(l.between(time.Millisecond, 50*time.Millisecond))
	p := l.replica()
	if p == nil {
		t.sleep(l.between(0, time.Second))
		return errDown
	}
	err, done := errDown, false // a process that dies takes its answer along
	c := l.spawn(p, aRequest, name, 0, func(*thread) { err = f(p) })
	c.book = b
	c.onEnd = func() {
		done = true
		t.wake()
	}
	for !done {
		t.wait(forever)
	}
	return err
}

// organise schedules a meeting and changes its mind.
func (l *life) organise(t *thread, b *book) {
	start := epoch.Add(l.now + l.between(-2*time.Minute, 50*time.Minute)).Truncate(time.Second)
	length := min(l.between(5*time.Minute, time.Hour), l.blueprint.Rules.LongestMeeting()).Truncate(time.Second)
	in := meetings.Schedule{Title: "Title 0", StartsAt: start.Format(time.RFC3339), Duration: length.String()}
	if start.Before(epoch.Add(l.now)) {
		in.StartsAt = "now"
	}
	key := fmt.Sprintf("key %d", b.n)
	for {
		err := t.do("schedule", b, func(p *process) error {
			m, _, err := p.service.Schedule(context.Background(), in, key)
			if err == nil && m.ID != b.id {
				l.fail("one key made two meetings: %s and %s", b.id, m.ID)
			}
			return err
		})
		var invalid *greenroom.InvalidError
		passed := errors.As(err, &invalid) // the start has, meanwhile
		if err == nil {
			break
		}
		if passed && b.id != "" {
			l.fail("what was accepted is refused when it is asked for again: %v", err)
		}
		if passed {
			in.StartsAt = "now"
			key += "'"
		}
		t.sleep(l.between(time.Second, 20*time.Second))
	}
	for range l.rng.IntN(4) {
		now := l.now
		end := b.now.EndsAt.Sub(epoch)
		moment := l.between(0, max(end-now, time.Minute))
		if l.hit(l.rates.BadMoment, "change at a bad moment") {
			l.untilTurn(moment)
			moment = l.between(0, 10*time.Second)
		}
		t.sleep(moment)
		if b.now.Closed {
			return
		}
		l.changeMind(t, b)
	}
}

// changeMind makes one change.
func (l *life) changeMind(t *thread, b *book) {
	b.edits++
	title := fmt.Sprintf("Title %d", b.edits)
	edit, m := meetings.Edit{}, &b.now
	switch l.rng.IntN(12) {
	case 0, 1:
		edit.Title = &title
	case 2, 3: // later, or earlier
		at := m.StartsAt.Add(l.between(-20*time.Minute, 40*time.Minute)).Format(time.RFC3339)
		edit.StartsAt, edit.Title = &at, &title
	case 4, 5: // longer, or shorter
		at := m.EndsAt.Add(l.between(-20*time.Minute, 30*time.Minute)).Format(time.RFC3339)
		edit.EndsAt = &at
	case 6:
		l.changeSeat(t, b)
		return
	case 7, 8: // other seats
		for _, s := range m.Present() {
			if l.rng.IntN(2) == 0 {
				edit.Seats = append(edit.Seats, meetings.SeatInput{ID: s.ID, Role: s.Role, Name: s.Name})
			}
		}
		for len(edit.Seats) == 0 || l.rng.IntN(3) == 0 {
			edit.Seats = append(edit.Seats, meetings.SeatInput{Role: l.blueprint.Seats[l.rng.IntN(len(l.blueprint.Seats))]})
		}
		slices.Reverse(edit.Seats)
	case 9:
		l.stop(t, b, greenroom.EndedByHost)
		return
	case 10:
		l.stop(t, b, greenroom.Cancelled)
		return
	default:
		l.park(t, b)
		return
	}
	edit.Force = l.rng.IntN(4) == 0
	b.forced = edit.Force
	err := t.do("edit", b, func(p *process) error {
		m, err := p.service.Edit(context.Background(), b.id, edit, 0)
		if err == nil && edit.Title != nil && m.Title != title {
			l.fail("a new title was accepted and is not there")
		}
		return err
	})
	l.log("organiser of %s: edit %s: %v", b.id, title, err)
}

// changeSeat adds a seat, takes one off, or gives one a new desktop.
func (l *life) changeSeat(t *thread, b *book) {
	present := b.now.Present()
	if len(present) == 0 {
		return
	}
	seat, what := present[l.rng.IntN(len(present))].ID, l.rng.IntN(3)
	role := l.blueprint.Seats[l.rng.IntN(len(l.blueprint.Seats))]
	force := l.rng.IntN(2) == 0
	b.forced = force
	err := t.do("edit", b, func(p *process) (err error) {
		switch what {
		case 0:
			var added []string
			if _, added, err = p.service.AddSeats(context.Background(), b.id, []meetings.SeatInput{{Role: role}}, 0); err == nil {
				seat = added[0]
			}
		case 1:
			_, err = p.service.RemoveSeat(context.Background(), b.id, seat, force, 0)
		default:
			_, err = p.service.ReplaceDesktop(context.Background(), b.id, seat, "no picture", force, 0)
		}
		return err
	})
	l.log("organiser of %s: %s of seat %s: %v", b.id, []string{"addition", "removal", "replacement"}[what], seat, err)
}

// park lets an operator hold the meeting for a while, who may let go before it is over.
func (l *life) park(t *thread, b *book) {
	if l.calm {
		return
	}
	err := t.do("park", b, func(p *process) error {
		_, err := p.service.Park(context.Background(), b.id, l.between(time.Minute, 10*time.Minute).String(), "a look", "127.0.0.1")
		return err
	})
	l.log("operator of %s: park: %v", b.id, err)
	if err != nil || l.rng.IntN(2) == 0 {
		return
	}
	t.sleep(l.between(0, 10*time.Minute))
	err = t.do("park", b, func(p *process) error {
		_, err := p.service.Resume(context.Background(), b.id, "127.0.0.1")
		return err
	})
	l.log("operator of %s: resume: %v", b.id, err)
}

func (l *life) stop(t *thread, b *book, reason greenroom.EndReason) {
	b.stops[reason] = true
	err := t.do("stop", b, func(p *process) error {
		stop := p.service.End
		if reason == greenroom.Cancelled {
			stop = p.service.Cancel
		}
		m, err := stop(context.Background(), b.id)
		if err == nil && m.EndReason == "" {
			l.fail("an end was accepted and is not there")
		}
		return err
	})
	l.log("organiser of %s: %s: %v", b.id, reason, err)
}

// invite sends everybody who has a seat and was not invited before.
func (l *life) invite(b *book) {
	for _, s := range b.now.Present() {
		if b.invited[s.Key] {
			continue
		}
		b.invited[s.Key] = true
		if l.rng.IntN(8) == 0 {
			continue // never comes
		}
		p := &person{l: l, b: b, seat: s.ID, key: s.Key, client: fmt.Sprintf("192.0.2.%d", 1+l.rng.IntN(200))}
		at := b.now.StartsAt.Sub(epoch) + l.between(-10*time.Minute, 10*time.Minute)
		if l.rng.IntN(4) == 0 {
			at = b.now.StartsAt.Sub(epoch) + l.between(-40*time.Minute, 50*time.Minute)
		}
		l.spawn(nil, aClient, "person", max(at-l.now, 0), p.attend)
	}
}

// accepted is a token that was accepted once, with what it takes to ask again.
type accepted struct{ verifier, token, client string }

// person is a participant.
type person struct {
	l      *life
	b      *book
	seat   string // its id
	key    string
	client string
	since  time.Duration // waiting in the lobby without a break
}

// attend comes, waits, works, leaves, and perhaps comes back.
func (p *person) attend(t *thread) {
	l := p.l
	for range 1 + l.rng.IntN(3) {
		m := p.enter(t)
		if m == nil {
			return
		}
		p.work(t, m)
		if l.rng.IntN(3) == 0 {
			p.sessionData(t)
		}
		t.sleep(l.between(time.Second, 20*time.Minute))
	}
}

// enter waits in the lobby until it is let in, and gives the machine that it is connected to; nil if it goes home.
func (p *person) enter(t *thread) *machine {
	l := p.l
	p.since = l.now
	patience := l.now + l.between(10*time.Minute, 90*time.Minute)
	for l.now < patience || l.calm {
		key := p.key
		if l.hit(l.rates.Mischief, "wrong key") {
			key = "wrong"
		}
		var st meetings.Standing
		err := t.do("enter", p.b, func(r *process) (err error) {
			st, err = r.service.Enter(context.Background(), p.b.id, p.seat, key, p.client)
			return err
		})
		switch {
		case key == "wrong" && err == nil:
			l.fail("a wrong key was accepted for seat %s", p.seat)
		case key == "wrong":
		case errors.Is(err, greenroom.ErrEnded), errors.Is(err, greenroom.ErrForbidden), errors.Is(err, greenroom.ErrNotFound):
			return nil
		case err == nil && st.URL != "":
			if m := p.connect(t, st.URL); m != nil {
				return m
			}
			l.checkWayIn(p)
		case err == nil:
			l.checkLobby(p, st)
		}
		pause := l.between(2*time.Second, 20*time.Second) + min((l.now-p.since)/8, 30*time.Second) // who has waited for long looks more rarely
		if st.OpensAt.After(epoch.Add(l.now)) {                                                    // who is early looks more rarely than a page does
			pause *= 4
		}
		t.sleep(pause)
	}
	return nil
}

// connect follows the way in. A desktop asks whether the token is good.
func (p *person) connect(t *thread, entry string) *machine {
	l := p.l
	u, err := url.Parse(entry)
	if err != nil {
		l.fail("the way in is %q", entry)
		return nil
	}
	name, token := u.Hostname(), u.Query().Get("authToken")
	l.checkEntry(p.b, p.seat, name, token)
	given := l.now
	if !l.calm && l.rng.IntN(10) == 0 {
		t.sleep(l.between(0, 4*time.Minute)) // the link was opened late
	}
	m := l.resolve(name)
	if m == nil || m.agent == nil || !m.agent.answers() {
		return nil
	}
	if l.hit(l.rates.Mischief, "wrong token") {
		l.expectRefusal(t, p.b, m, "a token nobody gave", p.client, "a token that nobody gave")
	}
	late := l.now-given > greenroom.TokenLife+2*maxOffset+time.Second
	ok := l.verify(t, p.b, m, token, p.client)
	if ok && late {
		l.fail("a token was accepted for the first time %s after it was given", l.now-given)
	}
	if !ok || m.agent == nil {
		return nil
	}
	l.tokens = append(l.tokens, accepted{m.agent.verifier, token, p.client})
	if l.hit(l.rates.Mischief, "token from elsewhere") {
		l.expectRefusal(t, p.b, m, token, "198.51.100.7", "a token of another address")
	}
	return m
}

func (l *life) expectRefusal(t *thread, b *book, m *machine, token, client, what string) {
	if l.verify(t, b, m, token, client) {
		l.fail("%s was accepted", what)
	}
}

// verify is a desktop asking whether a token is good.
func (l *life) verify(t *thread, b *book, m *machine, token, client string) bool {
	if m.agent == nil {
		return false
	}
	verifier := m.agent.verifier
	ok := false
	err := t.do("verify", b, func(p *process) error {
		s := b.now.AnySeat(m.handle.Seat)
		open := s != nil && b.now.Handle(s) == m.handle && s.Desktop.Enterable()
		v, err := p.service.Verify(context.Background(), verifier, agentapi.SessionID, token, client)
		if v.OK && !open {
			l.fail("a token of %s was accepted when the desktop was not to be entered", m.handle.Token())
		}
		ok = v.OK
		return err
	})
	return err == nil && ok
}

// work uses a desktop, reloads now and then, and leaves; or stays until it is gone.
func (p *person) work(t *thread, m *machine) {
	l := p.l
	until := l.now + l.between(10*time.Second, 45*time.Minute)
	if l.rng.IntN(5) == 0 {
		until = never
	}
	if m.agent == nil {
		return
	}
	id := m.agent.open(p.client)
	l.log("person of %s is connected", m.handle.Token())
	for l.now < until && m.agent != nil && m.agent.sick == well {
		t.sleep(min(until-l.now, l.between(10*time.Second, 6*time.Minute)))
		if m.agent != nil && l.rng.IntN(4) == 0 { // a reload: the new connection may come before the old one ends
			old := id
			id = m.agent.open(p.client)
			t.sleep(l.between(0, 2*time.Second))
			if m.agent != nil {
				m.agent.close(old)
			}
		}
	}
	if m.agent != nil && m.agent.sick != well {
		t.sleep(l.between(0, 2*time.Minute)) // until they notice
	}
	if m.agent != nil {
		m.agent.close(id)
		l.log("person of %s left", m.handle.Token())
	}
}

func (p *person) sessionData(t *thread) {
	where := "s3://data/" + p.b.id + "/" + p.seat
	err := t.do("session data", p.b, func(r *process) error {
		return r.service.SessionData(context.Background(), p.b.id, p.seat, where)
	})
	if err == nil {
		p.b.data[p.seat+p.key] = where
	}
}
