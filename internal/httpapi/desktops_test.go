package httpapi_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"greenroom/internal/agent/agentapi"
	"greenroom/internal/httpapi/wire"
)

// secret is the enrolment secret of a seat's desktop, as its machine is told it.
func (r *rig) secret(id, role string) string {
	r.t.Helper()
	m, err := r.store.Meeting(r.t.Context(), id)
	if err != nil {
		r.t.Fatal(err)
	}
	text, err := r.service.UserData(&m, m.Seat(role))
	if err != nil {
		r.t.Fatal(err)
	}
	var data agentapi.UserData
	if err := json.Unmarshal(text, &data); err != nil {
		r.t.Fatal(err)
	}
	return data.Secret
}

func request(t testing.TB) string {
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

// enrolment is what the teacher's desktop enrols with.
func (r *rig) enrolment(id string) agentapi.Enrolment {
	r.t.Helper()
	m, err := r.store.Meeting(r.t.Context(), id)
	if err != nil {
		r.t.Fatal(err)
	}
	return agentapi.Enrolment{InstanceID: m.Seat("teacher").Desktop.InstanceID, CertificateRequest: request(r.t), Version: "test"}
}

func TestDesktops(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.scheduled()
	r.ready(m.ID)
	in := r.enrolment(m.ID)

	problem(t, r.call("POST", agentapi.EnrolPath, in), 401)
	problem(t, r.call("POST", agentapi.EnrolPath, in, "Authorization", "Bearer nonsense"), 401)
	problem(t, r.call("POST", agentapi.EnrolPath, "{", "Authorization", "Bearer x"), 400)
	problem(t, r.call("POST", agentapi.EnrolPath, strings.Repeat(" ", agentapi.MaxBody+1), "Authorization", "Bearer x"), 413)
	e := doc[agentapi.Enrolled](t, r.call("POST", agentapi.EnrolPath, in, "Authorization", "Bearer "+r.secret(m.ID, "teacher")), 200)
	if e.Certificate == "" || e.AgentToken == "" {
		t.Fatalf("enrolled is %+v", e)
	}
	bearer := "Bearer " + e.AgentToken
	c := doc[agentapi.Certificate](t, r.call("POST", agentapi.CertificatePath, agentapi.CertificateRequest{CertificateRequest: in.CertificateRequest}, "Authorization", bearer), 200)
	if c.Certificate == "" {
		t.Error("no certificate")
	}
	report := agentapi.Report{Ready: true, Connections: []agentapi.Connection{{ID: "1", Client: "127.0.0.1", ConnectedAt: time.Now()}}}
	doc[agentapi.Orders](t, r.call("POST", agentapi.ReportPath, report, "Authorization", bearer), 200)
	problem(t, r.call("POST", agentapi.ReportPath, report, "Authorization", "Bearer "+e.AgentToken+"x"), 401)
	if a := r.call("PUT", agentapi.SessionDataPath, agentapi.SessionData{URL: "s3://r/x.zip"}, "Authorization", bearer); a.status != 204 {
		t.Errorf("status %d: %s", a.status, a.body)
	}

	own, other := "/api/v1/meetings/"+m.ID+"/seats/teacher/session-data", "/api/v1/meetings/"+m.ID+"/seats/student/session-data"
	if a := r.call("PUT", own, agentapi.SessionData{URL: "s3://r/y.zip"}, "Authorization", bearer); a.status != 204 {
		t.Errorf("its own seat: status %d: %s", a.status, a.body)
	}
	problem(t, r.call("PUT", other, agentapi.SessionData{URL: "s3://r/y.zip"}, "Authorization", bearer), 403)
	problem(t, r.call("PUT", own, agentapi.SessionData{URL: "s3://r/y.zip"}, "Authorization", bearer+"x"), 403)

	t.Run("Verify", func(t *testing.T) {
		entry := doc[map[string]string](t, r.in(t).call("POST", r.join(m, "teacher"), nil), 200)
		u, err := url.Parse(entry["url"])
		if err != nil {
			t.Fatal(err)
		}
		token := u.Query().Get("authToken")
		ask := func(path, token string) string {
			form := url.Values{"sessionId": {"console"}, "authenticationToken": {token}, "clientAddress": {"192.0.2.7"}}
			a := r.in(t).call("POST", path, form.Encode(), "Content-Type", "application/x-www-form-urlencoded")
			if a.status != 200 || !strings.HasPrefix(a.header.Get("Content-Type"), "text/xml") {
				t.Errorf("status %d, %s", a.status, a.header.Get("Content-Type"))
			}
			return string(a.body)
		}
		path := strings.TrimPrefix(e.VerifyURL, "http://control.test")
		if got := ask(path, token); got != `<auth result="yes"><username>teacher</username></auth>` {
			t.Errorf("answer is %s", got)
		}
		for _, got := range []string{ask(path, "nonsense"), ask("/dcv/verify/nonsense", token)} {
			if !strings.HasPrefix(got, `<auth result="no">`) {
				t.Errorf("answer is %s", got)
			}
		}
		if a := r.in(t).call("POST", path, "sessionId=console", "Content-Type", "application/x-www-form-urlencoded"); !strings.Contains(string(a.body), `result="no"`) {
			t.Errorf("answer is %s", a.body)
		}
		if strings.Contains(r.log.String(), path) || strings.Contains(r.log.String(), token) {
			t.Error("a secret is in the log")
		}
	})

	t.Run("GuessersAreSlow", func(t *testing.T) {
		ask := func() time.Duration {
			began := time.Now()
			r.in(t).call("POST", "/dcv/verify/spray", "x=y", "Content-Type", "application/x-www-form-urlencoded")
			return time.Since(began)
		}
		for range 60 {
			if ask() >= 400*time.Millisecond {
				return
			}
		}
		t.Error("sixty wrong questions were answered at once")
	})
}

func TestKeysAreNotLogged(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.scheduled()
	for _, role := range []string{"teacher", "student"} {
		r.call("POST", r.join(m, role), nil)
	}
	stored, _ := r.store.Meeting(t.Context(), m.ID)
	for _, s := range stored.Seats {
		if strings.Contains(r.log.String(), s.Key) {
			t.Errorf("the key of %s is in the log", s.Role)
		}
	}
	if !strings.Contains(r.log.String(), "path=/api/v1/join/"+m.ID+"/teacher") {
		t.Error("the request is not in the log")
	}
}

// enrolled makes the test the agent of the teacher's desktop, and returns what it says who it is with.
func (r *rig) enrolled(id string) (bearer string) {
	r.t.Helper()
	r.ready(id)
	stored, err := r.store.Meeting(r.t.Context(), id)
	if err != nil {
		r.t.Fatal(err)
	}
	in := agentapi.Enrolment{InstanceID: stored.Seat("teacher").Desktop.InstanceID, CertificateRequest: request(r.t), Version: "1.4.0"}
	e := doc[agentapi.Enrolled](r.t, r.call("POST", agentapi.EnrolPath, in, "Authorization", "Bearer "+r.secret(id, "teacher")), 200)
	return "Bearer " + e.AgentToken
}

func TestWhatTheAgentTellsIsInTheDocument(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.scheduled()
	agent := func() *wire.Agent {
		t.Helper()
		return doc[wire.Meeting](t, r.call("GET", "/api/v1/meetings/"+m.ID, nil), 200).Seats[0].Desktop.Agent
	}
	if a := agent(); a != nil {
		t.Errorf("before there is an agent it says %+v", a)
	}
	bearer, began := r.enrolled(m.ID), time.Now().Add(-time.Second)
	report := agentapi.Report{Version: "1.4.1", Ready: true, Licence: "unlicensed", Problem: "It is slow.",
		Connections: []agentapi.Connection{{ID: "1", Client: "192.0.2.7", ActiveAt: began}}}
	doc[agentapi.Orders](t, r.call("POST", agentapi.ReportPath, report, "Authorization", bearer), 200)
	a := agent()
	if a == nil || a.Version != "1.4.1" || a.Connections != 1 || a.Licence != "unlicensed" || a.Problem == nil || *a.Problem != "It is slow." {
		t.Fatalf("%+v", a)
	}
	if a.EnrolledAt == nil || a.ReportedAt == nil || a.ReportedAt.Before(began) || a.LastActiveAt == nil || !a.LastActiveAt.Equal(began) {
		t.Errorf("%+v", a)
	}
}

// TestWhatCannotBeReadIsOnTheTimeline sends what no agent sends, with the secrets of a desktop and with others.
func TestWhatCannotBeReadIsOnTheTimeline(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.scheduled()
	bearer := r.enrolled(m.ID)
	large := `{"problem": "` + strings.Repeat("x", agentapi.MaxBody) + `"}`
	problem(t, r.call("POST", agentapi.ReportPath, large, "Authorization", bearer), 413)
	problem(t, r.call("POST", agentapi.ReportPath, "{", "Authorization", bearer), 400)
	problem(t, r.call("POST", agentapi.EnrolPath, large, "Authorization", "Bearer "+r.secret(m.ID, "student")), 413)
	problem(t, r.call("POST", agentapi.ReportPath, large, "Authorization", "Bearer "+m.ID+".nobody.1.x"), 413)
	events := doc[wire.Events](t, r.call("GET", "/api/v1/meetings/"+m.ID+"/events", nil), 200)
	got := []string{}
	for _, e := range events.Events {
		if e.Kind == "refused" {
			got = append(got, e.Role+": "+e.Message)
		}
	}
	want := []string{
		"teacher: A document from the desktop's agent was refused: it is too large.",
		"teacher: A document from the desktop's agent was refused: it is malformed.",
		"student: A document from the desktop's agent was refused: it is too large.",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestNewsReachADesktopAtOnce holds the answer to a desktop that has nothing new to say, and has heard all there is.
func TestNewsReachADesktopAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.scheduled()
	r.ready(m.ID)
	in := r.enrolment(m.ID)
	e := doc[agentapi.Enrolled](t, r.call("POST", agentapi.EnrolPath, in, "Authorization", "Bearer "+r.secret(m.ID, "teacher")), 200)
	say := func(report agentapi.Report) agentapi.Orders {
		return doc[agentapi.Orders](t, r.call("POST", agentapi.ReportPath, report, "Authorization", "Bearer "+e.AgentToken), 200)
	}
	heard := say(agentapi.Report{Ready: true})
	if !heard.EndsAt.Equal(m.EndsAt) {
		t.Fatalf("heard %+v", heard)
	}
	for _, c := range []struct {
		what string
		news func()
		told func(agentapi.Orders) bool
	}{
		{"an extension", func() { r.call("PATCH", "/api/v1/meetings/"+m.ID, `{"duration": "2h"}`) }, func(o agentapi.Orders) bool { return o.EndsAt.After(m.EndsAt) }},
		{"the end", func() { r.call("POST", "/api/v1/meetings/"+m.ID+"/end", nil) }, func(o agentapi.Orders) bool { return o.Ending != "" }},
	} {
		answered := make(chan agentapi.Orders, 1)
		began := time.Now()
		go func() { answered <- say(agentapi.Report{Ready: true, Heard: &heard}) }()
		select {
		case early := <-answered:
			t.Fatalf("%s: answered before there was news: %+v", c.what, early)
		case <-time.After(200 * time.Millisecond):
		}
		c.news()
		if heard = <-answered; !c.told(heard) || time.Since(began) >= agentapi.HoldFor {
			t.Errorf("%s: told %+v after %s", c.what, heard, time.Since(began))
		}
	}
	old := heard
	old.Ending = ""
	if now := say(agentapi.Report{Ready: true, Heard: &old}); !now.Same(heard) {
		t.Errorf("who has not heard it all is told %+v", now)
	}
}
