package e2e

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	miekg "github.com/miekg/dns"

	"greenroom"
	"greenroom/internal/httpapi/wire"
	"greenroom/internal/testenv/dnsserver"
)

const (
	tsigName   = "greenroom"
	tsigSecret = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I="
)

var named = flag.Int("named", 5, "how many meetings of two are named in a real zone at once")

// TestNamesInRealZone leads two greenrooms in one zone of a real name server, kills one of them in the middle, and looks
// for what is left.
func TestNamesInRealZone(t *testing.T) {
	t.Parallel()
	const zone = "desk.example.com"
	server := dnsserver.Start(t, zone, tsigName, tsigSecret)
	counted := newCounter(t, server)
	config := fmt.Sprintf("zone: %s\ndns: {provider: rfc2136, server: %q, servers: [%q], tsig_name: %s, tsig_secret: %s}\n", zone, counted.address, server, tsigName, tsigSecret)
	s, other := newNamed(t, config), newNamed(t, config)
	s.start()
	other.start()
	update(t, server, zone, "foreign."+zone+". 60 IN A 192.0.2.9", "foreign."+zone+`. 60 IN TXT "heritage=greenroom,greenroom/owner=somebodyelse"`)
	theirs := mustSchedule(t, other, "Of the others", "now")

	m := s.proved(mustSchedule(t, s, "In a real zone", "now").ID)
	theirs = other.proved(theirs.ID)
	d := m.Seats[0].Desktop
	if got := lookUp(t, server, d.Hostname); len(got) != 1 || got[0] != d.Address || !strings.HasSuffix(d.Hostname, "."+zone) {
		t.Errorf("%s is %v, want %s", d.Hostname, got, d.Address)
	}
	if step := d.Proof.Steps[0]; !step.OK || !strings.Contains(step.Detail, server) {
		t.Errorf("the proof asked others: %+v", step)
	}
	reaches(t, server, d.Hostname, "", s.authority())

	// A record that carries our mark and belongs to nobody: what a process leaves that dies at the worst moment.
	mark := texts(t, server, d.Hostname)
	if len(mark) != 1 {
		t.Fatalf("%s is marked %q", d.Hostname, mark)
	}
	orphan := "i-0123456789abcdef0." + zone
	s.kill()
	update(t, server, zone, orphan+". 60 IN A 127.0.1.250", orphan+`. 60 IN TXT "`+mark[0]+`"`)
	s.start()
	began := time.Now()
	second := mustSchedule(t, s, "Killed in the middle", "now")
	s.becomes(second.ID, "machines", func(m wire.Meeting) bool {
		return m.Seats[0].Desktop.InstanceID != "" && m.Seats[1].Desktop.InstanceID != ""
	})
	s.kill()
	s.start()
	second = s.proved(second.ID)
	s.ended(second.ID)
	s.ended(m.ID)
	for _, seat := range slices.Concat(m.Seats, second.Seats) {
		if got := lookUp(t, server, seat.Desktop.Hostname); len(got) != 0 {
			t.Errorf("%s is still %v", seat.Desktop.Hostname, got)
		}
	}
	s.within(2*time.Minute, "two sweeps to remove what is nobody's", func(context.Context) bool { return len(lookUp(t, server, orphan)) == 0 })
	t.Logf("the orphan was gone %s after the start; %d updates in all", time.Since(began).Round(time.Second), counted.updates.Load())

	for _, seat := range theirs.Seats {
		if got := lookUp(t, server, seat.Desktop.Hostname); len(got) != 1 || got[0] != seat.Desktop.Address {
			t.Errorf("the other greenroom's %s is %v", seat.Desktop.Hostname, got)
		}
	}
	if got := lookUp(t, server, "foreign."+zone); len(got) != 1 || got[0] != "192.0.2.9" {
		t.Errorf("somebody else's record is %v", got)
	}
	other.ended(theirs.ID)
	s.nothingLeft()
	other.nothingLeft()
}

// TestManyNamesInFewUpdates names the desktops of several meetings that begin at once.
func TestManyNamesInFewUpdates(t *testing.T) {
	t.Parallel()
	const zone = "crowd.example.com"
	server := dnsserver.Start(t, zone, tsigName, tsigSecret)
	counted := newCounter(t, server)
	s := newNamed(t, fmt.Sprintf("zone: %s\ndns: {provider: rfc2136, server: %q, servers: [%q], tsig_name: %s, tsig_secret: %s}\n", zone, counted.address, server, tsigName, tsigSecret))
	s.start()
	began := time.Now()
	meetings := make([]wire.Meeting, *named)
	for i := range meetings {
		meetings[i] = mustSchedule(t, s, fmt.Sprintf("Crowd %d", i), "now")
	}
	for i := range meetings {
		meetings[i] = s.becomes(meetings[i].ID, "desktops", func(m wire.Meeting) bool { return all(m, greenroom.Ready) })
	}
	took, updates := time.Since(began), counted.updates.Load()
	t.Logf("%d desktops ready after %s, named by %d updates", 2*len(meetings), took.Round(time.Millisecond), updates)
	// Desktops that boot one after the other are named as they come: nobody waits for company longer than a moment.
	if updates >= int64(2*len(meetings)) {
		t.Errorf("%d updates for %d names: nothing was gathered", updates, 2*len(meetings))
	}
	for _, m := range meetings {
		s.ended(m.ID)
		for _, seat := range m.Seats {
			if got := lookUp(t, server, seat.Desktop.Hostname); len(got) != 0 {
				t.Errorf("%s is still %v", seat.Desktop.Hostname, got)
			}
		}
	}
	t.Logf("%d updates with the removals", counted.updates.Load())
	s.nothingLeft()
}

// update changes a name server's zone as its operator.
func update(t *testing.T, server, zone string, records ...string) {
	t.Helper()
	m := new(miekg.Msg).SetUpdate(miekg.Fqdn(zone))
	for _, text := range records {
		rr, err := miekg.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		m.Insert([]miekg.RR{rr})
	}
	m.SetTsig(tsigName+".", miekg.HmacSHA256, 300, time.Now().Unix())
	answer, _, err := (&miekg.Client{Net: "tcp", TsigSecret: map[string]string{tsigName + ".": tsigSecret}}).Exchange(m, server)
	if err != nil || answer.Rcode != miekg.RcodeSuccess {
		t.Fatalf("update: %v %v", answer, err)
	}
}

// counter passes DNS messages on, signed as they are, and counts the updates.
type counter struct {
	address string
	updates atomic.Int64
}

func newCounter(t *testing.T, server string) *counter {
	t.Helper()
	c := &counter{address: keptAddress(t)}
	l, err := net.Listen("tcp", c.address)
	if err != nil {
		t.Fatal(err)
	}
	u, err := net.ListenPacket("udp", c.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(); u.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go c.stream(conn, server)
		}
	}()
	go func() {
		for {
			packet := make([]byte, 1<<16)
			n, from, err := u.ReadFrom(packet)
			if err != nil {
				return
			}
			c.count(packet[:n])
			go answerPacket(u, from, packet[:n], server)
		}
	}()
	return c
}

// count looks at a message's operation code.
func (c *counter) count(message []byte) {
	if len(message) > 2 && int(message[2]>>3&0xf) == miekg.OpcodeUpdate {
		c.updates.Add(1)
	}
}

func answerPacket(back net.PacketConn, to net.Addr, packet []byte, server string) {
	conn, err := net.Dial("udp", server)
	if err != nil {
		return
	}
	defer conn.Close()
	answer := make([]byte, 1<<16)
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := conn.Write(packet); err != nil {
		return
	}
	if n, err := conn.Read(answer); err == nil {
		_, _ = back.WriteTo(answer[:n], to)
	}
}

func (c *counter) stream(conn net.Conn, server string) {
	defer conn.Close()
	back, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	defer back.Close()
	go func() {
		defer conn.Close()
		_, _ = io.Copy(conn, back)
	}()
	for {
		var size [2]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return
		}
		message := make([]byte, int(size[0])<<8|int(size[1]))
		if _, err := io.ReadFull(conn, message); err != nil {
			return
		}
		c.count(message)
		if _, err := back.Write(slices.Concat(size[:], message)); err != nil {
			return
		}
	}
}
