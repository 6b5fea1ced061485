package plan

import (
	"hash/fnv"
	"strings"
	"time"

	"greenroom"
)

// A proof is taken again looksPerProof times within its age, so that neither a slow look nor one that is lost lets it expire.
const looksPerProof = 3

// How many looks must fail in a row before a desktop is given up, and how long its agent must be silent.
const (
	looksDenied = 2  // it was reached, and did not answer as it should
	looksSilent = 2  // no answer came, and its agent, which reports every ten seconds, has been silent since
	looksLost   = 8  // no answer came; that its agent reports may be all that still works
	forgotten   = 10 // looks further apart than so many pauses do not add up: nobody looked in between
)

// proofPause is between two looks at a desktop that was ready once.
func proofPause(m *greenroom.Meeting) time.Duration { return m.Blueprint.ProofAge() / looksPerProof }

// ProofTimeout bounds a look at a desktop that was ready once.
func ProofTimeout(m *greenroom.Meeting) time.Duration { return m.Blueprint.ProofAge() / 5 }

// doubtPause is between a look that failed and the next.
func doubtPause(m *greenroom.Meeting) time.Duration { return proofPause(m) * 2 / 5 }

// proofAt is when a desktop that was ready once is looked at next.
func proofAt(m *greenroom.Meeting, s *greenroom.Seat) time.Time {
	t := &s.Desktop.Trust
	switch {
	case askedAt(s).After(t.LookedAt):
		return askedAt(s)
	case t.Failed > 0:
		return t.LookedAt.Add(doubtPause(m))
	}
	return t.LookedAt.Add(spread(s.Desktop.InstanceID, proofPause(m)))
}

// askedAt is when somebody wanted to enter last and the proof had expired.
func askedAt(s *greenroom.Seat) time.Time { return later(s.AskedAt, s.Desktop.Trust.WantedAt) }

// spread takes up to a fifth off d, as the name has it: desktops that became ready together are not looked at together for ever.
func spread(name string, d time.Duration) time.Duration {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name))
	return d - d/5*time.Duration(h.Sum32()%256)/256
}

// worthProving reports whether proofs are kept fresh. Where each look costs a call of a function they are while people come; else
// the way in asks for one.
func (p *planner) worthProving(s *greenroom.Seat) bool {
	t := &s.Desktop.Trust
	switch {
	case !p.OnDemand, t.Failed > 0, askedAt(s).After(t.LookedAt):
		return true
	case s.Desktop.Phase == greenroom.InUse:
		return false
	}
	return !p.now.Before(p.m.StartsAt.Add(-comingBefore)) && p.now.Before(p.m.StartsAt.Add(comingAfter))
}

// Around the start people come: within these times proofs are kept fresh even where each costs.
const (
	comingBefore = 2 * time.Minute
	comingAfter  = 5 * time.Minute
)

// prove keeps the proof of a desktop fresh.
func (p *planner) prove(s *greenroom.Seat) {
	if p.worthProving(s) {
		p.effectAt(proofAt(&p.m, s), Prove, s, "its proof is "+age(s.Desktop.LastProof(), p.now), "another proof")
	} else if s.Desktop.Phase == greenroom.Ready {
		p.wait(p.m.StartsAt.Add(-comingBefore), "people who come")
	}
}

func age(at, now time.Time) string {
	return greenroom.Duration(max(now.Sub(at), 0).Round(time.Second)).String() + " old"
}

// unproved fails a desktop that does not answer any more, if nobody can be in it.
func (p *planner) unproved(s *greenroom.Seat) {
	if !p.lost(s) || s.Desktop.Phase == greenroom.InUse && !p.deserted(s) {
		return
	}
	p.fail(s, "The desktop stopped answering"+lastSeenAs(s)+" and is replaced: "+lookSaid(s.Desktop.Proof))
}

// lost reports whether the looks at a desktop amount to a verdict. One look does not.
func (p *planner) lost(s *greenroom.Seat) bool {
	t := &s.Desktop.Trust
	switch {
	case t.Failed >= looksDenied && t.Denied:
		return true
	case t.Failed >= looksLost:
		return true
	case t.Failed < looksSilent || !p.m.Blueprint.Reports():
		return false
	}
	return p.silent(s, silence(&p.m))
}

// silence is how long a report must be missing to be evidence. Agents report every ten seconds.
func silence(m *greenroom.Meeting) time.Duration {
	return max(12*time.Second, m.Blueprint.ProofAge()*4/5)
}

// silent reports whether the desktop's agent has not reported for so long since the desktop stopped answering, and waits for it.
func (p *planner) silent(s *greenroom.Seat, d time.Duration) bool {
	t := &s.Desktop.Trust
	if t.Failed == 0 || s.Desktop.Agent.ReportedAt.After(t.Since) {
		return false
	}
	p.wait(t.Since.Add(d), "a report of the desktop's agent")
	return p.due(t.Since.Add(d))
}

// deserted reports whether nobody can be connected to a desktop in use that does not answer: its agent tells of no connection; its
// person has come to the lobby since; or it is silent, on this machine for proof_age, and elsewhere, where it and the looks may be
// cut off from greenroom and not from its person, for empty_after. An open stream through greenroom's own listener is no
// evidence: the kernel keeps the connections of a stopped program open.
func (p *planner) deserted(s *greenroom.Seat) bool {
	d := &s.Desktop
	if s.AskedAt.After(d.Trust.Since) {
		return true
	}
	if !p.m.Blueprint.Reports() {
		return false
	}
	patience := time.Duration(p.m.Blueprint.Rules.EmptyAfter)
	if p.m.Blueprint.Provider == greenroom.ProviderLocal {
		patience = min(p.m.Blueprint.ProofAge(), patience)
	}
	return !d.Connected() || p.silent(s, patience)
}

// lookSaid is what a look that failed saw, for people.
func lookSaid(proof *greenroom.Proof) string {
	if proof == nil || len(proof.Steps) == 0 {
		return "nothing is known of why."
	}
	last := proof.Steps[len(proof.Steps)-1]
	return strings.TrimSuffix(last.Name+": "+last.Detail, ".") + "."
}

func lastSeenAs(s *greenroom.Seat) string {
	if at := s.Desktop.LastProof(); !at.IsZero() {
		return " after " + at.UTC().Format(time.TimeOnly) + " UTC"
	}
	return ""
}

// reproved takes the outcome of a look at a desktop that was ready once. What is older than the last look is no news.
func reproved(m *greenroom.Meeting, s *greenroom.Seat, proof greenroom.Proof, now time.Time) *greenroom.Event {
	d := &s.Desktop
	t := &d.Trust
	if !proof.At.After(t.LookedAt) {
		return nil
	}
	if proof.At.Sub(t.LookedAt) > forgotten*proofPause(m) {
		t.Failed = 0
	}
	proof = believed(m, proof)
	t.LookedAt, d.Proof = proof.At, &proof
	if proof.OK {
		narrowed := narrow(s, proof, now)
		told := t.Told
		t.ProvedAt, t.Failed, t.Since, t.Denied, t.Told = proof.At, 0, time.Time{}, false, false
		if !told {
			return narrowed
		}
		return trustEvent(s, greenroom.EventProblemOver, "The desktop answers again.", now)
	}
	if t.Failed == 0 {
		t.Since = proof.At
	}
	t.Failed, t.Denied = t.Failed+1, !proof.Lost
	if t.Failed != looksDenied || t.Told {
		return nil
	}
	if t.Times++; !worthTelling(t.Times) {
		return nil
	}
	t.Told = true
	return trustEvent(s, greenroom.EventProblem, "The desktop does not answer: "+lookSaid(d.Proof), now)
}

// worthTelling reports whether the timeline tells of the nth time: of the first ones, and then seldom.
func worthTelling(n int) bool { return n <= 3 || n == 10 || n == 100 || n == 1000 }

func trustEvent(s *greenroom.Seat, kind greenroom.EventKind, message string, now time.Time) *greenroom.Event {
	return &greenroom.Event{At: now, Kind: kind, Seat: s.ID, Attempt: s.Desktop.Attempt, Message: message}
}
