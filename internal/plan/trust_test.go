package plan_test

import (
	"strings"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/plan"
)

// look is what a look at the teacher's desktop came to.
type look int

const (
	fine   look = iota
	denied      // it answered, and wrongly
	lost        // no answer came
)

// watched is a meeting whose teacher's desktop is looked at; from its life begins at start.
type watched struct {
	t   *testing.T
	m   greenroom.Meeting
	now time.Time
}

func watch(t *testing.T, phase greenroom.Phase, alter func(m *greenroom.Meeting)) *watched {
	t.Helper()
	m := ok(phase)
	m.Seats = m.Seats[:1]
	m.Seats[0].Desktop.Trust = greenroom.Trust{ProvedAt: start, LookedAt: start}
	m.Seats[0].Desktop.Agent.ReportedAt = start
	if phase == greenroom.InUse {
		inUse(&m, "teacher", start)
		m.Seats[0].Desktop.Trust = greenroom.Trust{ProvedAt: start, LookedAt: start}
	}
	if alter != nil {
		alter(&m)
	}
	return &watched{t: t, m: m, now: start}
}

// until lets time pass until the planner asks for a look, or wants nothing more before limit, and gives it.
func (w *watched) until(limit time.Duration) plan.Decision {
	w.t.Helper()
	for range 1000 {
		d := decide(w.m, w.now)
		w.m = d.Meeting
		if len(d.Effects) > 0 || d.Wake.IsZero() || d.Wake.After(start.Add(limit)) {
			return d
		}
		w.now = d.Wake
	}
	w.t.Fatal("it never comes to rest")
	return plan.Decision{}
}

// look waits for the next look and gives it an outcome. It returns what the timeline says.
func (w *watched) look(o look) []greenroom.Event {
	w.t.Helper()
	d := w.until(time.Hour)
	if len(d.Effects) != 1 || d.Effects[0].Do != plan.Prove {
		w.t.Fatalf("at %s: effects %v, want a look", w.now.Sub(start), verbs(d))
	}
	w.now = w.now.Add(100 * time.Millisecond)
	proof := &greenroom.Proof{OK: o == fine, Lost: o == lost, At: w.now, Steps: []greenroom.ProofStep{{Name: "page", OK: o == fine, Detail: "answers 503"}}}
	return mustSettle(&w.m, "desk.localhost", []plan.Outcome{{Effect: d.Effects[0], Proof: proof}}, w.now)
}

func (w *watched) desktop() *greenroom.Desktop { return &w.m.Seats[0].Desktop }

// phase is where the desktop is at that time, if nobody looks.
func (w *watched) phase(at time.Duration) greenroom.Phase {
	return decide(w.m, start.Add(at)).Meeting.Seats[0].Desktop.Phase
}

func TestAProofIsTakenAgainBeforeItExpires(t *testing.T) {
	t.Parallel()
	for _, provider := range []greenroom.Provider{greenroom.ProviderLocal, greenroom.ProviderEC2} {
		w := watch(t, greenroom.Ready, func(m *greenroom.Meeting) { m.Blueprint.Provider = provider })
		most := w.m.Blueprint.ProofAge()
		for range 20 {
			if events := w.look(fine); len(events) > 0 {
				t.Fatalf("a proof that holds is news: %v", events)
			}
			if next := w.until(time.Hour); w.now.Sub(w.desktop().Trust.ProvedAt) > most/2 || !w.m.Proved(&w.m.Seats[0], w.now) || len(next.Effects) == 0 {
				t.Fatalf("%s: the proof is %s old when the next is due", provider, w.now.Sub(w.desktop().Trust.ProvedAt))
			}
		}
		if w.m.Proved(&w.m.Seats[0], w.desktop().Trust.ProvedAt.Add(most+time.Millisecond)) {
			t.Errorf("%s: a proof older than %s holds", provider, most)
		}
	}
}

func TestOneLookIsNoVerdict(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]look{"denied": denied, "lost": lost} {
		w := watch(t, greenroom.Ready, nil)
		w.look(o)
		if got := w.phase(2 * time.Minute); got != greenroom.Ready {
			t.Errorf("%s once: %s", name, got)
		}
		w.look(fine)
		w.look(o)
		if got := w.phase(2 * time.Minute); got != greenroom.Ready || w.desktop().Trust.Failed != 1 {
			t.Errorf("%s twice, and not in a row: %s, %d", name, got, w.desktop().Trust.Failed)
		}
	}
}

func TestTwoDeniedLooksReplaceAnUnusedDesktopAtOnce(t *testing.T) {
	t.Parallel()
	w := watch(t, greenroom.Ready, nil)
	w.look(denied)
	events := w.look(denied)
	if took := w.now.Sub(start); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
	if len(events) != 1 || events[0].Kind != greenroom.EventProblem || !strings.Contains(events[0].Message, "does not answer: page: answers 503.") {
		t.Errorf("the timeline says %v", events)
	}
	d := decide(w.m, w.now)
	if got := d.Meeting.Seats[0].Desktop; got.Phase != greenroom.Failed || !strings.HasPrefix(got.Error, "The desktop stopped answering after 15:00:00 UTC and is replaced: page") {
		t.Errorf("%s: %q", got.Phase, got.Error)
	}
}

func TestLostLooksNeedASilentAgent(t *testing.T) {
	t.Parallel()
	w := watch(t, greenroom.Ready, nil)
	w.look(lost)
	since := w.now
	w.look(lost)
	if got := w.phase(since.Add(11 * time.Second).Sub(start)); got != greenroom.Ready {
		t.Errorf("before a report is missing: %s", got)
	}
	if got := w.phase(since.Add(12 * time.Second).Sub(start)); got != greenroom.Failed {
		t.Errorf("after twelve seconds without a report: %s", got)
	}
	w.desktop().Agent.ReportedAt = since.Add(time.Second)
	if got := w.phase(time.Minute); got != greenroom.Ready {
		t.Errorf("its agent lives: %s", got)
	}
	for range 5 {
		w.look(lost)
		if got := w.phase(w.now.Sub(start)); got != greenroom.Ready {
			t.Fatalf("its agent lives, after %d looks: %s", w.desktop().Trust.Failed, got)
		}
	}
	w.look(lost)
	if got := w.phase(w.now.Sub(start)); got != greenroom.Failed {
		t.Errorf("an agent that reports and serves nobody, after %d looks: %s", w.desktop().Trust.Failed, got)
	}
}

func TestADesktopInUseIsReplacedWhenNobodyCanBeInIt(t *testing.T) {
	t.Parallel()
	const long = 20 * time.Second
	for name, tt := range map[string]struct {
		look  look
		alter func(m *greenroom.Meeting)
		want  greenroom.Phase
	}{
		"somebody is connected, and its agent reports": {denied, func(m *greenroom.Meeting) { m.Seats[0].Desktop.Agent.ReportedAt = start.Add(10 * time.Second) }, greenroom.InUse},
		"its person is away":                           {denied, func(m *greenroom.Meeting) { away(m, "teacher", start) }, greenroom.Failed},
		"its person has come to the lobby": {denied, func(m *greenroom.Meeting) {
			m.Seats[0].AskedAt = start.Add(9 * time.Second)
			m.Seats[0].Desktop.Agent.ReportedAt = start.Add(10 * time.Second)
		}, greenroom.Failed},
		"its agent is silent, on this machine": {lost, func(*greenroom.Meeting) {}, greenroom.Failed},
		"its agent is silent, elsewhere": {lost, func(m *greenroom.Meeting) {
			m.Blueprint.Provider, m.Blueprint.Rules.ProofAge = greenroom.ProviderEC2, greenroom.Duration(15*time.Second)
		}, greenroom.InUse},
		"nobody knows who is in it": {denied, func(m *greenroom.Meeting) { m.Blueprint.Agent = "none" }, greenroom.InUse},
	} {
		w := watch(t, greenroom.InUse, nil)
		if name == "its agent is silent, elsewhere" || name == "nobody knows who is in it" {
			tt.alter(&w.m)
		}
		w.look(tt.look)
		w.look(tt.look)
		tt.alter(&w.m)
		if got := w.phase(w.now.Add(long).Sub(start)); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

func TestAnAnswerEndsTheDoubt(t *testing.T) {
	t.Parallel()
	w := watch(t, greenroom.InUse, func(m *greenroom.Meeting) { m.Seats[0].Desktop.Agent.ReportedAt = start.Add(time.Hour) })
	told := 0
	for range 6 { // it flaps
		w.look(denied)
		told += len(w.look(denied))
		told += len(w.look(fine))
	}
	if got := w.desktop().Trust; got.Failed != 0 || got.Times != 6 || told != 6 {
		t.Errorf("%+v, %d entries on the timeline, want three pairs", got, told)
	}
}

func TestWhatNobodyLookedAtForLongDoesNotAddUp(t *testing.T) {
	t.Parallel()
	w := watch(t, greenroom.Ready, nil)
	w.look(denied)
	w.now = w.now.Add(10 * time.Minute) // greenroom was away
	w.look(denied)
	if got := w.desktop(); got.Trust.Failed != 1 || w.phase(w.now.Sub(start)) != greenroom.Ready {
		t.Errorf("%+v", got.Trust)
	}
}

func TestWhereLooksCostTheyAreTakenWhilePeopleCome(t *testing.T) {
	t.Parallel()
	at := func(phase greenroom.Phase, when time.Duration, alter func(m *greenroom.Meeting)) []string {
		w := watch(t, phase, func(m *greenroom.Meeting) {
			m.Seats[0].Desktop.Trust = greenroom.Trust{ProvedAt: start.Add(-5 * time.Minute), LookedAt: start.Add(-5 * time.Minute)}
			if alter != nil {
				alter(m)
			}
		})
		return verbs(mustPlan(plan.Snapshot{Meeting: w.m, Zone: "desk.localhost", Observed: true, Instances: listed(&w.m), OnDemand: true}, start.Add(when)))
	}
	for name, tt := range map[string]struct {
		got  []string
		want int
	}{
		"long before the start": {at(greenroom.Ready, -3*time.Minute, nil), 0},
		"near the start":        {at(greenroom.Ready, -time.Minute, nil), 1},
		"long after it":         {at(greenroom.Ready, 6*time.Minute, nil), 0},
		"in use":                {at(greenroom.InUse, time.Minute, nil), 0},
		"somebody asks":         {at(greenroom.InUse, time.Minute, func(m *greenroom.Meeting) { m.Seats[0].AskedAt = start.Add(time.Minute) }), 1},
		"in doubt":              {at(greenroom.InUse, time.Minute, func(m *greenroom.Meeting) { m.Seats[0].Desktop.Trust.Failed = 1 }), 1},
	} {
		if len(tt.got) != tt.want {
			t.Errorf("%s: %v", name, tt.got)
		}
	}
}

// TestADesktopOfTheVersionBefore has one proof, taken when it became ready, and no notes of looks.
func TestADesktopOfTheVersionBefore(t *testing.T) {
	t.Parallel()
	w := watch(t, greenroom.Ready, func(m *greenroom.Meeting) {
		d := &m.Seats[0].Desktop
		d.Trust, d.Proof = greenroom.Trust{}, &greenroom.Proof{OK: true, At: start}
	})
	seat := &w.m.Seats[0]
	if !w.m.Proved(seat, start.Add(15*time.Second)) || w.m.Proved(seat, start.Add(16*time.Second)) {
		t.Error("its proof does not expire as others do")
	}
	w.now = start.Add(time.Hour - time.Minute)
	w.m.StartsAt = w.now
	w.look(denied)
	if got := w.phase(w.now.Sub(start)); got != greenroom.Ready {
		t.Errorf("after the first look: %s", got)
	}
	w.look(fine)
	if !w.m.Proved(&w.m.Seats[0], w.now) {
		t.Error("a look that saw it is no proof")
	}
}
