package probe_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	miekg "github.com/miekg/dns"
	"github.com/pires/go-proxyproto"

	"greenroom"
	"greenroom/internal/access/sniproxy"
	"greenroom/internal/certs/localca"
	"greenroom/internal/dns"
	"greenroom/internal/dns/embeddeddns"
	"greenroom/internal/probe"
)

const (
	zone = "desk.localhost"
	host = "i-1.desk.localhost"
)

var loopback = netip.MustParseAddr("127.0.0.1")

// world is a zone, a gateway, an authority and one desktop, all real.
type world struct {
	zone      *embeddeddns.Zone
	authority *localca.Authority
	ca        tls.Certificate // the authority's key and certificate, to forge with
	options   probe.Options
	answer    http.HandlerFunc
	cert      *tls.Certificate // of the desktop
}

// noRecords keeps nothing: the zone serves what it is told all the same.
type noRecords struct{}

func (noRecords) PutRecords(context.Context, []embeddeddns.Record) error { return nil }
func (noRecords) DeleteRecords(context.Context, []string) error          { return nil }
func (noRecords) Record(context.Context, string) (embeddeddns.Record, error) {
	return embeddeddns.Record{}, greenroom.ErrNotFound
}

func (noRecords) Records(context.Context) ([]embeddeddns.Record, error) { return nil, nil }

// newWorld starts all of it. Tests may change the desktop's answer and certificate before they probe.
func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{answer: func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/version" || r.Host != host+":8443" {
			http.NotFound(rw, r)
		}
	}}
	dir := t.TempDir()
	var err error
	if w.authority, err = localca.Open(dir, zone); err != nil {
		t.Fatal(err)
	}
	if w.ca, err = tls.LoadX509KeyPair(filepath.Join(dir, "ca.pem"), filepath.Join(dir, "ca.key")); err != nil {
		t.Fatal(err)
	}
	w.cert = w.issue(t)
	if w.zone, err = embeddeddns.Open(t.Context(), embeddeddns.Options{Zone: zone, Owner: "us", Records: noRecords{}}); err != nil {
		t.Fatal(err)
	}
	w.set(t, host, loopback)

	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener, outside := listen(t), listen(t) // closed after who serves them
	w.run(t, func(ctx context.Context) error { return w.zone.Serve(ctx, packets, listener) })
	g := sniproxy.New(sniproxy.Options{
		Lookup: w.zone.Lookup, Zone: zone, Port: w.desktop(t), Logger: slog.New(slog.DiscardHandler), Drain: 10 * time.Millisecond,
	})
	w.run(t, func(ctx context.Context) error { return g.Serve(ctx, outside) })

	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(w.authority.RootPEM())
	w.options = probe.Options{
		DNSServers: []string{packets.LocalAddr().String()}, DesktopAddr: outside.Addr().String(), Roots: func() *x509.CertPool { return roots }, Timeout: 10 * time.Second,
	}
	return w
}

// desktop serves HTTPS as an agent does, and returns its port.
func (w *world) desktop(t testing.TB) int {
	t.Helper()
	l := listen(t)
	s := &http.Server{
		Handler:   http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { w.answer(rw, r) }),
		ErrorLog:  log.New(io.Discard, "", 0),
		TLSConfig: &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return w.cert, nil }},
	}
	go func() { _ = s.ServeTLS(&proxyproto.Listener{Listener: l}, "", "") }()
	t.Cleanup(func() { s.Close() })
	return l.Addr().(*net.TCPAddr).Port
}

func (w *world) run(t testing.TB, serve func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func (w *world) set(t testing.TB, name string, address netip.Addr) {
	t.Helper()
	if err := w.zone.SetRecords(t.Context(), []dns.Record{{Name: name, Address: address}}); err != nil {
		t.Fatal(err)
	}
}

// issue gives the desktop a certificate in the way that desktops get theirs.
func (w *world) issue(t testing.TB) *tls.Certificate {
	t.Helper()
	key := newKey(t)
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	request := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
	chain, err := w.authority.Issue(t.Context(), request, host, time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(chain)
	return &tls.Certificate{Certificate: [][]byte{block.Bytes}, PrivateKey: key}
}

// forge gives the desktop a certificate that the authority would never sign.
func (w *world) forge(t *testing.T, name string, from, until time.Time) {
	t.Helper()
	key := newKey(t)
	leaf := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotBefore: from, NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, leaf, w.ca.Leaf, key.Public(), w.ca.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	w.cert = &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func newKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// liar is a name server that answers everything with what it is told to.
func liar(t *testing.T, answer func(m *miekg.Msg)) string {
	t.Helper()
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	started := make(chan struct{})
	s := &miekg.Server{PacketConn: packets, NotifyStartedFunc: func() { close(started) }, Handler: miekg.HandlerFunc(func(rw miekg.ResponseWriter, r *miekg.Msg) {
		m := new(miekg.Msg).SetReply(r)
		m.Authoritative = true
		answer(m)
		_ = rw.WriteMsg(m)
	})}
	go func() { _ = s.ActivateAndServe() }()
	<-started
	t.Cleanup(func() { _ = s.Shutdown() })
	return packets.LocalAddr().String()
}

func TestProof(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	began := time.Now()
	proof := probe.New(w.options).Probe(t.Context(), host, loopback)
	if !proof.OK || len(proof.Steps) != 3 || proof.At.Before(began.Add(-time.Second)) {
		t.Fatalf("got %+v", proof)
	}
	for i, want := range []struct{ name, says string }{
		{"dns", host + " is 127.0.0.1, says " + w.options.DNSServers[0]},
		{"tls", "valid for " + host},
		{"page", "https://" + host + ":8443/version answers 200"},
	} {
		if s := proof.Steps[i]; s.Name != want.name || !s.OK || s.Took <= 0 || !strings.Contains(s.Detail, want.says) {
			t.Errorf("got %+v, want %s to say %q", s, want.name, want.says)
		}
	}
}

func TestWithoutListenerTheDesktopItselfIsDialled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, port, _ := net.SplitHostPort(w.options.DesktopAddr)
	w.options.DesktopAddr = ""
	var err error
	if w.options.Port, err = net.LookupPort("tcp", port); err != nil { // the gateway is as good a desktop as any
		t.Fatal(err)
	}
	w.answer = func(http.ResponseWriter, *http.Request) {}
	if proof := probe.New(w.options).Probe(t.Context(), host, loopback); !proof.OK {
		t.Errorf("got %+v", proof)
	}
}

// TestEveryFailureIsNamed breaks one thing of a good world in each case.
func TestEveryFailureIsNamed(t *testing.T) {
	t.Parallel()
	hour := time.Hour
	// These say nothing of the desktop: no answer came, or name servers or greenroom's own listener are not well.
	lost := []string{"NoServerKnown", "NoAnswer", "NobodyThere", "ServerRefuses", "ServerOnlyRepeats", "ConnectionRefused", "NoTLSInTime", "Hangs"}
	for _, c := range []struct {
		failure string
		spoil   func(t *testing.T, w *world)
		step    string
		says    string
	}{
		{"NoServerKnown", func(_ *testing.T, w *world) { w.options.DNSServers = nil }, "dns", "no server"},
		{"NoAnswer", func(t *testing.T, w *world) {
			silent, err := net.ListenPacket("udp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { silent.Close() })
			w.options.DNSServers = append(w.options.DNSServers, silent.LocalAddr().String())
			w.options.Timeout = time.Second
		}, "dns", "gave no answer: it took too long"},
		{"NobodyThere", func(_ *testing.T, w *world) { w.options.DNSServers = []string{"127.0.0.1:1"} }, "dns", "gave no answer: connection refused"},
		{"NoSuchName", func(t *testing.T, w *world) {
			if err := w.zone.DeleteRecords(t.Context(), []string{host}); err != nil {
				t.Fatal(err)
			}
		}, "dns", "says that there is no " + host},
		{"WrongAddress", func(t *testing.T, w *world) { w.set(t, host, netip.MustParseAddr("127.0.0.9")) }, "dns", "is [127.0.0.9], not 127.0.0.1"},
		{"OneServerOfTwoIsWrong", func(t *testing.T, w *world) {
			w.options.DNSServers = append(w.options.DNSServers, liar(t, func(m *miekg.Msg) { m.Rcode = miekg.RcodeNameError }))
		}, "dns", "says that there is no " + host},
		{"NoAddressOfThisType", func(t *testing.T, w *world) { w.options.DNSServers = []string{liar(t, func(*miekg.Msg) {})} }, "dns", "is [], not 127.0.0.1"},
		{"ServerRefuses", func(t *testing.T, w *world) {
			w.options.DNSServers = []string{liar(t, func(m *miekg.Msg) { m.Rcode = miekg.RcodeRefused })}
		}, "dns", "answers REFUSED"},
		{"ServerOnlyRepeats", func(t *testing.T, w *world) {
			w.options.DNSServers = []string{liar(t, func(m *miekg.Msg) { m.Authoritative = false })}
		}, "dns", "does not speak for the zone"},
		{"ConnectionRefused", func(_ *testing.T, w *world) { w.options.DesktopAddr = "127.0.0.1:1" }, "tls", "connection refused"},
		{"ListenerKnowsNoSuchName", func(t *testing.T, w *world) {
			other := newWorld(t)
			other.set(t, host, netip.MustParseAddr("127.0.0.1"))
			if err := other.zone.DeleteRecords(t.Context(), []string{host}); err != nil {
				t.Fatal(err)
			}
			w.options.DesktopAddr = other.options.DesktopAddr
		}, "tls", "knows no desktop called " + host},
		{"NoTLSInTime", func(t *testing.T, w *world) {
			w.options.DesktopAddr, w.options.Timeout = listen(t).Addr().String(), time.Second // accepted by the kernel alone
		}, "tls", "it took too long"},
		{"Expired", func(t *testing.T, w *world) { w.forge(t, host, time.Now().Add(-2*hour), time.Now().Add(-hour)) }, "tls", "valid from"},
		{"NotYetValid", func(t *testing.T, w *world) { w.forge(t, host, time.Now().Add(hour), time.Now().Add(2*hour)) }, "tls", "valid from"},
		{"AboutToExpire", func(t *testing.T, w *world) { w.forge(t, host, time.Now().Add(-hour), time.Now().Add(30*time.Second)) }, "tls", "about to expire"},
		{"WrongName", func(t *testing.T, w *world) { w.forge(t, "i-2."+zone, time.Now().Add(-hour), time.Now().Add(hour)) }, "tls", "not for " + host},
		{"UnknownAuthority", func(t *testing.T, w *world) { w.cert = newWorld(t).cert }, "tls", "not trusted"},
		{"Unwell", func(_ *testing.T, w *world) {
			w.answer = func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusServiceUnavailable) }
		}, "page", "answers 503 Service Unavailable"},
		{"Redirected", func(_ *testing.T, w *world) {
			w.answer = func(rw http.ResponseWriter, r *http.Request) { http.Redirect(rw, r, "/", http.StatusFound) }
		}, "page", "answers 302 Found"},
		{"Hangs", func(_ *testing.T, w *world) {
			w.options.Timeout = time.Second
			w.answer = func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
		}, "page", "did not answer in time"},
		{"HangsUp", func(_ *testing.T, w *world) {
			w.answer = func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
		}, "page", "the connection was closed"},
		{"EndlessPage", func(_ *testing.T, w *world) {
			w.answer = func(rw http.ResponseWriter, _ *http.Request) {
				for {
					if _, err := rw.Write(make([]byte, 1<<16)); err != nil {
						return
					}
				}
			}
		}, "page", "did not answer"},
	} {
		t.Run(c.failure, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c.spoil(t, w)
			began := time.Now()
			proof := probe.New(w.options).Probe(t.Context(), host, loopback)
			last := proof.Steps[len(proof.Steps)-1]
			if proof.OK || last.OK || last.Name != c.step || !strings.Contains(last.Detail, c.says) {
				t.Errorf("got %+v\nwant %s to say %q", proof, c.step, c.says)
			}
			if want := slices.Contains(lost, c.failure); proof.Lost != want {
				t.Errorf("lost is %t, want %t: %+v", proof.Lost, want, proof)
			}
			for _, s := range proof.Steps[:len(proof.Steps)-1] {
				if !s.OK {
					t.Errorf("went on after %+v", s)
				}
			}
			if took := time.Since(began); took > w.options.Timeout+5*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

func TestNamesThatShareOneAddress(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	private := netip.MustParseAddr("10.0.0.7") // the desktop's own, which nobody outside is told
	w.options.NameAddresses = []netip.Addr{loopback}
	if proof := probe.New(w.options).Probe(t.Context(), host, private); !proof.OK {
		t.Errorf("got %+v", proof)
	}
	w.set(t, host, private)
	if proof := probe.New(w.options).Probe(t.Context(), host, private); proof.OK || proof.Steps[0].OK {
		t.Errorf("a name that leads past the gateway: %+v", proof)
	}
}

func TestEndsWithItsContext(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	w.answer = func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	}
	began := time.Now()
	if proof := probe.New(w.options).Probe(ctx, host, loopback); proof.OK || time.Since(began) > 5*time.Second {
		t.Errorf("after %v: %+v", time.Since(began), proof)
	}
}

func BenchmarkProbe(b *testing.B) {
	w := newWorld(b)
	p := probe.New(w.options)
	for b.Loop() {
		if proof := p.Probe(b.Context(), host, loopback); !proof.OK {
			b.Fatalf("got %+v", proof)
		}
	}
}
