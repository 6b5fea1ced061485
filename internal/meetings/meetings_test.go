package meetings_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/agent/agentapi"
	"greenroom/internal/certs"
	"greenroom/internal/meetings"
	"greenroom/internal/plan"
	"greenroom/internal/store/memstore"
)

// bundle is a service over a store in memory, with a meeting whose two desktops stand as a test wants them.
type bundle struct {
	*meetings.Service
	t     *testing.T
	store *memstore.Store
	kicks atomic.Int64
}

type issuer struct{}

func (issuer) Issue(_ context.Context, _ []byte, hostname string, _ time.Time) ([]byte, error) {
	if strings.HasPrefix(hostname, "slow-") {
		return nil, certs.ErrPending
	}
	return []byte("certificate of " + hostname), nil
}

func (issuer) Roots() *x509.CertPool { return nil }

type explainer struct{ store *memstore.Store }

func (e explainer) Explain(ctx context.Context, id string) (plan.Decision, error) {
	m, err := e.store.Meeting(ctx, id)
	if err != nil {
		return plan.Decision{}, err
	}
	return plan.Plan(plan.Snapshot{Meeting: m, Zone: "desk.localhost"}, time.Now())
}

func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{t: t, store: memstore.New()}
	b.Service = meetings.New(meetings.Options{
		Store: b.store, Blueprints: []greenroom.Blueprint{greenroom.DefaultBlueprint()}, Kick: func(string) { b.kicks.Add(1) },
		Explainer: explainer{b.store}, Issuer: issuer{}, Keys: meetings.Keys{Master: []byte("master")},
		Links:  meetings.Links{PublicURL: "http://127.0.0.1:8080", ControlURL: "http://127.0.0.1:8080", VideoURL: "https://meet.example.com/{id}", DesktopPort: 8443},
		Logger: slog.New(slog.DiscardHandler),
	})
	return b
}

// okInput is a good request; tests break one thing of it.
func okInput() meetings.Schedule {
	return meetings.Schedule{Title: "Algebra", StartsAt: "now", Duration: "30m", TimeZone: "America/Vancouver",
		Seats: []meetings.SeatInput{{Role: "teacher", Name: "Teacher One"}, {Role: "student", Name: "Student One", Email: "student@example.com"}}}
}

func (b *bundle) schedule() greenroom.Meeting {
	b.t.Helper()
	m, _, err := b.Schedule(b.t.Context(), okInput(), "")
	if err != nil {
		b.t.Fatal(err)
	}
	return m
}

// stand puts the desktop of a seat into a phase, as Advance would have.
func (b *bundle) stand(id, role string, phase greenroom.Phase) greenroom.Meeting {
	b.t.Helper()
	return b.alter(id, func(m *greenroom.Meeting) {
		d := &m.Seat(role).Desktop
		d.Phase, d.InstanceID = phase, "i-0123456789abcdef0"
		d.Hostname, d.KillAt = d.InstanceID+".desk.localhost", time.Now().Add(time.Hour)
		d.Timings[phase] = time.Now()
		d.Trust = greenroom.Trust{ProvedAt: time.Now(), LookedAt: time.Now()}
	})
}

func (b *bundle) alter(id string, f func(m *greenroom.Meeting)) greenroom.Meeting {
	b.t.Helper()
	m, err := b.store.Meeting(b.t.Context(), id)
	if err != nil {
		b.t.Fatal(err)
	}
	f(&m)
	if m, err = b.store.Update(b.t.Context(), m, nil); err != nil {
		b.t.Fatal(err)
	}
	return m
}

func TestScheduleRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, field string
		broken      func(in *meetings.Schedule)
	}{
		{"no title", "title", func(in *meetings.Schedule) { in.Title = "  " }},
		{"a novel as a title", "title", func(in *meetings.Schedule) { in.Title = strings.Repeat("x", 100_000) }},
		{"two lines as a title", "title", func(in *meetings.Schedule) { in.Title = "a\nb" }},
		{"a bad time", "starts_at", func(in *meetings.Schedule) { in.StartsAt = "tomorrow-ish" }},
		{"no time", "starts_at", func(in *meetings.Schedule) { in.StartsAt = "" }},
		{"long ago", "starts_at", func(in *meetings.Schedule) { in.StartsAt = "2001-01-01T00:00:00Z" }},
		{"in a hundred years", "starts_at", func(in *meetings.Schedule) { in.StartsAt = "2126-01-01T00:00:00Z" }},
		{"a negative duration", "duration", func(in *meetings.Schedule) { in.Duration = "-1h" }},
		{"an endless duration", "duration", func(in *meetings.Schedule) { in.Duration = "100000h" }},
		{"no duration at all", "duration", func(in *meetings.Schedule) { in.Duration = "0s" }},
		{"a word as a duration", "duration", func(in *meetings.Schedule) { in.Duration = "long" }},
		{"a zone that is not", "time_zone", func(in *meetings.Schedule) { in.TimeZone = "Mars/Base" }},
		{"the machine's own zone", "time_zone", func(in *meetings.Schedule) { in.TimeZone = "Local" }},
		{"no such blueprint", "blueprint", func(in *meetings.Schedule) { in.Blueprint = "nope" }},
		{"no such role", "seats[1].role", func(in *meetings.Schedule) { in.Seats[1].Role = "wizard" }},
		{"an id of its own choice", "seats[1].id", func(in *meetings.Schedule) { in.Seats[1].ID = "anna" }},
		{"no seats", "seats", func(in *meetings.Schedule) { in.Seats = []meetings.SeatInput{} }},
		{"a name of two lines", "seats[0].name", func(in *meetings.Schedule) { in.Seats[0].Name = "a\x00b" }},
		{"a bad address", "seats[1].email", func(in *meetings.Schedule) { in.Seats[1].Email = "not an address" }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b, in := setup(t), okInput()
			tt.broken(&in)
			_, _, err := b.Schedule(t.Context(), in, "")
			bad, ok := errors.AsType[*greenroom.InvalidError](err)
			if !ok || len(bad.Fields) != 1 || bad.Fields[0].Field != tt.field {
				t.Fatalf("got %v, want one fault at %s", err, tt.field)
			}
			if len(bad.Fields[0].Message) > 400 {
				t.Errorf("the message repeats the input: %d bytes", len(bad.Fields[0].Message))
			}
		})
	}
}

func TestScheduleTellsEveryFaultAtOnce(t *testing.T) {
	t.Parallel()
	_, _, err := setup(t).Schedule(t.Context(), meetings.Schedule{Title: "", StartsAt: "x", TimeZone: "y"}, "")
	if bad, ok := errors.AsType[*greenroom.InvalidError](err); !ok || len(bad.Fields) != 3 {
		t.Fatalf("got %v, want three faults", err)
	}
}

func TestScheduleDefaults(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m, created, err := b.Schedule(t.Context(), meetings.Schedule{Title: "Algebra", StartsAt: "now"}, "")
	if err != nil || !created {
		t.Fatal(created, err)
	}
	if m.Duration() != time.Hour || m.TimeZone != "UTC" || m.Blueprint.Name != "default" || len(m.Seats) != 2 {
		t.Errorf("got %s %s %s %d seats", m.Duration(), m.TimeZone, m.Blueprint.Name, len(m.Seats))
	}
	if m.Seats[0].Key == m.Seats[1].Key || len(m.Seats[0].Key) < 22 {
		t.Error("keys are not long and different")
	}
	if b.kicks.Load() != 1 {
		t.Errorf("Advance was asked for %d times", b.kicks.Load())
	}
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	b := setup(t)
	in := okInput()
	in.StartsAt = time.Now().Add(time.Hour).Format(time.RFC3339)
	first, created, err := b.Schedule(t.Context(), in, "key")
	if err != nil || !created {
		t.Fatal(created, err)
	}
	again, created, err := b.Schedule(t.Context(), in, "key")
	if err != nil || created || again.ID != first.ID {
		t.Errorf("again: %v created %t, %v", again.ID == first.ID, created, err)
	}
	b.Now = func() time.Time { return first.StartsAt.Add(time.Hour) } // now nobody could schedule it any more
	again, created, err = b.Schedule(t.Context(), in, "key")
	if err != nil || created || again.ID != first.ID {
		t.Errorf("again, late: %v created %t, %v", again.ID == first.ID, created, err)
	}
	var invalid *greenroom.InvalidError
	if _, _, err := b.Schedule(t.Context(), in, "a fresh key"); !errors.As(err, &invalid) {
		t.Errorf("a start long past, with a fresh key: %v", err)
	}
	other := in
	other.Title = "Geometry"
	if _, _, err := b.Schedule(t.Context(), other, "key"); !errors.Is(err, greenroom.ErrConflict) {
		t.Errorf("the key for another request: %v", err)
	}
}

func TestEnter(t *testing.T) {
	t.Parallel()
	t.Run("NeedsTheSeatsOwnKey", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		m := b.schedule()
		for _, key := range []string{"", "nonsense", m.Seat("student").Key} {
			if _, err := b.Enter(t.Context(), m.ID, "teacher", key, "127.0.0.1"); !errors.Is(err, greenroom.ErrForbidden) {
				t.Errorf("key %q: %v", key, err)
			}
		}
		if _, err := b.Enter(t.Context(), m.ID, "wizard", "k", "127.0.0.1"); !errors.Is(err, greenroom.ErrNotFound) {
			t.Error(err)
		}
	})
	t.Run("WaitsUntilTheDesktopIsProved", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		m := b.schedule()
		for _, phase := range []greenroom.Phase{greenroom.Launching, greenroom.Booting, greenroom.Naming, greenroom.Proving} {
			b.stand(m.ID, "teacher", phase)
			st, err := b.Enter(t.Context(), m.ID, "teacher", m.Seat("teacher").Key, "127.0.0.1")
			if err != nil || st.URL != "" || st.CanEnter || st.RetryIn <= 0 || st.Message == "" {
				t.Errorf("%s: %+v %v", phase, st, err)
			}
		}
	})
	t.Run("GivesAFreshTokenEachTime", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		m := b.schedule()
		b.stand(m.ID, "teacher", greenroom.Ready)
		first, second := token(t, b.enter(m, "teacher")), token(t, b.enter(m, "teacher"))
		if first == second {
			t.Error("the same token twice")
		}
	})
	t.Run("StandingChangesNothing", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		m := b.stand(b.schedule().ID, "teacher", greenroom.Ready)
		st, err := b.Standing(t.Context(), m.ID, "teacher", m.Seat("teacher").Key)
		if err != nil || !st.CanEnter || st.URL != "" {
			t.Errorf("%+v %v", st, err)
		}
		if after, _ := b.store.Meeting(t.Context(), m.ID); after.Rev != m.Rev {
			t.Error("a look changed the meeting")
		}
	})
	t.Run("AGoneDesktopIsAskedForOnce", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		m := b.schedule()
		b.stand(m.ID, "student", greenroom.Terminating)
		b.stand(m.ID, "student", greenroom.Gone)
		key := m.Seat("student").Key
		if st, err := b.Enter(t.Context(), m.ID, "student", key, "127.0.0.1"); err != nil || st.Wanted {
			t.Fatalf("%+v %v", st, err)
		}
		asked, _ := b.store.Meeting(t.Context(), m.ID)
		if asked.Seat("student").RequestedAt.IsZero() {
			t.Error("the request was not noted")
		}
		if _, err := b.Enter(t.Context(), m.ID, "student", key, "127.0.0.1"); err != nil {
			t.Fatal(err)
		}
		if again, _ := b.store.Meeting(t.Context(), m.ID); again.Rev != asked.Rev {
			t.Error("asking again wrote again")
		}
	})
	t.Run("AnEndedMeetingSaysWhy", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		m := b.schedule()
		if _, err := b.Cancel(t.Context(), m.ID); err != nil {
			t.Fatal(err)
		}
		st, err := b.Standing(t.Context(), m.ID, "teacher", m.Seat("teacher").Key)
		if !errors.Is(err, greenroom.ErrEnded) || st.EndReason != greenroom.Cancelled || !strings.Contains(st.Message, "cancelled") {
			t.Errorf("%+v %v", st, err)
		}
	})
}

func (b *bundle) enter(m greenroom.Meeting, role string) string {
	b.t.Helper()
	st, err := b.Enter(b.t.Context(), m.ID, role, m.Seat(role).Key, "127.0.0.1")
	if err != nil || st.URL == "" {
		b.t.Fatalf("not let in: %+v %v", st, err)
	}
	return st.URL
}

func token(t *testing.T, entry string) string {
	t.Helper()
	u, err := url.Parse(entry)
	if err != nil || u.Fragment != "console" || u.Port() != "8443" {
		t.Fatalf("entry URL %s: %v", entry, err)
	}
	return u.Query().Get("authToken")
}

// enrol makes the test the agent of a seat's desktop and returns what it was told.
func (b *bundle) enrol(m greenroom.Meeting, role, request string) (agentapi.Enrolled, error) {
	b.t.Helper()
	doc, err := b.UserData(&m, m.Seat(role))
	if err != nil {
		b.t.Fatal(err)
	}
	var data agentapi.UserData
	if err := json.Unmarshal(doc, &data); err != nil {
		b.t.Fatal(err)
	}
	return b.Enrol(b.t.Context(), data.Secret, agentapi.Enrolment{InstanceID: "i-0123456789abcdef0", CertificateRequest: request, Version: "test"})
}

func certificateRequest(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

func TestEnrol(t *testing.T) {
	t.Parallel()
	t.Run("IsForOneKey", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		m := b.stand(b.schedule().ID, "teacher", greenroom.Booting)
		request := certificateRequest(t)
		first, err := b.enrol(m, "teacher", request)
		if err != nil || first.AgentToken == "" || !strings.Contains(first.Certificate, first.Hostname) {
			t.Fatalf("%+v %v", first, err)
		}
		again, err := b.enrol(m, "teacher", request)
		if err != nil || again.AgentToken != first.AgentToken {
			t.Errorf("the same key again: %v", err)
		}
		if _, err := b.enrol(m, "teacher", certificateRequest(t)); !errors.Is(err, greenroom.ErrForbidden) {
			t.Errorf("another key: %v", err)
		}
		events, _ := b.Events(t.Context(), m.ID, 0, 100)
		if last := events[len(events)-1]; last.Kind != greenroom.EventRefused {
			t.Errorf("the refusal is not on the timeline: %+v", last)
		}
	})
	t.Run("ASecretOfAnotherAttemptIsRefused", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		m := b.stand(b.schedule().ID, "teacher", greenroom.Booting)
		b.alter(m.ID, func(m *greenroom.Meeting) { m.Seat("teacher").Desktop.Attempt = 2 })
		if _, err := b.enrol(m, "teacher", certificateRequest(t)); !errors.Is(err, greenroom.ErrForbidden) {
			t.Error(err)
		}
	})
	t.Run("SecretsOfOnePurposeDoNotServeAnother", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		m := b.stand(b.schedule().ID, "teacher", greenroom.Booting)
		e, err := b.enrol(m, "teacher", certificateRequest(t))
		if err != nil {
			t.Fatal(err)
		}
		verifier := e.VerifyURL[strings.LastIndexByte(e.VerifyURL, '/')+1:]
		if _, err := b.Report(t.Context(), verifier, agentapi.Report{Ready: true}); !errors.Is(err, greenroom.ErrForbidden) {
			t.Errorf("a report with the verifier's secret: %v", err)
		}
		if v, err := b.Verify(t.Context(), e.AgentToken, "console", "x", "127.0.0.1"); err != nil || v.OK {
			t.Errorf("a verification with the agent's token: %+v %v", v, err)
		}
	})
	t.Run("AnAuthorityThatNeedsLongerHoldsNothingUp", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		m := b.stand(b.schedule().ID, "teacher", greenroom.Booting)
		b.alter(m.ID, func(m *greenroom.Meeting) { m.Seat("teacher").Desktop.Hostname = "slow-1.desk.localhost" })
		request := certificateRequest(t)
		e, err := b.enrol(m, "teacher", request)
		if err != nil || e.AgentToken == "" || e.Certificate != "" {
			t.Fatalf("%+v %v", e, err)
		}
		if c, err := b.Certificate(t.Context(), e.AgentToken, agentapi.CertificateRequest{CertificateRequest: request}); err != nil || c.Certificate != "" {
			t.Errorf("asked again too early: %+v %v", c, err)
		}
	})
	t.Run("NonsenseIsRefused", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		m := b.stand(b.schedule().ID, "teacher", greenroom.Booting)
		if _, err := b.enrol(m, "teacher", "not a request"); err == nil {
			t.Error("a malformed request was taken")
		}
		for _, secret := range []string{"", ".", "a.b.c", m.ID + ".teacher.1.", strings.Repeat("x", 10_000)} {
			_, err := b.Enrol(t.Context(), secret, agentapi.Enrolment{InstanceID: "i-0123456789abcdef0", CertificateRequest: certificateRequest(t)})
			if !errors.Is(err, greenroom.ErrForbidden) {
				t.Errorf("secret %.20q: %v", secret, err)
			}
		}
	})
}

// ready is a meeting whose teacher's desktop is ready, enrolled, and asked to let the teacher in.
func (b *bundle) ready() (m greenroom.Meeting, e agentapi.Enrolled, verifier string) {
	b.t.Helper()
	m = b.stand(b.schedule().ID, "teacher", greenroom.Booting)
	e, err := b.enrol(m, "teacher", certificateRequest(b.t))
	if err != nil {
		b.t.Fatal(err)
	}
	return b.stand(m.ID, "teacher", greenroom.Ready), e, e.VerifyURL[strings.LastIndexByte(e.VerifyURL, '/')+1:]
}

func TestVerify(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m, _, verifier := b.ready()
	good := token(t, b.enter(m, "teacher"))
	steps := []struct {
		name, secret, session, token, client string
		ok                                   bool
	}{
		{"an unknown token", verifier, "console", "nonsense", "127.0.0.1", false},
		{"another session", verifier, "other", good, "127.0.0.1", false},
		{"another desktop's secret", verifier[:len(verifier)-1] + "x", "console", good, "127.0.0.1", false},
		{"no address", verifier, "console", good, "", false},
		{"the first use", verifier, "console", good, "127.0.0.1", true},
		{"a reload", verifier, "console", good, "127.0.0.1", true},
		{"the same address written otherwise", verifier, "console", good, "::ffff:127.0.0.1", true},
		{"another address", verifier, "console", good, "127.0.0.2", false},
	}
	for _, s := range steps { // in order: the first use binds
		v, err := b.Verify(t.Context(), s.secret, s.session, s.token, s.client)
		if err != nil || v.OK != s.ok || v.OK == (v.Message != "") {
			t.Errorf("%s: %+v %v", s.name, v, err)
		}
	}
	if stored, _ := b.store.Meeting(t.Context(), m.ID); strings.Contains(stored.Seat("teacher").Desktop.Tokens[0].Hash, good) {
		t.Error("the token is stored as it is")
	}
	b.alter(m.ID, func(m *greenroom.Meeting) { m.Seat("teacher").Desktop.Phase = greenroom.Terminating })
	if v, _ := b.Verify(t.Context(), verifier, "console", good, "127.0.0.1"); v.OK {
		t.Error("a desktop that is going lets people in")
	}
}

func TestUnusedTokenExpires(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m, _, verifier := b.ready()
	late := token(t, b.enter(m, "teacher"))
	b.alter(m.ID, func(m *greenroom.Meeting) {
		m.Seat("teacher").Desktop.Tokens[0].ExpiresAt = time.Now().Add(-time.Second)
	})
	if v, err := b.Verify(t.Context(), verifier, "console", late, "127.0.0.1"); err != nil || v.OK {
		t.Errorf("%+v %v", v, err)
	}
}

func TestEdit(t *testing.T) {
	t.Parallel()
	text := func(s string) *string { return &s }
	t.Run("KeepsIdAndLinks", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		m := b.schedule()
		later := m.StartsAt.Add(2 * time.Hour)
		got, err := b.Edit(t.Context(), m.ID, meetings.Edit{Title: text("Geometry"), StartsAt: text(later.Format(time.RFC3339)),
			Seats: []meetings.SeatInput{{Role: "student", Name: "Other"}}}, m.Version)
		if err != nil {
			t.Fatal(err)
		}
		if got.ID != m.ID || got.Version != m.Version+1 || got.Title != "Geometry" || !got.StartsAt.Equal(later) || got.Duration() != m.Duration() {
			t.Errorf("got %+v", got)
		}
		if got.Seat("teacher") != nil || got.Seat("student").Key != m.Seat("student").Key || got.Seat("student").Name != "Other" {
			t.Errorf("seats %+v", got.Seats)
		}
	})
	t.Run("ForAnotherVersionIsStale", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		m := b.schedule()
		_, err := b.Edit(t.Context(), m.ID, meetings.Edit{Title: text("x")}, m.Version+1)
		if _, ok := errors.AsType[*meetings.StaleError](err); !ok || !errors.Is(err, greenroom.ErrConflict) {
			t.Error(err)
		}
	})
	t.Run("MachinesDoNotMakeItStale", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		m := b.schedule()
		b.stand(m.ID, "teacher", greenroom.Booting)
		if _, err := b.Edit(t.Context(), m.ID, meetings.Edit{Title: text("x")}, m.Version); err != nil {
			t.Error(err)
		}
	})
	t.Run("RefusesWhatCannotBe", func(t *testing.T) {
		t.Parallel()
		for field, in := range map[string]meetings.Edit{
			"title":    {Title: text("")},
			"duration": {Duration: text("100000h")},
			"ends_at":  {EndsAt: text("2001-01-01T00:00:00Z")},
			"seats":    {Seats: []meetings.SeatInput{}},
		} {
			b := setup(t)
			_, err := b.Edit(t.Context(), b.schedule().ID, in, 0)
			if bad, ok := errors.AsType[*greenroom.InvalidError](err); !ok || bad.Fields[0].Field != field {
				t.Errorf("%s: %v", field, err)
			}
		}
	})
	t.Run("ASeatAddedAgainSharesNothingWithTheOneBefore", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		m := b.schedule()
		if _, err := b.Edit(t.Context(), m.ID, meetings.Edit{Seats: []meetings.SeatInput{{Role: "teacher"}}}, 0); err != nil {
			t.Fatal(err)
		}
		b.alter(m.ID, func(m *greenroom.Meeting) {
			d, err := plan.Plan(plan.Snapshot{Meeting: *m}, time.Now())
			if err != nil {
				t.Error(err)
			}
			*m = d.Meeting
		})
		m, err := b.Edit(t.Context(), m.ID, meetings.Edit{Seats: []meetings.SeatInput{{Role: "teacher"}, {Role: "student"}}}, 0)
		if err != nil {
			t.Fatal(err)
		}
		if m.Seat("student") != nil || m.Seat("student-2") == nil {
			t.Errorf("the seats are %+v", m.Present())
		}
	})
	t.Run("NotAfterTheEnd", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		m := b.schedule()
		if _, err := b.End(t.Context(), m.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Edit(t.Context(), m.ID, meetings.Edit{Title: text("x")}, 0); !errors.Is(err, greenroom.ErrEnded) {
			t.Error(err)
		}
	})
}

func TestEndAndCancelSayWhyOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := b.schedule()
	if m, err := b.End(t.Context(), m.ID); err != nil || m.EndReason != greenroom.EndedByHost {
		t.Fatal(m.EndReason, err)
	}
	if m, err := b.Cancel(t.Context(), m.ID); err != nil || m.EndReason != greenroom.EndedByHost {
		t.Errorf("a second end changed the first: %s %v", m.EndReason, err)
	}
}

func TestReissuedKeyReplacesTheOld(t *testing.T) {
	t.Parallel()
	b := setup(t)
	old := b.schedule()
	m, err := b.ReissueKey(t.Context(), old.ID, "teacher", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Standing(t.Context(), m.ID, "teacher", old.Seat("teacher").Key); !errors.Is(err, greenroom.ErrForbidden) {
		t.Errorf("the old link: %v", err)
	}
	if _, err := b.Standing(t.Context(), m.ID, "teacher", m.Seat("teacher").Key); err != nil {
		t.Errorf("the new link: %v", err)
	}
}

func TestSessionData(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := b.schedule()
	for _, bad := range []string{"", "ftp://x/y", "s3://", "https://user:pass@host/x", "s3://x/" + strings.Repeat("y", 5000)} {
		if err := b.SessionData(t.Context(), m.ID, "teacher", bad); err == nil {
			t.Errorf("%.30q was taken", bad)
		}
	}
	if err := b.SessionData(t.Context(), m.ID, "teacher", "s3://recordings/x.zip"); err != nil {
		t.Fatal(err)
	}
	if got, _ := b.Meeting(t.Context(), m.ID); got.Seat("teacher").SessionData.URL != "s3://recordings/x.zip" {
		t.Error("it was not kept")
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := b.schedule()
	e, err := b.Explain(t.Context(), m.ID)
	if d := e.Decision; err != nil || e.Meeting.ID != m.ID || len(d.Events) == 0 || len(d.Effects) == 0 || d.Events[0].Data["phase"] != "launching" {
		t.Errorf("%+v %v", e, err)
	}
	if after, _ := b.Meeting(t.Context(), m.ID); after.Rev != m.Rev {
		t.Error("explaining changed the meeting")
	}
}

func TestVideoURL(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := b.schedule()
	if got, want := b.VideoURL(m), "https://meet.example.com/"+m.ID; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
