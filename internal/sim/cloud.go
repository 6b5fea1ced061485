package sim

import (
	"context"
	"fmt"
	"time"

	"greenroom"
	"greenroom/internal/compute"
)

// never is an instant that does not come.
const never = 1 << 62 * time.Nanosecond

// machine is one instance. Its instants tell what any look at any time sees of it.
type machine struct {
	id       string
	handle   greenroom.Handle
	address  string
	foreign  bool
	launched time.Duration
	runs     time.Duration
	ending   time.Duration // its removal was asked for
	dead     time.Duration
	unlisted time.Duration // the provider forgets it
	killAt   time.Duration
	why      string // how it died, if by itself
	userData []byte
	seatKey  string // whose machine it is
	agent    *agent

	sickAt    time.Duration // since when its desktop is half-dead; never: it is not
	wellAt    time.Duration // when it recovered
	busyUntil time.Duration
}

func (m *machine) alive(at time.Duration) bool {
	return at >= m.launched && at < m.ending && at < m.dead && at < m.unlisted
}

func (m *machine) state(at time.Duration) compute.State {
	switch {
	case at >= m.dead:
		return compute.Terminated
	case at >= m.ending:
		return compute.ShuttingDown
	case at >= m.runs:
		return compute.Running
	}
	return compute.Pending
}

func (m *machine) see(at time.Duration) compute.Instance {
	i := compute.Instance{ID: m.id, Handle: m.handle, State: m.state(at), LaunchedAt: epoch.Add(m.launched)}
	if at >= m.runs {
		i.Address = m.address
	}
	return i
}

// cloud is the provider. It remembers tokens for ever, as EC2 does for long: a token whose machine is no more
// gives that machine, and launches nothing.
type cloud life

// Launch implements compute.Provider.
func (c *cloud) Launch(ctx context.Context, requests []compute.Request) []compute.Outcome {
	l := (*life)(c)
	r := l.request(ctx)
	out := make([]compute.Outcome, len(requests))
	for i, q := range requests {
		l.ask("launch of " + q.Handle.Token())
		l.checkIntent(q)
		l.noteAsked(q)
		out[i].Err = l.send(r, l.refusal(q.Handle.Token()), func() { l.launch(q) })
	}
	l.answered(r)
	for i, q := range requests {
		if m := l.byToken[q.Handle.Token()]; out[i].Err == nil && m != nil {
			out[i].Instance = m.see(l.now)
		} else if out[i].Err == nil {
			out[i].Err = errWorld
		}
	}
	return out
}

// refusal is an answer of the provider that says that it launched nothing.
func (l *life) refusal(token string) error {
	if l.byToken[token] != nil {
		return nil
	}
	if err := l.full(); err != nil {
		return err
	}
	switch r := l.rates; {
	case l.hit(r.Throttled, "throttled"):
		return fmt.Errorf("RequestLimitExceeded: %w", greenroom.ErrThrottled)
	case l.hit(r.Capacity, "no capacity"):
		return fmt.Errorf("InsufficientInstanceCapacity: %w", greenroom.ErrCapacity)
	case l.hit(r.Permanent, "permanent refusal"):
		return &greenroom.UserError{Message: "The image of the blueprint does not exist.", Cause: greenroom.ErrPermanent}
	}
	return nil
}

// launch takes effect.
func (l *life) launch(q compute.Request) {
	token := q.Handle.Token()
	s := l.seat(q.Handle)
	if old := l.byToken[token]; old != nil {
		if s != nil && s.Key != old.seatKey {
			l.fail("the token %s was that of another seat's machine, with all its secrets", token)
		}
		return
	}
	n := len(l.machines)
	m := &machine{
		id: greenroom.InstanceIDFromToken(token), handle: q.Handle, address: fmt.Sprintf("10.0.%d.%d", n/200, n%200+1), launched: l.now,
		runs: l.now + l.between(time.Second, 20*time.Second), ending: never, dead: never, unlisted: never, userData: q.UserData, sickAt: never,
	}
	switch {
	case l.rng.IntN(5) == 0:
		m.runs += l.between(0, 70*time.Second)
	case l.hit(l.rates.SlowBoot, "slow boot"):
		m.runs = l.now + l.between(time.Minute, 10*time.Minute)
	case l.hit(l.rates.NeverBoot, "boot never ends"):
		m.runs = never
	}
	if s != nil {
		m.seatKey = s.Key
	}
	m.killAt = q.KillAt.Sub(epoch) + l.between(20*time.Second, 40*time.Second)
	l.add(m)
	l.log("world: machine %s of %s exists", m.id, token)
	l.checkLaunch(m)
	if l.hit(l.rates.Vanish, "machine vanishes or dies") {
		gone := l.rng.IntN(2) == 0
		l.after(l.between(0, 2*time.Hour), func() { l.die(m, "a fault", gone) })
	}
	l.at(m.killAt, func() { l.die(m, "its kill time", false) })
	if m.runs < never {
		l.at(m.runs, func() { l.boot(m) })
	}
}

func (l *life) add(m *machine) {
	l.machines = append(l.machines, m)
	l.byToken[m.handle.Token()], l.byMachine[m.id] = m, m
}

// die ends a machine by itself.
func (l *life) die(m *machine, why string, vanish bool) {
	if !m.alive(l.now) {
		return
	}
	l.log("world: machine %s dies of %s", m.id, why)
	m.dead, m.why = l.now, why
	if vanish {
		m.unlisted = l.now
	} else {
		m.unlisted = l.now + l.between(time.Minute, time.Hour)
	}
	l.halt(m)
}

// Terminate implements compute.Provider.
func (c *cloud) Terminate(ctx context.Context, ids ...string) error {
	l := (*life)(c)
	r := l.request(ctx)
	l.ask("removal of " + fmt.Sprint(ids))
	var refuse error
	if l.hit(l.rates.Throttled, "throttled") {
		refuse = greenroom.ErrThrottled
	}
	err := l.send(r, refuse, func() {
		for _, id := range ids {
			l.terminate(id)
		}
	})
	l.answered(r)
	return err
}

func (l *life) terminate(id string) {
	m := l.byMachine[id]
	if m == nil || l.now >= m.ending || l.now >= m.dead {
		return
	}
	if m.foreign {
		l.fail("machine %s is not ours and was to be removed", id)
		return
	}
	l.checkRemoval(m)
	l.log("world: machine %s of %s is shutting down", m.id, m.handle.Token())
	m.ending = l.now
	m.dead = l.now + l.between(100*time.Millisecond, 8*time.Second)
	if l.rng.IntN(4) == 0 {
		m.dead += l.between(0, 40*time.Second)
	}
	m.unlisted = m.dead + l.between(0, time.Hour)
	l.halt(m)
}

// Places implements compute.Provider.
func (c *cloud) Places(greenroom.Blueprint) []string { return nil }

// List implements compute.Provider.
func (c *cloud) List(ctx context.Context, meeting string) ([]compute.Instance, error) {
	l := (*life)(c)
	l.call()
	seen := l.now
	switch {
	case l.hit(l.rates.DeepStale, "deeply stale list"):
		seen -= l.between(0, 20*time.Second)
	case l.hit(l.rates.Stale, "stale list"):
		seen -= l.between(0, 4*time.Second)
	}
	if l.hit(l.rates.ListError, "list error") {
		l.cur.sleep(l.between(0, 2*time.Second))
		return nil, errWorld
	}
	var out []compute.Instance
	for _, m := range l.machines {
		if !m.foreign && seen >= m.launched && seen < m.unlisted && (meeting == "" || m.handle.Meeting == meeting) {
			out = append(out, m.see(seen))
		}
	}
	answer := l.between(time.Millisecond, 300*time.Millisecond)
	if l.hit(l.rates.SlowList, "slow list") {
		answer = l.between(0, 30*time.Second)
		if left := l.deadline(ctx) - l.now; answer > left {
			l.cur.sleep(left)
			return nil, context.DeadlineExceeded
		}
	}
	l.cur.sleep(answer)
	return out, nil
}
