package dcvagent

import (
	"context"
	"fmt"
	"time"

	"greenroom/internal/logkey"
)

// marks are how long before the end the participant is told of it.
var marks = []time.Duration{10 * time.Minute, 5 * time.Minute, time.Minute}

// nextMark is when the next notice is due before endsAt, and for how much time left, given the mark that was told last for
// this end; 0 if nothing was. A mark that has just passed is due at once, unless the next is near.
func nextMark(endsAt, now time.Time, told time.Duration) (at time.Time, left time.Duration, ok bool) {
	if endsAt.IsZero() {
		return time.Time{}, 0, false
	}
	for i, mark := range marks {
		if told != 0 && mark >= told {
			continue
		}
		due := endsAt.Add(-mark)
		late := now.Sub(due)
		if late <= 0 {
			return due, mark, true
		}
		until := endsAt // what this mark is worth telling until: the next one
		if i+1 < len(marks) {
			until = endsAt.Add(-marks[i+1])
		}
		if late < until.Sub(due)/2 {
			return now, mark, true
		}
	}
	return time.Time{}, 0, false
}

// warnedAt is the mark that counts as told after a notice with so much time left; 0 if it is too early for any.
func warnedAt(left time.Duration) time.Duration {
	var told time.Duration
	for _, mark := range marks {
		if left > 0 && left <= mark {
			told = mark
		}
	}
	return told
}

// tellTime tells the participant, on the desktop, how much time is left: at the marks, and whoever comes after the first of
// them, at once. When the end moves, the marks move along.
func (a *agent) tellTime(ctx context.Context) error {
	var endsAt time.Time
	var told time.Duration
	here := 0 // people connected
	for {
		r, reported := a.report.Get()
		came := len(r.Connections) > here
		here = len(r.Connections)
		n, changed := a.notice.Get()
		if !n.EndsAt.Equal(endsAt) {
			endsAt, told = n.EndsAt, 0
		}
		if n.Ending != "" {
			a.tell(ctx, n.Ending)
			return nil
		}
		if mark := warnedAt(time.Until(endsAt)); came && mark != 0 {
			told = mark
			a.tell(ctx, timeLeft(time.Until(endsAt)))
		}
		at, left, ok := nextMark(endsAt, time.Now(), told)
		var due <-chan time.Time
		if ok {
			due = time.After(min(time.Until(at), time.Minute)) // a timer does not advance while a machine sleeps
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-reported:
		case <-due:
			if !time.Now().Before(at) {
				told = left
				a.tell(ctx, timeLeft(time.Until(endsAt)))
			}
		}
	}
}

// timeLeft is the sentence for a notice.
func timeLeft(left time.Duration) string {
	minutes := int((left + 30*time.Second) / time.Minute)
	if minutes <= 1 {
		return "The meeting ends in one minute. Save your work now."
	}
	return fmt.Sprintf("The meeting ends in %d minutes. Save your work in time.", minutes)
}

func (a *agent) tell(ctx context.Context, text string) {
	s, _ := a.session.Get()
	if err := show(ctx, s.owner, a.environ(), text); err != nil && ctx.Err() == nil {
		a.Logger.Warn("participant not notified", logkey.Err, err)
	}
}
