package dcvagent_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/agent/agentapi"
	"greenroom/internal/certs"
	"greenroom/internal/certs/localca"
	"greenroom/internal/httpapi"
	"greenroom/internal/httpx"
	"greenroom/internal/meetings"
	"greenroom/internal/notify"
	"greenroom/internal/plan"
	"greenroom/internal/store/memstore"
	"greenroom/internal/testenv/dcvtest"
	"greenroom/internal/testenv/locked"
	"greenroom/internal/testenv/netns"
)

func TestMain(m *testing.M) {
	if code, ok := dcvtest.Main(); ok {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// program is the real greenroom-agent, as make agents builds it.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "greenroom-agent")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "greenroom-agent")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, "greenroom/cmd/greenroom-agent")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

// machine is one desktop's machine: the stand-in for DCV, the real agent, and the real control plane over TLS.
type machine struct {
	t       *testing.T
	dcv     *dcvtest.Server
	store   *memstore.Store
	service *meetings.Service
	hub     *notify.Hub
	front   *httptest.Server
	roots   *x509.CertPool
	id      string // of the meeting
	killAt  time.Time
	dir     string
	log     *locked.Buffer
	cmd     *exec.Cmd
	ended   chan struct{}
	brief   atomic.Bool  // certificates are signed for a short time
	space   *netns.Space // the machine's own network; nil: it is on loopback
	cable   *netns.Cable // to it
	proxy   *proxy       // the way to the control plane where there is no space; nil: it is straight
}

// issuer signs for a shorter time than it is asked to, if a test wants it.
type issuer struct {
	certs.Issuer
	brief *atomic.Bool
}

// renewedSoon is for how long the authority is asked, so that a certificate is to be renewed at once: it dates certificates back
// by five minutes, signs for an hour more than it is asked, and two thirds of that whole are over then.
const renewedSoon = 150*time.Second - time.Hour

func (i issuer) Issue(ctx context.Context, request []byte, hostname string, until time.Time) ([]byte, error) {
	if i.brief.Load() {
		until = time.Now().Add(renewedSoon)
	}
	return i.Issuer.Issue(ctx, request, hostname, until)
}

type planner struct{ store *memstore.Store }

func (p planner) Explain(ctx context.Context, id string) (plan.Decision, error) {
	m, err := p.store.Meeting(ctx, id)
	if err != nil {
		return plan.Decision{}, err
	}
	return plan.Plan(plan.Snapshot{Meeting: m, Zone: "desk.localhost"}, time.Now())
}

// boot has a machine that was just launched, and no agent on it yet.
func boot(t *testing.T, v dcvtest.Version) *machine {
	t.Helper()
	return bootOn(t, v, nil)
}

// bootApart is boot with a network that can be cut. Where no machine's network can be made, a proxy stands for it.
func bootApart(t *testing.T, v dcvtest.Version) *machine {
	t.Helper()
	space, err := netns.New(t)
	if err == nil {
		return bootOn(t, v, space)
	}
	t.Logf("NO NETWORK NAMESPACE CAN BE HAD HERE, SO A PROXY LOSES THE NETWORK INSTEAD: %v", err)
	m := bootOn(t, v, nil)
	m.proxy = newProxy(t, m.front.Listener.Addr().String())
	return m
}

// network is how the machine is on it.
func (m *machine) network() dcvtest.Network {
	if m.space == nil {
		return dcvtest.Loopback()
	}
	return dcvtest.Network{
		Listen: func() (l net.Listener, err error) {
			err = m.space.Do(func() error {
				l, err = dcvtest.Listen(netip.AddrPortFrom(m.cable.Inside, 0).String())
				return err
			})
			return l, err
		},
		Dial: func(ctx context.Context, network, address string) (conn net.Conn, err error) {
			err = m.space.Do(func() error {
				conn, err = (&net.Dialer{}).DialContext(ctx, network, address)
				return err
			})
			return conn, err
		},
	}
}

// cut loses the machine's network, or mends it.
func (m *machine) cut(cut bool) {
	m.t.Helper()
	if m.space != nil {
		m.cable.Cut(m.t, cut)
		return
	}
	m.proxy.cut(cut)
}

func bootOn(t *testing.T, v dcvtest.Version, space *netns.Space) *machine {
	t.Helper()
	m := &machine{t: t, space: space, store: memstore.New(), hub: notify.New(), dir: t.TempDir(), log: &locked.Buffer{}, killAt: time.Now().Add(12 * time.Hour), roots: x509.NewCertPool()}
	authority, err := localca.Open(filepath.Join(m.dir, "ca"), "desk.localhost")
	if err != nil {
		t.Fatal(err)
	}
	m.roots.AppendCertsFromPEM(authority.RootPEM())
	m.front = httptest.NewUnstartedServer(nil)
	logger := slog.New(slog.NewTextHandler(t.Output(), nil))
	blueprint := greenroom.DefaultBlueprint()
	blueprint.Protocol, blueprint.Provider = "dcv", "test"
	if space != nil {
		if m.cable, err = space.Lay(t); err != nil {
			t.Fatal(err)
		}
		m.front.Listener.Close()
		if m.front.Listener, err = net.Listen("tcp", netip.AddrPortFrom(m.cable.Outside, 0).String()); err != nil {
			t.Fatal(err)
		}
	}
	cert, ca := certificate(t, m.front.Listener.Addr())
	m.front.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	m.front.StartTLS()
	m.service = meetings.New(meetings.Options{Store: m.store, Blueprints: []greenroom.Blueprint{blueprint}, Kick: m.hub.Publish, Explainer: planner{m.store},
		Issuer: issuer{authority, &m.brief}, Keys: meetings.Keys{Master: []byte("master")}, Logger: logger,
		Links: meetings.Links{PublicURL: m.front.URL, ControlURL: m.front.URL, ControlCA: ca, VideoURL: "https://meet.example.com/{id}", DesktopPort: 8443}})
	mux := http.NewServeMux()
	httpapi.Register(mux, httpapi.Options{Service: m.service, Hub: m.hub, Logger: logger})
	guarded := httpx.Guard(mux, httpx.Options{Logger: logger, Hosts: httpx.NewHosts(m.front.Listener.Addr(), "")})
	m.front.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Host = m.front.Listener.Addr().String() // also by way of a proxy
		guarded.ServeHTTP(w, r)
	})
	t.Cleanup(func() {
		m.hub.Close()
		m.front.CloseClientConnections()
		m.front.Close()
	})
	meeting, _, err := m.service.Schedule(t.Context(), meetings.Schedule{Title: "Algebra; rm -rf /", StartsAt: "now", Duration: "1h",
		Seats: []meetings.SeatInput{{Role: "teacher", Name: "Ada Lovelace"}}}, "")
	if err != nil {
		t.Fatal(err)
	}
	m.id = meeting.ID
	m.alter(func(d *greenroom.Desktop) {
		d.Attempt, d.Phase, d.InstanceID = 1, greenroom.Booting, greenroom.InstanceIDFromToken(m.id)
		d.Hostname = d.InstanceID + ".desk.localhost"
	})
	m.dcv = dcvtest.StartOn(t, v, m.network())
	for _, d := range []string{"hooks/warmup.d", "hooks/end.d", "state"} {
		if err := os.MkdirAll(filepath.Join(m.dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func (m *machine) alter(f func(d *greenroom.Desktop)) {
	m.t.Helper()
	for {
		meeting, err := m.store.Meeting(m.t.Context(), m.id)
		if err != nil {
			m.t.Fatal(err)
		}
		f(&meeting.Seat("teacher").Desktop)
		if _, err = m.store.Update(m.t.Context(), meeting, nil); err == nil {
			return
		}
		if !errors.Is(err, greenroom.ErrConflict) {
			m.t.Fatal(err)
		}
	}
}

// hook installs a hook: a shell script.
func (m *machine) hook(name, script string) {
	m.t.Helper()
	if err := os.WriteFile(filepath.Join(m.dir, "hooks", name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		m.t.Fatal(err)
	}
}

// userData is what the machine was told at birth, changed by f.
func (m *machine) userData(f func(*agentapi.UserData)) string {
	m.t.Helper()
	m.alter(func(d *greenroom.Desktop) { d.KillAt = m.killAt })
	meeting, err := m.store.Meeting(m.t.Context(), m.id)
	if err != nil {
		m.t.Fatal(err)
	}
	text, err := m.service.UserData(&meeting, meeting.Seat("teacher"))
	if err != nil {
		m.t.Fatal(err)
	}
	var data agentapi.UserData
	if err := json.Unmarshal(text, &data); err != nil {
		m.t.Fatal(err)
	}
	data.InstanceID = meeting.Seat("teacher").Desktop.InstanceID
	f(&data)
	if text, err = json.Marshal(data); err != nil {
		m.t.Fatal(err)
	}
	path := filepath.Join(m.dir, "user-data.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		m.t.Fatal(err)
	}
	return path
}

// start starts the agent, which ends with the test.
func (m *machine) start(f func(*agentapi.UserData)) {
	m.t.Helper()
	path, err := program()
	if err != nil {
		m.t.Fatal(err)
	}
	m.run(path, "run", "-user-data", m.userData(func(d *agentapi.UserData) {
		if m.proxy != nil {
			d.ControlURL = m.proxy.url()
		}
		if f != nil {
			f(d)
		}
	}))
}

func (m *machine) run(path string, args ...string) {
	m.t.Helper()
	m.cmd = exec.Command(path, append(args, "-dcv-dir", m.dcv.Dir, "-hooks", filepath.Join(m.dir, "hooks"), "-state", filepath.Join(m.dir, "state"), "-dcv-address", m.dcv.Address())...)
	m.cmd.Env = []string{"PATH=" + m.dcv.Bin + ":" + os.Getenv("PATH"), "MARK=" + m.dir}
	m.cmd.Stdout, m.cmd.Stderr = m.log, m.log
	start := m.cmd.Start
	if m.space != nil {
		start = func() error { return m.space.Do(m.cmd.Start) }
	}
	if err := start(); err != nil {
		m.t.Fatal(err)
	}
	ended, cmd := make(chan struct{}), m.cmd
	m.ended = ended
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	m.t.Cleanup(func() {
		m.stop()
		if m.t.Failed() {
			m.t.Logf("the agent's log:\n%s", m.log.String())
		}
	})
}

func (m *machine) stop() {
	_ = m.cmd.Process.Signal(syscall.SIGTERM)
	<-m.ended
}

// await waits until ok holds for the desktop, for as long as a busy machine may take.
func (m *machine) await(what string, ok func(greenroom.Desktop) bool) greenroom.Desktop {
	m.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		meeting, err := m.store.Meeting(m.t.Context(), m.id)
		if err != nil {
			m.t.Fatal(err)
		}
		d := meeting.Seat("teacher").Desktop
		if ok(d) {
			return d
		}
		if time.Now().After(deadline) {
			m.t.Fatalf("waited in vain for: %s; agent's facts %+v", what, d.Agent)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// now is the desktop as the control plane knows it.
func (m *machine) now() greenroom.Desktop {
	m.t.Helper()
	return m.await("", func(greenroom.Desktop) bool { return true })
}

// ready waits for the agent's word, and then the desktop counts as proved.
func (m *machine) ready() greenroom.Desktop {
	m.t.Helper()
	d := m.await("ready", func(d greenroom.Desktop) bool {
		if d.Agent.Error != "" {
			m.t.Fatalf("the desktop reports: %s", d.Agent.Error)
		}
		return !d.Agent.ReadyAt.IsZero()
	})
	m.alter(func(d *greenroom.Desktop) {
		d.Phase = greenroom.Ready
		d.Timings[greenroom.Ready] = time.Now()
		d.Trust.ProvedAt = time.Now().Add(time.Hour)
	})
	return d
}

// token is a fresh one for the participant.
func (m *machine) token() string {
	m.t.Helper()
	meeting, err := m.store.Meeting(m.t.Context(), m.id)
	if err != nil {
		m.t.Fatal(err)
	}
	st, err := m.service.Enter(m.t.Context(), m.id, "teacher", meeting.Seat("teacher").Key, "127.0.0.1")
	if err != nil {
		m.t.Fatal(err)
	}
	u, err := url.Parse(st.URL)
	if err != nil {
		m.t.Fatal(err)
	}
	return u.Query().Get("authToken")
}

func (m *machine) file(name string) string {
	text, err := os.ReadFile(filepath.Join(m.dir, name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// touch makes an empty file for a hook to see.
func (m *machine) touch(name string) {
	m.t.Helper()
	if err := os.WriteFile(filepath.Join(m.dir, name), nil, 0o600); err != nil {
		m.t.Fatal(err)
	}
}

// told are the timeline's entries of a kind.
func (m *machine) told(kind greenroom.EventKind) []string {
	m.t.Helper()
	events, err := m.service.Events(m.t.Context(), m.id, 0, 1000)
	if err != nil {
		m.t.Fatal(err)
	}
	return messages(events, kind)
}

// planned are the entries of a kind that the next pass would make.
func (m *machine) planned(kind greenroom.EventKind) []string {
	m.t.Helper()
	d, err := (planner{m.store}).Explain(m.t.Context(), m.id)
	if err != nil {
		m.t.Fatal(err)
	}
	return messages(d.Events, kind)
}

func messages(events []greenroom.Event, kind greenroom.EventKind) (out []string) {
	for _, e := range events {
		if e.Kind == kind {
			out = append(out, e.Message)
		}
	}
	return out
}
