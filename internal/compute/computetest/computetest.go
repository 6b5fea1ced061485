// Package computetest is the suite of package compute: what every provider promises, whatever its machines are.
package computetest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/agent/agentapi"
	"greenroom/internal/compute"
)

// patience is for machines to come and go.
const patience = time.Minute

// Run runs the suite. open gives a provider without instances, and closes it, with all it made, when the test ends.
func Run(t *testing.T, open func(t *testing.T) compute.Provider) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, p compute.Provider)
	}{
		{"LaunchTwiceWithOneTokenIsOneInstance", launchTwice},
		{"LaunchAtOnceWithOneTokenIsOneInstance", launchAtOnce},
		{"NewAttemptIsAnotherInstance", newAttempt},
		{"OutcomesAnswerTheirRequests", outcomes},
		{"ListByMeeting", listByMeeting},
		{"InstancesComeToRun", comeToRun},
		{"GoneAfterTerminate", goneAfterTerminate},
		{"TokenOfATerminatedInstanceLaunchesNothing", usedUp},
		{"TerminateTwiceIsFine", terminateTwice},
		{"TerminateDuringLaunchLeavesNothing", terminateDuringLaunch},
		{"UnknownIDIsFine", unknownID},
		{"ManyAtOnce", manyAtOnce},
		{"EndedLaunchTakesNoHold", endedLaunch},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t, open(t))
		})
	}
}

// Request asks for the attempt at a seat of the meeting. Its user data leads to no control plane.
func Request(meeting, role string, attempt int) compute.Request {
	killAt := time.Now().Add(time.Hour)
	data, _ := json.Marshal(agentapi.UserData{ControlURL: "http://127.0.0.1:9", Secret: rand.Text(), KillAt: killAt,
		Protocol: "novnc", Screen: "1024x768", Title: "Suite", Role: role}) // it is made of strings and a time
	return compute.Request{
		Handle:    greenroom.Handle{Meeting: meeting, Seat: role, Attempt: attempt},
		Blueprint: greenroom.DefaultBlueprint(), KillAt: killAt, UserData: data,
	}
}

func launch(t *testing.T, p compute.Provider, requests ...compute.Request) []compute.Instance {
	t.Helper()
	var got []compute.Instance
	for i, o := range p.Launch(t.Context(), requests) {
		if o.Err != nil {
			t.Fatalf("launch %s: %v", requests[i].Handle.Token(), o.Err)
		}
		if o.Instance.Handle != requests[i].Handle {
			t.Fatalf("outcome %d is of %v, want %v", i, o.Instance.Handle, requests[i].Handle)
		}
		if !greenroom.ValidInstanceID(o.Instance.ID) {
			t.Fatalf("instance id %q is not of EC2's form", o.Instance.ID)
		}
		got = append(got, o.Instance)
	}
	return got
}

// live counts the instances of the meeting that are not being removed.
func live(t *testing.T, p compute.Provider, meeting string) map[string]compute.Instance {
	t.Helper()
	list, err := p.List(t.Context(), meeting)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]compute.Instance{}
	for _, i := range list {
		if i.State == compute.Pending || i.State == compute.Running {
			found[i.ID] = i
		}
	}
	return found
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline, tick := time.After(patience), time.NewTicker(10*time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("waited in vain for: %s", what)
		case <-tick.C:
		}
	}
}

func launchTwice(t *testing.T, p compute.Provider) {
	m := greenroom.NewMeetingID()
	r := Request(m, "teacher", 1) // once: it says when it was made
	first, again := launch(t, p, r), launch(t, p, r)
	if first[0].ID != again[0].ID {
		t.Errorf("one token gave %s and %s", first[0].ID, again[0].ID)
	}
	if n := len(live(t, p, m)); n != 1 {
		t.Errorf("%d instances live, want 1", n)
	}
}

func launchAtOnce(t *testing.T, p compute.Provider) {
	m := greenroom.NewMeetingID()
	var mu sync.Mutex
	ids := map[string]bool{}
	r := Request(m, "teacher", 1)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for _, o := range p.Launch(t.Context(), []compute.Request{r}) {
				mu.Lock()
				defer mu.Unlock()
				if o.Err != nil {
					t.Error(o.Err)
				}
				ids[o.Instance.ID] = true
			}
		})
	}
	wg.Wait()
	if len(ids) != 1 || len(live(t, p, m)) != 1 {
		t.Errorf("one token gave %v", ids)
	}
}

func newAttempt(t *testing.T, p compute.Provider) {
	m := greenroom.NewMeetingID()
	got := launch(t, p, Request(m, "teacher", 1), Request(m, "teacher", 2))
	if got[0].ID == got[1].ID {
		t.Errorf("two attempts are both %s", got[0].ID)
	}
	eventually(t, "two addresses", func() bool {
		l := live(t, p, m)
		a, b := l[got[0].ID].Address, l[got[1].ID].Address
		return a != "" && b != "" && a != b
	})
}

func outcomes(t *testing.T, p compute.Provider) {
	m := greenroom.NewMeetingID()
	launch(t, p, Request(m, "teacher", 1), Request(m, "student", 1), Request(m, "guest", 1)) // which compares the handles
	if got := p.Launch(t.Context(), nil); len(got) != 0 {
		t.Errorf("no request has %d outcomes", len(got))
	}
}

func listByMeeting(t *testing.T, p compute.Provider) {
	a, b := greenroom.NewMeetingID(), greenroom.NewMeetingID()
	of := launch(t, p, Request(a, "teacher", 1))
	launch(t, p, Request(b, "teacher", 1))
	got := live(t, p, a)
	if _, ok := got[of[0].ID]; !ok || len(got) != 1 {
		t.Errorf("meeting %s has %v", a, got)
	}
	if got[of[0].ID].Handle != of[0].Handle || got[of[0].ID].LaunchedAt.IsZero() {
		t.Errorf("listed as %+v", got[of[0].ID])
	}
	if n := len(live(t, p, "")); n != 2 {
		t.Errorf("%d instances in all, want 2", n)
	}
	if n := len(live(t, p, greenroom.NewMeetingID())); n != 0 {
		t.Errorf("a meeting without instances has %d", n)
	}
}

func comeToRun(t *testing.T, p compute.Provider) {
	m := greenroom.NewMeetingID()
	i := launch(t, p, Request(m, "teacher", 1))[0]
	var now compute.Instance
	eventually(t, "running with an address", func() bool {
		now = live(t, p, m)[i.ID]
		return now.State == compute.Running && now.Address != ""
	})
	main, err := netip.ParseAddr(now.Address)
	if err != nil {
		t.Errorf("address %q: %v", now.Address, err)
	}
	if six, err := netip.ParseAddr(now.Address6); now.Address6 != "" && (err != nil || !six.Is6() || !main.Is4()) {
		t.Errorf("beside %q it has %q", now.Address, now.Address6)
	}
}

func goneAfterTerminate(t *testing.T, p compute.Provider) {
	m := greenroom.NewMeetingID()
	got := launch(t, p, Request(m, "teacher", 1), Request(m, "student", 1))
	if err := p.Terminate(t.Context(), got[0].ID); err != nil {
		t.Fatal(err)
	}
	eventually(t, "one gone", func() bool { return gone(t, p, got[0].ID) })
	if _, ok := live(t, p, m)[got[1].ID]; !ok {
		t.Error("the other instance went too")
	}
}

// usedUp asks once more, late, for what was launched and terminated meanwhile.
func usedUp(t *testing.T, p compute.Provider) {
	m := greenroom.NewMeetingID()
	r := Request(m, "teacher", 1)
	got := launch(t, p, r)
	if err := p.Terminate(t.Context(), got[0].ID); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it to be gone", func() bool { return gone(t, p, got[0].ID) })
	o := p.Launch(t.Context(), []compute.Request{r})[0]
	if o.Err == nil && (o.Instance.ID != got[0].ID || o.Instance.State != compute.Terminated) {
		t.Errorf("the token was answered with %+v", o.Instance)
	}
	if !gone(t, p, got[0].ID) {
		t.Error("the token launched a second instance")
	}
}

// gone reports whether the instance is absent, or listed as terminated.
func gone(t *testing.T, p compute.Provider, id string) bool {
	list, err := p.List(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range list {
		if i.ID == id && i.State != compute.Terminated {
			return false
		}
	}
	return true
}

func terminateTwice(t *testing.T, p compute.Provider) {
	i := launch(t, p, Request(greenroom.NewMeetingID(), "teacher", 1))[0]
	for range 2 {
		if err := p.Terminate(t.Context(), i.ID, i.ID); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "gone", func() bool { return gone(t, p, i.ID) })
	if err := p.Terminate(t.Context(), i.ID); err != nil {
		t.Errorf("terminate what is gone: %v", err)
	}
}

func terminateDuringLaunch(t *testing.T, p compute.Provider) {
	r := Request(greenroom.NewMeetingID(), "teacher", 1)
	var wg sync.WaitGroup
	wg.Go(func() { p.Launch(t.Context(), []compute.Request{r}) })
	eventually(t, "listed", func() bool { return len(live(t, p, "")) == 1 })
	for id := range live(t, p, "") {
		if err := p.Terminate(t.Context(), id); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
	eventually(t, "nothing", func() bool { return len(live(t, p, "")) == 0 })
}

func unknownID(t *testing.T, p compute.Provider) {
	if err := p.Terminate(t.Context(), "i-00000000000000000"); err != nil {
		t.Errorf("terminate what never was: %v", err)
	}
	if err := p.Terminate(t.Context()); err != nil {
		t.Errorf("terminate nothing: %v", err)
	}
}

func manyAtOnce(t *testing.T, p compute.Provider) {
	m := greenroom.NewMeetingID()
	var requests []compute.Request
	for n := range 6 {
		requests = append(requests, Request(m, fmt.Sprintf("seat-%d", n), 1))
	}
	ids := map[string]bool{}
	for _, i := range launch(t, p, requests...) {
		ids[i.ID] = true
	}
	if len(ids) != len(requests) || len(live(t, p, m)) != len(requests) {
		t.Errorf("%d requests gave %d instances, %d of them listed", len(requests), len(ids), len(live(t, p, m)))
	}
	for id := range ids {
		if err := p.Terminate(t.Context(), id); err != nil {
			t.Error(err)
		}
	}
	eventually(t, "all gone", func() bool { return len(live(t, p, m)) == 0 })
}

// stopped is a context as a process meets it that was stopped and goes on: its deadline has passed, and no timer
// has fired yet. The first looks at it are from before the stop.
type stopped struct {
	context.Context
	looks atomic.Int32
}

func (s *stopped) Deadline() (time.Time, bool) {
	if s.looks.Add(-1) >= 0 {
		return time.Now().Add(time.Minute), true
	}
	return time.Now().Add(-time.Minute), true
}

func endedLaunch(t *testing.T, p compute.Provider) {
	m := greenroom.NewMeetingID()
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	contexts := []context.Context{cancelled}
	for looks := range int32(8) {
		s := &stopped{Context: t.Context()}
		s.looks.Store(looks)
		contexts = append(contexts, s)
	}
	const mustFail = 2 // their end is there to be seen from the beginning
	launched := map[string]bool{}
	for n, ctx := range contexts {
		o := p.Launch(ctx, []compute.Request{Request(m, fmt.Sprintf("seat-%d", n), 1)})[0]
		if o.Err == nil {
			launched[o.Instance.ID] = true
		}
		if o.Err == nil && n < mustFail {
			t.Errorf("launch %d happened after its end", n)
		}
	}
	if found := live(t, p, m); len(found) != len(launched) {
		t.Errorf("%d launches went well, and there is %v", len(launched), found)
	}
	// The same token launches as if nothing had been.
	if again := launch(t, p, Request(m, "seat-1", 1)); launched[again[0].ID] || len(live(t, p, m)) != len(launched)+1 {
		t.Errorf("after the refusal there is %v", live(t, p, m))
	}
}
