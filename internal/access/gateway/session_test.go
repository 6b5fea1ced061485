package gateway_test

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"greenroom/internal/access/gateway"
	"greenroom/internal/certs/localca"
)

func mustURL(tb testing.TB, text string) *url.URL {
	tb.Helper()
	u, err := url.Parse(text)
	if err != nil {
		tb.Fatal(err)
	}
	return u
}

// serial is the certificate that a new connection is shown.
func (r *rig) serial() string {
	r.tb.Helper()
	conn, err := tls.Dial("tcp", r.address, &tls.Config{ServerName: r.teacher.host, RootCAs: r.roots()})
	if err != nil {
		r.tb.Fatal(err)
	}
	defer conn.Close()
	leaf := conn.ConnectionState().PeerCertificates[0]
	if len(leaf.DNSNames) != 1 || leaf.DNSNames[0] != "*."+zone {
		r.tb.Errorf("the gateway's certificate is for %v", leaf.DNSNames)
	}
	return leaf.SerialNumber.String()
}

func TestSessionsLiveThroughRenewal(t *testing.T) {
	t.Parallel()
	authority, err := localca.Open(t.TempDir(), zone)
	if err != nil {
		t.Fatal(err)
	}
	short := &gateway.Keeper{Logger: slog.New(slog.DiscardHandler), Issue: func(ctx context.Context, request []byte, _ time.Time) ([]byte, error) {
		return authority.IssueWildcard(ctx, request, time.Now().Add(5*time.Second-time.Hour)) // the authority adds an hour
	}}
	if err := short.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan error, 1)
	go func() { done <- short.Run(ctx) }()
	r := newRig(t, func(o *gateway.Options) { o.GetCertificate = short.Certificate })
	r.authority = authority
	b := r.browser("127.0.0.1", false)
	r.enter(b, r.teacher)
	conn := b.socket(r.teacher)
	first := r.serial()
	poll(t, "another certificate", func() bool {
		echo(t, conn, "still there")
		return r.serial() != first
	})
	echo(t, conn, "still there")
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestDrain(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *gateway.Options) { o.Drain = patient })
	b := r.browser("127.0.0.1", true)
	r.enter(b, r.teacher)
	sockets := r.browser("127.0.0.1", false)
	sockets.Jar = b.Jar
	conn := sockets.socket(r.teacher)
	ended := make(chan struct{})
	go func() { defer close(ended); r.stop() }()
	poll(t, "the listener to close", func() bool {
		c, err := net.Dial("tcp", r.address)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	echo(t, conn, "I was here before")
	select {
	case <-ended:
		t.Fatal("the gateway stopped under an open session")
	default:
	}
	if err := conn.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}
	<-ended // well before the grace is over
}

func TestDrainIsBounded(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser("127.0.0.1", false)
	r.enter(b, r.teacher)
	conn := b.socket(r.teacher)
	resp, err := b.Get("https://" + r.teacher.host + "/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	r.stop()
	if _, _, err := conn.Read(t.Context()); err == nil {
		t.Error("the session went on")
	}
	if s := r.gateway.Stats(); s.Sessions != 0 || s.Open != 0 {
		t.Errorf("left behind: %+v", s)
	}
}

// TestPassOutlivesTheGateway: whoever is in stays in over a restart, and on any replica.
func TestPassOutlivesTheGateway(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser("127.0.0.1", true)
	r.enter(b, r.teacher)
	b.CloseIdleConnections()
	r.stop()
	again := gateway.New(gateway.Options{Desktops: r.service, Zone: zone, GetCertificate: r.keeper.Certificate, Port: r.port, Logger: r.keeper.Logger, Drain: time.Millisecond})
	l := listen(t, "127.0.0.1:0")
	r.address = l.Addr().String()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- again.Serve(ctx, l) }()
	if got := b.get("https://" + r.teacher.host + "/"); got.StatusCode != http.StatusOK || !strings.Contains(got.body, "teacher") {
		t.Errorf("%s: %s", got.Status, got.body)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestKeeper(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	fails := &gateway.Keeper{Logger: r.keeper.Logger, Issue: func(context.Context, []byte, time.Time) ([]byte, error) { return nil, context.DeadlineExceeded }}
	if err := fails.Open(t.Context()); err == nil {
		t.Error("an issuer that fails is no error")
	}
	liar := &gateway.Keeper{Logger: r.keeper.Logger, Issue: func(context.Context, []byte, time.Time) ([]byte, error) {
		cert, err := r.certify(r.teacher.key, r.teacher.host)
		if err != nil {
			return nil, err
		}
		return pemChain(cert), nil
	}}
	if err := liar.Open(t.Context()); err == nil || !strings.Contains(err.Error(), "another key") {
		t.Errorf("a certificate of another key: %v", err)
	}
}

func pemChain(cert *tls.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]})
}
