package connlimit_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"
	"pgregory.net/rapid"

	"greenroom/internal/access/connlimit"
)

const patient = 10 * time.Second

func client(n int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(n)}), 32)
}

// member is a place whose eviction is noted.
type member struct {
	*connlimit.Place
	out bool
}

func enter(p *connlimit.Pool, n int) *member {
	m := &member{}
	m.Place = p.Enter(client(n), func() { m.out = true })
	return m
}

func TestTheHeaviestStrangerMakesWay(t *testing.T) {
	t.Parallel()
	p := connlimit.NewPool(connlimit.Limits{All: 4})
	quiet := enter(p, 1)
	first, second := enter(p, 2), enter(p, 2)
	enter(p, 2)
	if enter(p, 3).Place == nil || !first.out || second.out || quiet.out {
		t.Errorf("out: first of the heaviest %v, its second %v, the oldest of all %v", first.out, second.out, quiet.out)
	}
}

func TestWhoProvedStays(t *testing.T) {
	t.Parallel()
	p := connlimit.NewPool(connlimit.Limits{All: 3, Each: 2, PerProof: 2, Reserve: 1})
	a, b := enter(p, 1), enter(p, 1)
	a.Prove("x")
	b.Prove("x")
	if m := enter(p, 1); m.Place != nil {
		t.Error("a third place of one client whose others are proved")
	}
	c := enter(p, 2)
	c.Prove("x") // more than PerProof
	d := enter(p, 3)
	if d.Place == nil || !c.out || a.out || b.out {
		t.Errorf("out: %v %v %v", a.out, b.out, c.out)
	}
	d.Prove("y")
	if m := enter(p, 4); m.Place != nil {
		t.Error("let in where all are proved and in use")
	}
	a.Idle(true)
	if m := enter(p, 4); m.Place == nil || !a.out {
		t.Error("one that is idle did not make way")
	}
	if s := p.Stats(); s.Open != 3 || s.Proved != 2 || s.Strangers != 1 || s.Refused != 2 || s.Evicted != 2 {
		t.Errorf("%+v", s)
	}
}

func TestATrustedProxyNeverMakesWay(t *testing.T) {
	t.Parallel()
	p := connlimit.NewPool(connlimit.Limits{All: 2, PerProof: 1})
	a, b := enter(p, 1), enter(p, 1)
	a.Trust()
	b.Trust()
	b.Idle(true)
	if m := enter(p, 2); m.Place != nil || a.out || b.out {
		t.Error("a proxy made way")
	}
}

// TestCounts: whatever happens in whatever order, the counts are those of the places held, and no limit is passed.
func TestCounts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		limits := connlimit.Limits{All: rapid.IntRange(1, 8).Draw(t, "all"), Each: rapid.IntRange(1, 4).Draw(t, "each"), PerProof: rapid.IntRange(1, 3).Draw(t, "per proof")}
		limits.Reserve = rapid.IntRange(0, limits.All-1).Draw(t, "reserve")
		p := connlimit.NewPool(limits)
		var all []*member
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			if len(all) == 0 || rapid.Bool().Draw(t, "enter") {
				if m := enter(p, rapid.IntRange(1, 4).Draw(t, "client")); m.Place != nil {
					all = append(all, m)
				}
			} else {
				i := rapid.IntRange(0, len(all)-1).Draw(t, "who")
				switch m := all[i]; rapid.IntRange(0, 3).Draw(t, "what") {
				case 0:
					m.Leave()
					m.out = true
				case 1:
					m.Know()
				case 2:
					m.Prove(fmt.Sprint(rapid.IntRange(0, 1).Draw(t, "proof")))
				case 3:
					m.Idle(rapid.Bool().Draw(t, "idle"))
				}
			}
			held := 0
			for _, m := range all {
				if !m.out {
					held++
				}
			}
			if s := p.Stats(); s.Open != held || s.Open > limits.All || s.Strangers > limits.All-limits.Reserve || s.Proved > s.Open {
				t.Fatalf("held %d, limits %+v, %+v", held, limits, s)
			}
		}
		for _, m := range all {
			m.Leave()
		}
		if s := p.Stats(); s.Open+s.Strangers+s.Proved != 0 {
			t.Fatalf("nobody is left: %+v", s)
		}
	})
}

func TestClient(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"192.0.2.7": "192.0.2.7/32", "::ffff:192.0.2.7": "192.0.2.7/32", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64",
	} {
		if got := connlimit.Network(netip.MustParseAddr(address)).String(); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
	if connlimit.Client(&net.UnixAddr{}).IsValid() {
		t.Error("a socket without an address is a client")
	}
}

// TestTheClientOfAHeader: behind a proxy the client is the one that the PROXY header names.
func TestTheClientOfAHeader(t *testing.T) {
	t.Parallel()
	raw, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	pool := connlimit.NewPool(connlimit.Limits{All: 10, Each: 1})
	l := &connlimit.Listener{Pool: pool, Listener: &proxyproto.Listener{Listener: raw, ConnPolicy: func(proxyproto.ConnPolicyOptions) (proxyproto.Policy, error) { return proxyproto.USE, nil }}}
	defer l.Close()
	connect := func(client string) (net.Conn, net.Conn) {
		t.Helper()
		out, err := net.Dial("tcp", raw.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { out.Close() })
		header := proxyproto.HeaderProxyFromAddrs(2, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(client)), out.RemoteAddr())
		if _, err := header.WriteTo(out); err != nil {
			t.Fatal(err)
		}
		in, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if got := in.RemoteAddr().String(); got != client {
			t.Errorf("the client is %s, want %s", got, client)
		}
		return out, in
	}
	first, _ := connect("[2001:db8::1]:1000")
	connect("[2001:db8:0:1::1]:1000")
	_, last := connect("[2001:db8::2]:1000") // of the network of the first
	_ = first.SetReadDeadline(time.Now().Add(patient))
	if _, err := first.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the first is open: %v", err)
	}
	if n := pool.Stats().Open; n != 2 {
		t.Errorf("%d are open, want 2", n)
	}
	last.Close()
	last.Close()
	if n := pool.Stats().Open; n != 1 {
		t.Errorf("%d are open, want 1", n)
	}
}

func TestTurns(t *testing.T) {
	t.Parallel()
	turns := connlimit.NewTurns(1, 10)
	done, err := turns.Take(t.Context(), "busy")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var order []string
	var all sync.WaitGroup
	crowded := make(chan struct{}, 20)
	waiting := func(n int) {
		for range 20 { // of one with much to ask
			all.Go(func() {
				done, err := turns.Take(t.Context(), "guesser")
				if errors.Is(err, connlimit.ErrCrowded) {
					crowded <- struct{}{}
					return
				}
				mu.Lock()
				order = append(order, "guesser")
				mu.Unlock()
				done()
			})
		}
		for range n {
			<-crowded
		}
	}
	waiting(10) // ten may wait
	all.Go(func() {
		done, err := turns.Take(t.Context(), "honest")
		if err != nil {
			t.Error(err)
			return
		}
		mu.Lock()
		order = append(order, "honest")
		mu.Unlock()
		done()
	})
	<-crowded // the guesser's last one makes way for the first of somebody else
	done()
	all.Wait()
	if len(order) != 10 || order[0] != "honest" && order[1] != "honest" {
		t.Errorf("in the order %v", order)
	}
}

func TestTurnsOfWhoGoes(t *testing.T) {
	t.Parallel()
	turns := connlimit.NewTurns(1, 10)
	done, err := turns.Take(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancelCause(t.Context())
	why := errors.New("gone")
	cancel(why)
	if _, err := turns.Take(gone, "b"); !errors.Is(err, why) {
		t.Errorf("got %v", err)
	}
	done()
	done()
	if done, err = turns.Take(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	done()
}
