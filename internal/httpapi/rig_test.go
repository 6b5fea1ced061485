package httpapi_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/httpapi"
	"greenroom/internal/httpapi/client"
	"greenroom/internal/httpapi/wire"
	"greenroom/internal/httpx"
	"greenroom/internal/meetings"
	"greenroom/internal/notify"
	"greenroom/internal/plan"
	"greenroom/internal/store"
	"greenroom/internal/store/memstore"
	"greenroom/internal/testenv/locked"
)

// rig is the API on a real listener, with the real use cases over a store in memory.
type rig struct {
	t       testing.TB
	store   store.Store
	service *meetings.Service
	hub     *notify.Hub
	server  *httptest.Server
	client  *client.Client
	log     *locked.Buffer
}

// setup changes how a rig is made.
type setup struct {
	store store.Store
	api   httpapi.Options
	guard httpx.Options
}

func newRig(t testing.TB, change ...func(*setup)) *rig {
	t.Helper()
	r := &rig{t: t, hub: notify.New(), log: &locked.Buffer{}}
	r.server = httptest.NewUnstartedServer(nil)
	log := slog.New(slog.NewTextHandler(r.log, nil))
	s := setup{
		store: memstore.New(),
		api:   httpapi.Options{Hub: r.hub, Logger: log},
		guard: httpx.Options{Logger: log, Hosts: httpx.NewHosts(r.server.Listener.Addr(), "")},
	}
	for _, c := range change {
		c(&s)
	}
	r.store = s.store
	r.service = meetings.New(meetings.Options{
		Store: r.store, Blueprints: []greenroom.Blueprint{greenroom.DefaultBlueprint()}, Kick: r.hub.Publish,
		Explainer: planner{r.store}, Issuer: issuer{}, Keys: meetings.Keys{Master: []byte("a master key for tests")},
		Links: meetings.Links{PublicURL: "http://public.test", ControlURL: "http://control.test", VideoURL: "https://video.test/{id}", DesktopPort: 8443, Zone: "desk.test"}, Logger: log,
	})
	s.api.Service = r.service
	mux := http.NewServeMux()
	httpapi.Register(mux, s.api)
	r.server.Config.Handler = httpx.Guard(mux, s.guard)
	r.server.Config.RegisterOnShutdown(r.hub.Close)
	r.server.Start()
	t.Cleanup(func() {
		r.hub.Close()
		r.server.Close()
	})
	var err error
	if r.client, err = client.New(r.server.URL, ""); err != nil {
		t.Fatal(err)
	}
	return r
}

// planner explains with the real plan.
type planner struct{ store store.Store }

func (p planner) Explain(ctx context.Context, id string) (plan.Decision, error) {
	m, err := p.store.Meeting(ctx, id)
	if err != nil {
		return plan.Decision{}, err
	}
	return plan.Plan(plan.Snapshot{Meeting: m, Zone: "desk.test"}, time.Now())
}

// issuer signs nothing and says for whom it would have.
type issuer struct{}

func (issuer) Issue(_ context.Context, _ []byte, hostname string, _ time.Time) ([]byte, error) {
	return []byte("certificate for " + hostname), nil
}

func (issuer) Roots() *x509.CertPool { return nil }

// in is the rig for a subtest.
func (r *rig) in(t *testing.T) *rig {
	c := *r
	c.t = t
	return &c
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// call sends body, which is a document or raw text.
func (r *rig) call(method, path string, body any, headers ...string) answer {
	r.t.Helper()
	var in io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		in = strings.NewReader(b)
	default:
		doc, err := json.Marshal(b)
		if err != nil {
			r.t.Fatal(err)
		}
		in = bytes.NewReader(doc)
	}
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.server.URL+path, in)
	if err != nil {
		r.t.Fatal(err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, text}
}

// doc reads the answer as a document of status.
func doc[T any](t testing.TB, a answer, status int) T {
	t.Helper()
	var v T
	if a.status != status {
		t.Fatalf("status %d, want %d: %s", a.status, status, a.body)
	}
	if err := json.Unmarshal(a.body, &v); err != nil {
		t.Fatalf("%v in %s", err, a.body)
	}
	return v
}

// problem reads the answer as a problem document of status and checks what all of them must have.
func problem(t testing.TB, a answer, status int) httpx.Problem {
	t.Helper()
	p := doc[httpx.Problem](t, a, status)
	if a.header.Get("Content-Type") != "application/problem+json" || p.Status != status || !strings.HasPrefix(p.Type, "/problems/") || p.Title == "" || p.Detail == "" {
		t.Errorf("not a whole problem document: %s %s", a.header.Get("Content-Type"), a.body)
	}
	return p
}

// scheduled makes a meeting that starts now.
func (r *rig) scheduled() wire.Meeting {
	r.t.Helper()
	return doc[wire.Meeting](r.t, r.call("POST", "/api/v1/meetings", wire.Schedule{Title: "Algebra", StartsAt: "now"}), 201)
}

// join is the API's path of a seat's link.
func (r *rig) join(m wire.Meeting, role string) string {
	r.t.Helper()
	for _, s := range m.Seats {
		if s.Role == role {
			return "/api/v1" + strings.TrimPrefix(s.JoinURL, "http://public.test")
		}
	}
	r.t.Fatalf("no seat %s", role)
	return ""
}

// change edits what is stored, as advance would, and tells the hub.
func (r *rig) change(id string, f func(m *greenroom.Meeting) []greenroom.Event) greenroom.Meeting {
	r.t.Helper()
	m, err := r.store.Meeting(r.t.Context(), id)
	if err != nil {
		r.t.Fatal(err)
	}
	events := f(&m)
	if m, err = r.store.Update(r.t.Context(), m, events); err != nil {
		r.t.Fatal(err)
	}
	r.hub.Publish(id)
	return m
}

// ready gives every seat a proved desktop.
func (r *rig) ready(id string) {
	r.change(id, func(m *greenroom.Meeting) []greenroom.Event {
		for i := range m.Seats {
			d := &m.Seats[i].Desktop
			d.InstanceID = greenroom.InstanceIDFromToken(m.Handle(&m.Seats[i]).Token())
			d.Hostname, d.Address, d.Phase = d.InstanceID+".desk.test", "127.0.1.9", greenroom.Ready
			d.Timings[greenroom.Ready] = time.Now().UTC()
			d.Proof = &greenroom.Proof{OK: true, At: time.Now().UTC(), Steps: []greenroom.ProofStep{{Name: "dns", OK: true, Took: greenroom.Duration(time.Millisecond), Detail: "127.0.1.9"}}}
		}
		return nil
	})
}
