package dcvagent_test

import (
	"crypto/ecdsa"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/agent/agentapi"
	"greenroom/internal/testenv/dcvtest"
)

func TestFaults(t *testing.T) {
	t.Parallel()
	modern := dcvtest.Version{ReloadsCertificates: true}

	t.Run("AnAgentThatIsKilledGoesOnAsTheSame", func(t *testing.T) {
		t.Parallel()
		m := boot(t, modern)
		m.start(nil)
		first := m.ready()
		conn, _, err := m.dcv.Enter(m.roots, first.Hostname, m.token())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		m.await("a connection", func(d greenroom.Desktop) bool { return d.Agent.Connections == 1 })
		_ = m.cmd.Process.Signal(syscall.SIGKILL)
		<-m.ended
		restarts := m.restarts()
		conn.Close()
		m.run(m.cmd.Path, "run", "-user-data", filepath.Join(m.dir, "user-data.json"))
		d := m.await("that it left", func(d greenroom.Desktop) bool { return d.Agent.Connections == 0 })
		if d.Agent.KeyHash != first.Agent.KeyHash {
			t.Error("it came back as somebody else")
		}
		if m.restarts() != restarts {
			t.Error("DCV was restarted for a configuration that stood already")
		}
	})
	t.Run("NobodyIsThrownOutForAConfiguration", func(t *testing.T) {
		t.Parallel()
		m := boot(t, modern)
		m.start(nil)
		d := m.ready()
		conn, _, err := m.dcv.Enter(m.roots, d.Hostname, m.token())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		m.stop()
		restarts := m.restarts()
		if err := os.WriteFile(filepath.Join(m.dcv.Dir, "dcv.conf"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		m.run(m.cmd.Path, "run", "-user-data", filepath.Join(m.dir, "user-data.json"))
		m.await("the problem", func(d greenroom.Desktop) bool { return strings.Contains(d.Agent.Problem, "somebody is connected") })
		if m.restarts() != restarts {
			t.Error("DCV was restarted under a participant")
		}
		conn.Close()
		m.await("no problem", func(d greenroom.Desktop) bool { return d.Agent.Problem == "" })
		if m.restarts() != restarts+1 {
			t.Errorf("%d restarts", m.restarts()-restarts)
		}
	})
	t.Run("WhatCannotBeReadIsNoEmptyDesktop", func(t *testing.T) {
		t.Parallel()
		m := boot(t, modern)
		m.start(nil)
		d := m.ready()
		conn, _, err := m.dcv.Enter(m.roots, d.Hostname, m.token())
		if err != nil {
			t.Fatal(err)
		}
		m.await("a connection", func(d greenroom.Desktop) bool { return d.Agent.Connections == 1 })
		m.set(func(s *dcvtest.Server) { s.Garbled = true })
		conn.Close()
		d = m.await("the problem", func(d greenroom.Desktop) bool { return d.Agent.Problem != "" })
		if d.Agent.Connections != 1 || len(d.Agent.Problem) > 1000 || !strings.Contains(d.Agent.Problem, "printed more than") {
			t.Errorf("connections %d, problem %.100q", d.Agent.Connections, d.Agent.Problem)
		}
		m.set(func(s *dcvtest.Server) { s.Garbled = false })
		m.await("nobody", func(d greenroom.Desktop) bool { return d.Agent.Connections == 0 && d.Agent.Problem == "" })
	})
	t.Run("AControlPlaneThatIsAwayHearsItLater", func(t *testing.T) {
		t.Parallel()
		m := bootApart(t, modern)
		m.start(nil)
		d := m.ready()
		conn, _, err := m.dcv.Enter(m.roots, d.Hostname, m.token())
		if err != nil {
			t.Fatal(err)
		}
		m.await("a connection", func(d greenroom.Desktop) bool { return d.Agent.Connections == 1 })
		m.cut(true)
		conn.Close() // nobody hears of that, either
		m.until("the desktop sees it", func() bool { return strings.Contains(m.log.String(), "connections=0") })
		m.until("nobody answers", func() bool { return strings.Contains(m.log.String(), "report not sent") })
		if d := m.now(); d.Agent.Connections != 1 {
			t.Error("the network was not away")
		}
		m.cut(false)
		m.await("nobody", func(d greenroom.Desktop) bool { return d.Agent.Connections == 0 })
	})
	t.Run("ARenewedCertificateThrowsNobodyOut", func(t *testing.T) {
		t.Parallel()
		m := boot(t, modern)
		m.brief.Store(true)
		m.start(nil)
		d := m.ready()
		conn, _, err := m.dcv.Enter(m.roots, d.Hostname, m.token())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		m.await("a connection", func(d greenroom.Desktop) bool { return d.Agent.Connections == 1 })
		restarts, first := m.restarts(), m.served(d.Hostname)
		m.until("DCV serves another certificate", func() bool { return !m.served(d.Hostname).Equal(first) })
		if !m.served(d.Hostname).PublicKey.(*ecdsa.PublicKey).Equal(first.PublicKey) {
			t.Error("it is of another key, which did not enrol")
		}
		if d := m.now(); d.Agent.Connections != 1 || d.Agent.Problem != "" || m.restarts() != restarts {
			t.Errorf("it was noticed: %+v, %d restarts", d.Agent, m.restarts()-restarts)
		}
	})
	t.Run("AWrongSecretEnrolsNobody", func(t *testing.T) {
		t.Parallel()
		m := boot(t, modern)
		m.start(func(d *agentapi.UserData) { d.Secret = d.Secret[:len(d.Secret)-4] + "AAAA" })
		m.until("it is refused", func() bool { return strings.Contains(m.log.String(), "401") })
		if d := m.now(); d.Agent.KeyHash != "" {
			t.Error("it is enrolled")
		}
		if told := m.told(greenroom.EventRefused); len(told) == 0 || told[0] != "A call with a wrong secret was refused." {
			t.Errorf("the timeline says %q", told)
		}
		if _, err := os.Stat(filepath.Join(m.dcv.Dir, "greenroom.perm")); err == nil {
			t.Error("DCV was configured all the same")
		}
	})
	t.Run("AFailingHookIsToldWithItsWords", func(t *testing.T) {
		t.Parallel()
		m := boot(t, modern)
		m.hook("warmup.d/10-hostile", `yes 'noise' | head -c 3000000; printf '\033]0;title\007the disk is full'; exit 3`)
		m.start(nil)
		d := m.await("the error", func(d greenroom.Desktop) bool { return d.Agent.Error != "" })
		if !strings.Contains(d.Agent.Error, "10-hostile") || !strings.Contains(d.Agent.Error, "the disk is full") || strings.Contains(d.Agent.Error, "\x1b") || len(d.Agent.Error) > 400 {
			t.Errorf("the error is %q", d.Agent.Error)
		}
		if told := m.planned(greenroom.EventFailed); len(told) != 1 || told[0] != d.Agent.Error {
			t.Errorf("the timeline will say %q", told)
		}
	})
	t.Run("ALicenceThatIsMissingIsReported", func(t *testing.T) {
		t.Parallel()
		m := boot(t, dcvtest.Version{ReloadsCertificates: true, Licence: "Unlicensed"})
		m.start(nil)
		d := m.await("the licence", func(d greenroom.Desktop) bool { return d.Agent.Licence != "" })
		if d.Agent.Licence != "unlicensed" {
			t.Errorf("licence %q", d.Agent.Licence)
		}
		m.ready()
		m.set(func(s *dcvtest.Server) { s.Licence = "LICENSED" })
		m.await("a good licence", func(d greenroom.Desktop) bool { return d.Agent.Licence == "licensed" })
		if told := append(m.told(greenroom.EventProblem), m.told(greenroom.EventProblemOver)...); len(told) != 2 || !strings.Contains(told[0], "unlicensed") || !strings.Contains(told[1], "good again") {
			t.Errorf("the timeline says %q", told)
		}
	})
	t.Run("TheParticipantIsToldAndAnExtensionMovesIt", func(t *testing.T) {
		t.Parallel()
		m := boot(t, modern)
		meeting, err := m.store.Meeting(t.Context(), m.id)
		if err != nil {
			t.Fatal(err)
		}
		meeting.EndsAt = time.Now().Add(time.Minute - 5*time.Second)
		if _, err := m.store.Update(t.Context(), meeting, nil); err != nil {
			t.Fatal(err)
		}
		m.start(nil)
		m.until("a notice", func() bool { return strings.Contains(m.shown(), "one minute") })
		if meeting, err = m.store.Meeting(t.Context(), m.id); err != nil {
			t.Fatal(err)
		}
		meeting.EndsAt = time.Now().Add(5*time.Minute + 2*time.Second)
		if _, err := m.store.Update(t.Context(), meeting, nil); err != nil {
			t.Fatal(err)
		}
		m.until("the notice of the new end", func() bool { return strings.Contains(m.shown(), "5 minutes") })
	})
}

// TestFrugal measures the real program at rest. Its bounds are those of the product; a busy machine makes it no hungrier, but
// the sockets of others would: it looks at all that its network has.
func TestFrugal(t *testing.T) {
	t.Parallel()
	m := bootApart(t, dcvtest.Version{ReloadsCertificates: true})
	m.start(nil)
	m.ready()
	began, before := time.Now(), m.cpu(false)
	children := m.cpu(true)
	time.Sleep(16 * time.Second) // what follows readiness, a heartbeat, and the rarest of the regular looks
	share := float64(m.cpu(false)-before) / float64(time.Since(began))
	withChildren := share + float64(m.cpu(true)-children)/float64(time.Since(began))
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", m.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	rss := 0
	for line := range strings.Lines(string(status)) {
		if f := strings.Fields(line); f[0] == "VmRSS:" {
			rss, _ = strconv.Atoi(f[1])
		}
	}
	info, err := os.Stat(m.cmd.Path)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%.3f %% of a core (%.3f %% with DCV's command lines), %.1f MiB, binary of %.1f MiB", 100*share, 100*withChildren, float64(rss)/1024, float64(info.Size())/(1<<20))
	if share > 0.005 || rss > 20<<10 || info.Size() > 12<<20 {
		t.Error("it takes more than it may")
	}
}
