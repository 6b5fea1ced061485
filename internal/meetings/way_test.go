package meetings_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/agent/agentapi"
	"greenroom/internal/meetings"
)

// placed is a ready desktop with an address, and the name it has.
func (b *bundle) placed() (greenroom.Meeting, string) {
	b.t.Helper()
	m, _, _ := b.ready()
	m = b.alter(m.ID, func(m *greenroom.Meeting) { m.Seat("teacher").Desktop.Address = "10.0.0.7" })
	return m, m.Seat("teacher").Desktop.Hostname
}

func TestWay(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m, name := b.placed()
	w, err := b.Way(t.Context(), name)
	d := m.Seat("teacher").Desktop
	if err != nil || !w.Open || w.Proving || w.Address.String() != "10.0.0.7" || w.KeyHash == "" || w.KeyHash != d.Agent.KeyHash || w.Role != "teacher" || w.Title != "Algebra" ||
		strings.Contains(w.LobbyURL, "key") || !strings.HasSuffix(w.LobbyURL, "/join/"+m.ID+"/teacher") {
		t.Errorf("%+v %v", w, err)
	}
	for _, other := range []string{"", "desk.localhost", "i-0123456789abcdef1.desk.localhost", d.InstanceID + ".elsewhere.test", strings.ToUpper(name)} {
		if _, err := b.Way(t.Context(), other); !errors.Is(err, greenroom.ErrNotFound) {
			t.Errorf("%q: %v", other, err)
		}
	}
	// A service that did not see the enrolment, as after a restart or on another replica, finds it too.
	again := meetings.New(b.Options)
	if w, err := again.Way(t.Context(), name); err != nil || w.Role != "teacher" {
		t.Errorf("after a restart: %+v %v", w, err)
	}
	for phase, want := range map[greenroom.Phase][2]bool{ // open, proving
		greenroom.Naming: {false, true}, greenroom.Proving: {false, true}, greenroom.Ready: {true, false}, greenroom.InUse: {true, false}, greenroom.Terminating: {false, false},
	} {
		b.alter(m.ID, func(m *greenroom.Meeting) { m.Seat("teacher").Desktop.Phase = phase })
		if w, err := b.Way(t.Context(), name); err != nil || w.Open != want[0] || w.Proving != want[1] {
			t.Errorf("%s: %+v %v", phase, w, err)
		}
	}
	b.alter(m.ID, func(m *greenroom.Meeting) { m.Seat("teacher").Desktop.Phase = greenroom.Gone })
	if _, err := b.Way(t.Context(), name); !errors.Is(err, greenroom.ErrNotFound) {
		t.Errorf("a desktop that is gone: %v", err)
	}
}

func TestAdmit(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m, name := b.placed()
	good := token(t, b.enter(m, "teacher"))
	passes := map[string]bool{}
	for _, s := range []struct {
		name, host, token, client string
		ok                        bool
	}{
		{"an unknown token", name, "nonsense", "127.0.0.1", false},
		{"another desktop", "i-0123456789abcdef1.desk.localhost", good, "127.0.0.1", false},
		{"no address", name, good, "", false},
		{"the first use", name, good, "127.0.0.1", true},
		{"a reload", name, good, "::ffff:127.0.0.1", true},
		{"another address", name, good, "127.0.0.2", false},
	} { // in order: the first use binds
		v, pass, err := b.Admit(t.Context(), s.host, s.token, s.client)
		if err != nil || v.OK != s.ok || v.OK == (v.Message != "") || v.OK != (pass != "") || passes[pass] && pass != "" {
			t.Errorf("%s: %+v %q %v", s.name, v, pass, err)
		}
		passes[pass] = true
	}
	delete(passes, "")
	w, err := b.Way(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	for pass := range passes {
		if !b.Holds(w, pass) || b.Holds(w, pass+"x") || b.Holds(w, "x"+pass) || b.Holds(w, pass[:len(pass)-1]) || b.Holds(w, "") {
			t.Errorf("the pass %q is misjudged", pass)
		}
		if !meetings.New(b.Options).Holds(w, pass) {
			t.Error("a pass is worth nothing after a restart")
		}
		other := w
		other.Hostname = "i-0123456789abcdef1.desk.localhost"
		ended := w
		ended.Open = false
		if b.Holds(other, pass) || b.Holds(ended, pass) {
			t.Error("a pass is good for another name, or for a desktop that has ended")
		}
		foreign := b.Options
		foreign.Keys = meetings.Keys{Master: []byte("another")}
		if meetings.New(foreign).Holds(w, pass) {
			t.Error("a pass is good elsewhere")
		}
	}
}

func TestVerifyKnowsTheSessionByItsInstance(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m, _, verifier := b.ready()
	good := token(t, b.enter(m, "teacher"))
	if v, err := b.Verify(t.Context(), verifier, m.Seat("teacher").Desktop.InstanceID, good, "127.0.0.1"); err != nil || !v.OK {
		t.Errorf("as a connection gateway names it: %+v %v", v, err)
	}
}

// TestOpening: greenroom opens a session with the agent by a token of its own, for that client and that desktop, for a short time.
func TestOpening(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m, _, verifier := b.ready()
	b.alter(m.ID, func(m *greenroom.Meeting) { m.Seat("teacher").Desktop.Address = "10.0.0.7" })
	w, err := b.Way(t.Context(), m.Seat("teacher").Desktop.Hostname)
	if err != nil {
		t.Fatal(err)
	}
	good := b.Opening(w, "127.0.0.1")
	before, _ := b.Meeting(t.Context(), m.ID)
	for _, s := range []struct {
		name, token, client string
		ok                  bool
	}{
		{"the opening", good, "127.0.0.1", true},
		{"again, for another stream", good, "::ffff:127.0.0.1", true},
		{"from elsewhere", good, "127.0.0.2", false},
		{"a longer life", "9" + good, "127.0.0.1", false},
		{"cut short", good[:len(good)-1], "127.0.0.1", false},
	} {
		if v, err := b.Verify(t.Context(), verifier, agentapi.SessionID, s.token, s.client); err != nil || v.OK != s.ok {
			t.Errorf("%s: %+v %v", s.name, v, err)
		}
	}
	if v, _, err := b.Admit(t.Context(), w.Hostname, good, "127.0.0.1"); err != nil || v.OK || b.Holds(w, good) {
		t.Errorf("an opening is no token and no pass: %+v %v", v, err)
	}
	later := b.Options
	later.Now = func() time.Time { return time.Now().Add(31 * time.Second) }
	if v, err := meetings.New(later).Verify(t.Context(), verifier, agentapi.SessionID, good, "127.0.0.1"); err != nil || v.OK {
		t.Errorf("later: %+v %v", v, err)
	}
	after, _ := b.Meeting(t.Context(), m.ID)
	if len(after.Seat("teacher").Desktop.Tokens) != len(before.Seat("teacher").Desktop.Tokens) {
		t.Error("an opening is stored")
	}
	b.alter(m.ID, func(m *greenroom.Meeting) { m.Seat("teacher").Desktop.Phase = greenroom.Terminating })
	if v, _ := b.Verify(t.Context(), verifier, agentapi.SessionID, good, "127.0.0.1"); v.OK {
		t.Error("an opening is good for a desktop that ends")
	}
}

// TestSingleLinks: with one address, people are led below it, and the API names its host.
func TestSingleLinks(t *testing.T) {
	t.Parallel()
	b := setup(t)
	o := b.Options
	o.Links.Single, o.Links.PublicURL = true, "https://[2001:db8::7]:9443"
	m, _, _ := b.ready()
	s := meetings.New(o)
	d := m.Seat("teacher").Desktop
	if got := s.PublicName(&d); got != "2001:db8::7" {
		t.Errorf("the host is %q", got)
	}
	if got := b.PublicName(&d); got != d.Hostname {
		t.Errorf("with names of their own: %q", got)
	}
	b.Service = s
	entry := b.enter(m, "teacher")
	if !strings.HasPrefix(entry, "https://[2001:db8::7]:9443/d/"+d.InstanceID+"/?authToken=") || !strings.HasSuffix(entry, "#console") {
		t.Errorf("the entry URL is %s", entry)
	}
}
