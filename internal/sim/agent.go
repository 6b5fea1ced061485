package sim

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"path"
	"slices"
	"sync"
	"time"

	"greenroom"
	"greenroom/internal/agent/agentapi"
)

// agent is what runs on a machine: it enrols, reports, and asks whether tokens are good.
type agent struct {
	m        *machine
	t        *thread
	token    string
	verifier string
	serves   bool // its page answers
	ready    bool
	err      string
	conns    []agentapi.Connection
	made     int // connections so far
	sick     sickness
	reported time.Duration // when its last report was taken
}

// issuer signs nothing: certificates have tests of their own.
type issuer struct{}

func (issuer) Issue(context.Context, []byte, string, time.Time) ([]byte, error) { return nil, nil }

func (issuer) Roots() *x509.CertPool { return nil }

// requests are certificate requests to enrol with; making one for each machine would cost more than its life. Their keys are of
// the kind whose signatures are checked fastest.
var requests = sync.OnceValue(func() []string {
	out := make([]string, 8)
	for i := range out {
		key, err := rsa.GenerateKey(rand.Reader, 1024)
		if err != nil {
			panic(err)
		}
		der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
		if err != nil {
			panic(err)
		}
		out[i] = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
	}
	return out
})

// boot starts the agent of a machine that runs.
func (l *life) boot(m *machine) {
	if !m.alive(l.now) || l.hit(l.rates.AgentSilent/2, "agent never starts") {
		return
	}
	m.agent = &agent{m: m}
	m.agent.t = l.spawn(nil, aClient, "agent", l.between(100*time.Millisecond, 5*time.Second), m.agent.run)
}

// halt stops what runs on a machine.
func (l *life) halt(m *machine) {
	if m.agent != nil {
		m.agent.conns, m.agent.serves = nil, false
		m.agent.t.drop()
		m.agent = nil
	}
}

func (a *agent) run(t *thread) {
	l := t.l
	if !a.enrol(t) {
		return
	}
	l.sicken(a.m)
	a.serves = true
	switch {
	case l.hit(l.rates.AgentError, "agent reports an error"):
		a.err = "The desktop's applications could not be started."
	case !l.hit(l.rates.AgentSilent, "agent is never ready"):
		t.sleep(l.between(0, 20*time.Second))
		a.ready = true
	}
	for {
		for a.sick == frozen {
			t.wait(time.Minute)
		}
		a.report(t)
		pause := agentapi.HeartbeatEvery
		if !l.doubted(a.m) {
			pause += l.between(time.Minute, 15*time.Minute) // rarer than in life: heartbeats say what is known
		}
		t.wait(pause)
		if left := a.m.busyUntil - l.now; left > 0 {
			t.sleep(left)
		}
	}
}

func (a *agent) enrol(t *thread) bool {
	l := t.l
	var data agentapi.UserData
	if json.Unmarshal(a.m.userData, &data) != nil {
		l.fail("machine %s was told %q at birth", a.m.id, a.m.userData)
		return false
	}
	csr := requests()[l.rng.IntN(len(requests()))]
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 30*time.Second) {
		var got agentapi.Enrolled
		err := t.do("enrol", nil, func(p *process) (err error) {
			got, err = p.service.Enrol(context.Background(), data.Secret, agentapi.Enrolment{InstanceID: a.m.id, CertificateRequest: csr, Version: "sim"})
			return err
		})
		if err == nil {
			a.token, a.verifier = got.AgentToken, path.Base(got.VerifyURL)
			if l.hit(l.rates.Mischief, "enrolment with a spent secret") {
				a.enrolTwice(t, data.Secret, csr)
			}
			return true
		}
		if errors.Is(err, greenroom.ErrForbidden) {
			return false
		}
		t.sleep(pause)
	}
}

// enrolTwice tries the spent secret with another key.
func (a *agent) enrolTwice(t *thread, secret, csr string) {
	l := t.l
	for _, other := range requests()[:2] {
		if other == csr {
			continue
		}
		_ = t.do("enrol", nil, func(p *process) error {
			_, err := p.service.Enrol(context.Background(), secret, agentapi.Enrolment{InstanceID: a.m.id, CertificateRequest: other, Version: "thief"})
			if err == nil {
				l.fail("a spent secret enrolled another key for %s", a.m.handle.Token())
			}
			return err
		})
	}
}

// report tells the present state; in bad weather an old one arrives after it.
func (a *agent) report(t *thread) {
	l := t.l
	say := func(t *thread) error {
		in := agentapi.Report{Ready: a.ready, Error: a.err, Permanent: a.err != "", Connections: slices.Clone(a.conns)}
		if l.hit(l.rates.LateReport, "report late, twice or out of order") {
			t.sleep(l.between(0, 20*time.Second))
		}
		var orders agentapi.Orders
		err := t.do("report", nil, func(p *process) (err error) {
			orders, err = p.service.Report(context.Background(), a.token, in)
			return err
		})
		if err == nil {
			a.reported = l.now
		}
		if err == nil && orders.Retired {
			l.at(l.now, func() { l.die(a.m, "being retired", false) })
		}
		return err
	}
	if l.hit(l.rates.LateReport, "report late, twice or out of order") {
		l.spawn(nil, aClient, "agent", l.between(0, 10*time.Second), func(t *thread) { _ = say(t) })
	}
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		err := say(t)
		if err == nil || errors.Is(err, greenroom.ErrForbidden) {
			return
		}
		t.sleep(pause)
	}
}

// open adds a connection and tells of it.
func (a *agent) open(client string) string {
	a.made++
	c := agentapi.Connection{ID: fmt.Sprint(a.made), Client: client, ConnectedAt: epoch.Add(a.m.launched)}
	a.conns = append(a.conns, c)
	a.t.wake()
	return c.ID
}

func (a *agent) close(id string) {
	a.conns = slices.DeleteFunc(a.conns, func(c agentapi.Connection) bool { return c.ID == id })
	a.t.wake()
}
