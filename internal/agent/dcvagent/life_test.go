package dcvagent_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/agent/agentapi"
	"greenroom/internal/plan"
	"greenroom/internal/testenv/dcvtest"
)

// TestLife leads one desktop through its whole life with the real agent, on a machine with a network of its own that fails
// now and then: enrolment, certificate, session, warm-up, ready, connected, gone, end hooks, session data, kill time.
func TestLife(t *testing.T) {
	t.Parallel()
	m := bootApart(t, dcvtest.Version{ReloadsCertificates: true})
	m.dcv.SessionAfter = time.Second // the documented race: the service is there before it answers
	if err := os.WriteFile(filepath.Join(m.dcv.Dir, "dcv.conf"), []byte("# ours\n[display]\ntarget-fps=30\n[connectivity]\nidle-timeout=60\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	m.hook("warmup.d/10-first", `echo "$GREENROOM_TITLE|$GREENROOM_NAME|$GREENROOM_ROLE|$GREENROOM_VIDEO_URL|$DISPLAY|$GREENROOM_USER" > "$MARK/warm"; env > "$MARK/env"; cp "$GREENROOM_MEETING_FILE" "$MARK/facts"`)
	m.hook("warmup.d/20-second", `sleep 300 & pid=$!; echo $pid > "$MARK/kiosk"; echo done > "$MARK/warmed"`)
	m.hook("end.d/10-upload", `: > "$MARK/ending"; while [ ! -e "$MARK/uploaded" ]; do sleep 0.05; done; echo "session-data-url: s3://recordings/$GREENROOM_MEETING_ID.zip"`)
	m.cut(true)
	m.start(nil)
	m.until("it tries again without a network", func() bool { return strings.Contains(m.log.String(), "enrolment failed; trying again") })
	m.cut(false)
	d := m.ready()
	m.checkHooks()
	m.checkReadyAtOnce(d)
	m.checkInstalled()

	conn, user, err := m.dcv.Enter(m.roots, d.Hostname, m.token()) // the name's certificate is checked
	if err != nil || user != "participant" {
		t.Fatalf("user %q: %v", user, err)
	}
	began := time.Now()
	d = m.await("a connection", func(d greenroom.Desktop) bool { return d.Agent.Connections == 1 })
	seen := time.Since(began)
	if d.Agent.ActiveAt.IsZero() || d.Agent.Licence != "licensed" || d.Agent.Version == "" || d.Agent.Problem != "" {
		t.Errorf("what is known of the desktop: %+v", d.Agent)
	}
	began = time.Now()
	conn.Close()
	m.await("nobody", func(d greenroom.Desktop) bool { return d.Agent.Connections == 0 })
	t.Logf("seen: a connection after %s, its end after %s", seen, time.Since(began))
	if seen > 10*time.Second || time.Since(began) > 10*time.Second { // 3 s on a machine that does nothing else
		t.Error("connections are seen late")
	}

	m.end()
	m.until("the end hooks run", func() bool { _, err := os.Stat(filepath.Join(m.dir, "ending")); return err == nil })
	m.cut(true)
	m.touch("uploaded")
	m.until("the session's data waits", func() bool { return strings.Contains(m.log.String(), "session data could not be reported") })
	if d := m.now(); !d.Agent.EndedAt.IsZero() {
		t.Error("the network was not away")
	}
	m.cut(false)
	m.await("the end of the end hooks", func(d greenroom.Desktop) bool { return !d.Agent.EndedAt.IsZero() })
	m.checkGoes()

	// The control plane is lost for good, and the machine comes up once more.
	m.stop()
	m.cut(true)
	m.killAt = time.Now().Add(3 * time.Second)
	m.start(nil)
	m.checkPowerOff()
}

// checkHooks looks at what the warm-up hooks were told.
func (m *machine) checkHooks() {
	m.t.Helper()
	if got := m.file("warm"); got != "Algebra; rm -rf /|Ada Lovelace|teacher|https://meet.example.com/"+m.id+"|:0|participant" {
		m.t.Errorf("hooks are told %q", got)
	}
	if !strings.Contains(m.file("facts"), `"title": "Algebra; rm -rf /"`) {
		m.t.Errorf("hooks are given %s", m.file("facts"))
	}
	secret := m.id + ".teacher.1." // every secret of a desktop begins so
	if strings.Contains(m.file("env")+m.file("facts")+m.log.String(), secret) {
		m.t.Error("a secret reaches hooks or the log")
	}
}

// checkReadyAtOnce compares the control plane's clock with the last hook's.
func (m *machine) checkReadyAtOnce(d greenroom.Desktop) {
	m.t.Helper()
	warmed, err := os.Stat(filepath.Join(m.dir, "warmed"))
	if err != nil {
		m.t.Fatal(err)
	}
	late := d.Agent.ReadyAt.Sub(warmed.ModTime())
	m.t.Logf("ready %s after the last hook", late)
	if late > time.Second {
		m.t.Error("that is late")
	}
}

// checkInstalled looks at DCV's configuration and at whose its files are.
func (m *machine) checkInstalled() {
	m.t.Helper()
	conf, err := os.ReadFile(filepath.Join(m.dcv.Dir, "dcv.conf"))
	if err != nil {
		m.t.Fatal(err)
	}
	for _, want := range []string{"# ours\n[display]\ntarget-fps=30\n", "idle-timeout=0\n", "auth-token-verifier=\"https://", "owner=\"participant\"\n"} {
		if !strings.Contains(string(conf), want) {
			m.t.Errorf("dcv.conf has no %q:\n%s", want, conf)
		}
	}
	for _, name := range []string{"dcv.key", "dcv.pem", "dcv.conf"} {
		if info, err := os.Stat(filepath.Join(m.dcv.Dir, name)); err != nil || info.Mode().Perm() != 0o600 {
			m.t.Errorf("%s: %v %v", name, info, err)
		}
	}
}

// end has the organiser end the meeting, and the desktop go.
func (m *machine) end() {
	m.t.Helper()
	m.alter(func(d *greenroom.Desktop) { d.Phase = greenroom.InUse; d.Timings[greenroom.InUse] = time.Now() })
	if _, err := m.service.End(m.t.Context(), m.id); err != nil {
		m.t.Fatal(err)
	}
	m.alter(func(d *greenroom.Desktop) {
		d.Phase = greenroom.Terminating
		d.Timings[greenroom.Terminating] = time.Now()
	})
}

// checkGoes looks whether the session's data is known, and the plan lets the machine go now.
func (m *machine) checkGoes() {
	m.t.Helper()
	meeting, err := m.store.Meeting(m.t.Context(), m.id)
	if err != nil {
		m.t.Fatal(err)
	}
	seat := meeting.Seat("teacher")
	if data := seat.SessionData; data == nil || data.URL != "s3://recordings/"+m.id+".zip" {
		m.t.Errorf("session data %+v", data)
	}
	decision, err := plan.Plan(plan.Snapshot{Meeting: meeting, Zone: "desk.localhost", Observed: true,
		Instances: []plan.Instance{{ID: seat.Desktop.InstanceID, Handle: meeting.Handle(seat), Running: true}}}, time.Now())
	if err != nil {
		m.t.Fatal(err)
	}
	terminates := false
	for _, e := range decision.Effects {
		terminates = terminates || e.Do == plan.Terminate
	}
	if !terminates {
		m.t.Errorf("the machine does not go now: %v, %s", decision.Effects, decision.Why)
	}
}

// checkPowerOff waits until the machine ends itself, which is at its kill time and not before.
func (m *machine) checkPowerOff() {
	m.t.Helper()
	select {
	case <-m.dcv.PoweredOff:
	case <-time.After(time.Minute):
		m.t.Fatal("the machine goes on")
	}
	if late := time.Since(m.killAt); late < 0 {
		m.t.Errorf("the machine went %s too early", -late)
	}
}

func TestKillTime(t *testing.T) {
	t.Parallel()
	m := boot(t, dcvtest.Version{ReloadsCertificates: true})
	m.killAt = time.Now().Add(3 * time.Second)
	m.front.Close() // no control plane was ever seen
	m.start(nil)
	m.checkPowerOff()
}

func TestRetired(t *testing.T) {
	t.Parallel()
	m := boot(t, dcvtest.Version{ReloadsCertificates: true})
	m.start(nil)
	m.ready()
	m.alter(func(d *greenroom.Desktop) { *d = d.NextAttempt(time.Now()) })
	select {
	case <-m.dcv.PoweredOff:
	case <-time.After(time.Minute):
		t.Fatal("a machine that belongs to nothing goes on")
	}
}

// TestVersions has every kind of server become ready and tell who is connected.
func TestVersions(t *testing.T) {
	t.Parallel()
	for name, v := range map[string]dcvtest.Version{
		"Old":    {Terse: true},
		"New":    {ReloadsCertificates: true, Chatty: true},
		"Listed": {ReloadsCertificates: true, Terse: true, Chatty: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := boot(t, v)
			m.start(nil)
			d := m.ready()
			conn, _, err := m.dcv.Enter(m.roots, d.Hostname, m.token())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			m.await("a connection", func(d greenroom.Desktop) bool { return d.Agent.Connections == 1 })
		})
	}
}

func TestVisitors(t *testing.T) {
	t.Parallel()
	m := boot(t, dcvtest.Version{ReloadsCertificates: true})
	m.start(nil)
	d := m.ready()
	way, err := m.service.Visit(t.Context(), m.id, "teacher", agentapi.Observer)
	if err != nil {
		t.Fatal(err)
	}
	token := way[strings.Index(way, "authToken=")+len("authToken=") : strings.LastIndexByte(way, '#')]
	conn, user, err := m.dcv.Enter(m.roots, d.Hostname, token)
	if err != nil || user != agentapi.Observer {
		t.Fatalf("user %q: %v", user, err)
	}
	conn.Close()
}
