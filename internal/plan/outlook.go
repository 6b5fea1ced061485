package plan

import (
	"fmt"
	"time"

	"greenroom"
)

// Outlook says what comes next for a seat's desktop: at the latest then, if the time is known, and what and why, to
// be read after it. It is what people are told; Plan decides.
func Outlook(m *greenroom.Meeting, s *greenroom.Seat, now time.Time) (time.Time, string) {
	d := &s.Desktop
	switch {
	case m.Closed:
		return time.Time{}, "nothing: the meeting has ended and nothing of it remains"
	case m.ParkedUntil.After(now):
		return m.ParkedUntil, "the parking ends; until then greenroom does nothing for this desktop, which keeps running"
	case d.Phase.Starting():
		return startingOutlook(m, s, now)
	case d.Phase == greenroom.Terminating, d.Phase == greenroom.Failed && !d.Cleared:
		return removalOutlook(m, d, now)
	case d.Phase == greenroom.Failed:
		return failedOutlook(m, s)
	case m.EndReason != "":
		return time.Time{}, "the desktop is removed: the meeting is over"
	}
	switch d.Phase {
	case greenroom.Planned:
		if d.Attempt > 1 && !m.LaunchAt().After(now) {
			return d.RetryAt, fmt.Sprintf("a new machine is asked for, attempt %d", d.Attempt)
		}
		return m.LaunchAt(), fmt.Sprintf("a machine is asked for, %s before the start (lead)", m.Blueprint.Rules.Lead)
	case greenroom.Ready:
		return absentAt(m, s), "the desktop is removed if nobody has come (no_show_after); whoever comes later gets a new one"
	case greenroom.InUse:
		return inUseOutlook(m, s)
	default:
		at, why := EndOutlook(m)
		return at, why + "; a new desktop is started at once if its person comes before"
	}
}

// EndOutlook says when the meeting ends if nothing else happens, and why, to be read after it. Zero if it is over.
func EndOutlook(m *greenroom.Meeting) (time.Time, string) {
	r := m.Blueprint.Rules
	up, last := timeIsUp(m), emptySince(m)
	switch empty := last.Add(time.Duration(r.EmptyAfter)); {
	case m.EndReason != "":
		return time.Time{}, "nothing: the meeting is over"
	case connected(m):
		return overtimeEnds(m), "the meeting ends, at the end of overtime; somebody is connected"
	case m.Used() && m.Blueprint.Reports() && empty.Before(up):
		return empty, fmt.Sprintf("the meeting ends if nobody has been connected for %s (empty_after)", r.EmptyAfter)
	case m.Used():
		return up, "the meeting ends, when its time and grace are over"
	}
	return up, "the meeting ends as " + string(unusedReason(m)) + " if nobody has come"
}

func startingOutlook(m *greenroom.Meeting, s *greenroom.Seat, now time.Time) (time.Time, string) {
	d := &s.Desktop
	if m.EndReason != "" {
		return time.Time{}, "the desktop is removed: the meeting is over"
	}
	if d.RetryAt.After(now) && refused(d) {
		return d.RetryAt, fmt.Sprintf("the provider is asked again for a machine, which it has refused since %s: every minute until the meeting's end, and at once when another machine goes", d.Blocked.Since.UTC().Format(time.TimeOnly+" UTC"))
	}
	if d.RetryAt.After(now) && d.Phase == greenroom.Naming && d.Error == "" {
		return d.RetryAt, "the zone is asked again whether all its servers know the name, which normally takes up to a minute"
	}
	if d.RetryAt.After(now) {
		return d.RetryAt, fmt.Sprintf("the %s is tried again after %d failed tries", d.Phase.Words().Action, d.Tries)
	}
	waits := d.Phase.Words().WaitsFor
	if d.Phase == greenroom.Proving && m.Blueprint.Reports() && d.Agent.ReadyAt.IsZero() {
		waits = "the desktop's agent to report that its screen is up"
	}
	return stageBegan(d).Add(stageDeadline(m, d.Phase)), "waits for " + waits + ", at the latest; then the desktop is replaced"
}

func removalOutlook(m *greenroom.Meeting, d *greenroom.Desktop, now time.Time) (time.Time, string) {
	after := ""
	if d.Phase == greenroom.Failed {
		after = "; then it is replaced if there is time and retries are left"
	}
	if d.RetryAt.After(now) {
		return d.RetryAt, fmt.Sprintf("the removal is tried again after %d failed tries%s", d.Tries, after)
	}
	if until, ok := wrapUpUntil(m, d); ok && until.After(now) {
		return until, "the machine is removed, at once when its end hooks have ended (wrap_up)"
	}
	if !d.RemovalAskedAt.IsZero() {
		return d.RemovalAskedAt.Add(removalRetry), "the removal is asked for again if the machine is still there" + after
	}
	return time.Time{}, "machine and name are being removed, until both are confirmed to be gone" + after
}

func failedOutlook(m *greenroom.Meeting, s *greenroom.Seat) (time.Time, string) {
	d := &s.Desktop
	switch {
	case m.EndReason != "" || s.Removed:
		return time.Time{}, "nothing: the desktop failed, and what was left of it is gone"
	case givenUp(s) && d.Permanent:
		return time.Time{}, "nothing by itself: no retry can fix the error; fix it, then its person asks for a new desktop on the join page"
	case givenUp(s):
		return time.Time{}, fmt.Sprintf("nothing by itself: given up after %d failures in a row; fix the cause, then its person asks for a new desktop on the join page", s.Failures)
	}
	return later(d.Timings[greenroom.Failed].Add(backoff(s.Failures-1)), d.TurnAt), fmt.Sprintf("attempt %d begins, after failure %d of at most %d in a row", d.Attempt+1, s.Failures, maxFailures)
}

func inUseOutlook(m *greenroom.Meeting, s *greenroom.Seat) (time.Time, string) {
	end, rule := EndOutlook(m)
	rule = "it is removed with the meeting: " + rule
	if kill := s.Desktop.KillAt; !kill.IsZero() && kill.Before(end) {
		return kill, "the machine reaches its maximum age (kill_after) and is removed"
	}
	return end, rule
}
