package sim

import (
	"context"
	"errors"
	"time"
)

// errWorld is a failure that says nothing about what took effect.
var errWorld = errors.New("the connection broke")

// call is what precedes every call to the world: a moment in which anything may happen to the process.
func (l *life) call() {
	t := l.cur
	if t == nil || t.p == nil {
		return
	}
	l.calls++
	p, r := t.p, l.rates
	if l.hit(r.Crash, "crash") {
		l.at(l.now, p.crash)
		l.faults["crash"]--
	} else if l.hit(r.Stop, "stop") {
		p.stopped = l.now + l.between(0, r.StopFor)
		l.log("%s is stopped for %s", p.name, p.stopped-l.now)
	} else if l.hit(r.ClockJump, "clock jump") {
		p.setClock()
		l.log("%s's clock is set; it is off by %s", p.name, p.offset)
	}
	t.sleep(l.between(0, 3*time.Millisecond))
}

// request is a call over the network: hold is when it takes effect in the world, answer when the caller hears of it.
type request struct {
	limit time.Duration // nothing takes effect or is answered after this
	last  time.Duration // the last answer so far
}

func (l *life) request(ctx context.Context) *request {
	l.call()
	return &request{limit: l.deadline(ctx), last: l.now}
}

// deadline gives when ctx ends, in the world's time. A process counts by its own clock.
func (l *life) deadline(ctx context.Context) time.Duration {
	if d, ok := ctx.Deadline(); ok {
		return d.Sub(epoch) - l.cur.p.offset
	}
	return l.now + time.Hour
}

// send lets f take effect at its moment, unless err refuses it. It gives what the caller will be told.
func (l *life) send(r *request, refuse error, f func()) error {
	hold := l.now + l.between(time.Millisecond, 300*time.Millisecond)
	if l.hit(l.rates.Slow, "slow answer") {
		hold = l.now + l.between(0, 30*time.Second)
		if l.rng.IntN(2) == 0 { // at the last moment
			hold = max(l.now, min(r.limit, l.now+time.Minute)-l.between(0, time.Second))
		}
	}
	answer := hold + l.between(time.Millisecond, 300*time.Millisecond)
	err := refuse
	switch {
	case err != nil:
	case l.hit(l.rates.Refused, "error before the effect"):
		err = errWorld
	default:
		if hold <= r.limit {
			l.at(hold, f)
		}
		if l.hit(l.rates.LostReply, "error after the effect") {
			err = errWorld
			if l.rng.IntN(3) == 0 {
				answer = l.now + time.Hour // it never comes
			}
		}
	}
	if answer > r.limit {
		answer, err = max(r.limit, l.now), context.DeadlineExceeded
	}
	r.last = max(r.last, answer)
	return err
}

// answered waits for the last answer.
func (l *life) answered(r *request) { l.cur.until(r.last) }

// hot bounds how often one effect of one attempt is asked for.
type asked struct {
	what   string
	minute time.Duration
}

// maxAsked is how often an effect may be asked for in a minute by all replicas together.
const maxAsked = 60

func (l *life) ask(what string) {
	k := asked{what, l.now / time.Minute}
	if l.asked[k]++; l.asked[k] > maxAsked {
		l.fail("%s was asked for more than %d times in a minute", what, maxAsked)
	}
}
