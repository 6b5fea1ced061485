package dcvagent_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/agentapi"
	"greenroom/internal/plan"
	"greenroom/internal/testenv/dcvtest"
)

// TestLife leads one desktop through its whole life with the real agent: enrolment, certificate, session, warm-up, ready,
// connected, gone, end hooks, session data.
func TestLife(t *testing.T) {
	t.Parallel()
	m := boot(t, dcvtest.Version{ReloadsCertificates: true})
	m.dcv.SessionAfter = time.Second // the documented race: the service is there before it answers
	if err := os.WriteFile(filepath.Join(m.dcv.Dir, "dcv.conf"), []byte("# ours\n[display]\ntarget-fps=30\n[connectivity]\nidle-timeout=60\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	m.hook("warmup.d/10-first", `echo "$GREENROOM_TITLE|$GREENROOM_NAME|$GREENROOM_ROLE|$GREENROOM_VIDEO_URL|$DISPLAY|$GREENROOM_USER" > "$MARK/warm"; env > "$MARK/env"; cp "$GREENROOM_MEETING_FILE" "$MARK/facts"`)
	m.hook("warmup.d/20-second", `sleep 300 & date +%s%N > "$MARK/warmed"; pid=$!; echo $pid > "$MARK/kiosk"`)
	m.hook("end.d/10-upload", `echo uploading; echo "session-data-url: s3://recordings/$GREENROOM_MEETING_ID.zip"`)
	m.start(nil)
	d := m.ready()

	if got := m.file("warm"); got != "Algebra; rm -rf /|Ada Lovelace|teacher|https://meet.example.com/"+m.id+"|:0|participant" {
		t.Errorf("hooks are told %q", got)
	}
	if !strings.Contains(m.file("facts"), `"title": "Algebra; rm -rf /"`) {
		t.Errorf("hooks are given %s", m.file("facts"))
	}
	for _, secret := range []string{m.id + ".teacher.1"} { // every secret of a desktop begins so
		if strings.Contains(m.file("env")+m.file("facts")+m.log.text(), secret) {
			t.Error("a secret reaches hooks or the log")
		}
	}
	warmed, err := os.Stat(filepath.Join(m.dir, "warmed"))
	if err != nil {
		t.Fatal(err)
	}
	if late := d.Agent.ReadyAt.Sub(warmed.ModTime()); late > time.Second {
		t.Errorf("ready %s after the last hook", late)
	} else {
		t.Logf("ready %s after the last hook", late)
	}
	conf, err := os.ReadFile(filepath.Join(m.dcv.Dir, "dcv.conf"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"# ours\n[display]\ntarget-fps=30\n", "idle-timeout=0\n", "auth-token-verifier=\"https://", "owner=\"participant\"\n"} {
		if !strings.Contains(string(conf), want) {
			t.Errorf("dcv.conf has no %q:\n%s", want, conf)
		}
	}
	for _, name := range []string{"dcv.key", "dcv.pem", "dcv.conf"} {
		if info, err := os.Stat(filepath.Join(m.dcv.Dir, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, info.Mode(), err)
		}
	}

	conn, user, err := m.dcv.Enter(m.roots, d.Hostname, m.token()) // the name's certificate is checked
	if err != nil || user != "participant" {
		t.Fatalf("user %q: %v", user, err)
	}
	began := time.Now()
	m.await("a connection", func(d greenroom.Desktop) bool { return d.Agent.Connections == 1 })
	seen := time.Since(began)
	began = time.Now()
	conn.Close()
	m.await("nobody", func(d greenroom.Desktop) bool { return d.Agent.Connections == 0 })
	t.Logf("seen: a connection after %s, its end after %s", seen, time.Since(began))
	if seen > 10*time.Second || time.Since(began) > 10*time.Second { // 3 s on a machine that does nothing else
		t.Error("connections are seen late")
	}

	m.alter(func(d *greenroom.Desktop) { d.Phase = greenroom.InUse; d.Timings[greenroom.InUse] = time.Now() })
	if _, err := m.service.End(t.Context(), m.id); err != nil {
		t.Fatal(err)
	}
	m.alter(func(d *greenroom.Desktop) {
		d.Phase = greenroom.Terminating
		d.Timings[greenroom.Terminating] = time.Now()
	})
	m.await("the end of the end hooks", func(d greenroom.Desktop) bool { return !d.Agent.EndedAt.IsZero() })
	meeting, err := m.store.Meeting(t.Context(), m.id)
	if err != nil {
		t.Fatal(err)
	}
	if data := meeting.Seat("teacher").SessionData; data == nil || data.URL != "s3://recordings/"+m.id+".zip" {
		t.Errorf("session data %+v", data)
	}
	seat := meeting.Seat("teacher")
	decision := plan.Plan(plan.Snapshot{Meeting: meeting, Zone: "desk.localhost", Observed: true,
		Instances: []plan.Instance{{ID: seat.Desktop.InstanceID, Handle: meeting.Handle(seat), Running: true}}}, time.Now())
	terminates := false
	for _, e := range decision.Effects {
		terminates = terminates || e.Do == plan.Terminate
	}
	if !terminates {
		t.Errorf("the machine does not go now: %v, %s", decision.Effects, decision.Why)
	}
}

func TestKillTime(t *testing.T) {
	t.Parallel()
	m := boot(t, dcvtest.Version{ReloadsCertificates: true})
	m.killAt = time.Now().Add(3 * time.Second)
	m.front.Close() // no control plane was ever seen
	m.start(nil)
	select {
	case <-m.dcv.PoweredOff:
	case <-time.After(time.Minute):
		t.Fatal("the machine goes on")
	}
	if late := time.Since(m.killAt); late < 0 {
		t.Errorf("the machine went %s too early", -late)
	}
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
