// Package gateway is the listener that participants' browsers reach desktops through when access is by gateway: it ends
// TLS itself with a certificate for the whole zone, lets in who has a token or a pass for the desktop of that name,
// and passes requests and WebSockets on to the desktop, whose key it insists on.
package gateway

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"time"

	"greenroom/internal/access"
	"greenroom/internal/access/backend"
	"greenroom/internal/access/connlimit"
	"greenroom/internal/httpx"
	"greenroom/internal/meetings"
)

// Desktops knows the desktops and who may be in them; *meetings.Service does.
type Desktops interface {
	Way(ctx context.Context, hostname string) (meetings.Way, error)
	Admit(ctx context.Context, hostname, token, client string) (verdict meetings.Verdict, pass string, err error)
	Holds(w meetings.Way, pass string) bool
}

// Options of a Gateway. Zero values stand for the defaults.
type Options struct {
	Desktops       Desktops
	Changes        func(ctx context.Context, meeting string) <-chan struct{} // tells that a meeting changed, so that sessions are cut at once; may be nil
	Zone           string                                                    // names of one label below it are served
	GetCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)      // asked for names below the zone only
	Port           int                                                       // of the desktops; 8443
	Logger         *slog.Logger

	MaxConns     int           // at once; 4096
	MaxPerClient int           // of one IPv4 address or IPv6 network of 64 bits, at once; 256
	HeaderTime   time.Duration // for the handshake, and for a request's header; 10 s
	BodyTime     time.Duration // for a request's body; 30 s
	IdleTime     time.Duration // of a connection between two requests; 1 min
	DialTime     time.Duration // until the desktop must have accepted and proved its key; 5 s
	Drain        time.Duration // that sessions are given to end by themselves when the gateway stops; 3 s
}

// Bounds of what a client may send.
const (
	maxHeader  = 16 << 10
	maxBody    = 1 << 20
	maxToken   = 512
	maxStreams = 64 // HTTP/2 requests of one connection at once
)

// Bounds of the checks of tokens: at once, and that wait for their turn.
const (
	maxChecks  = 32
	maxWaiting = 1024
)

// Gateway passes requests to desktops.
type Gateway struct {
	o      Options
	pool   *connlimit.Pool
	checks *connlimit.Turns // of tokens
	wrong  *httpx.Guesses   // tokens
	proxy  *httputil.ReverseProxy
	back   *http.Transport
	counts access.Counts

	sockets access.Sessions // WebSockets
	guard   *backend.Guard  // of them
}

// New returns a gateway.
func New(o Options) *Gateway {
	o.MaxConns = cmp.Or(o.MaxConns, 4096)
	o.MaxPerClient = cmp.Or(o.MaxPerClient, 256)
	o.HeaderTime = cmp.Or(o.HeaderTime, 10*time.Second)
	o.BodyTime = cmp.Or(o.BodyTime, 30*time.Second)
	o.IdleTime = cmp.Or(o.IdleTime, time.Minute)
	o.Drain = cmp.Or(o.Drain, 3*time.Second)
	g := &Gateway{o: o, checks: connlimit.NewTurns(maxChecks, maxWaiting), wrong: httpx.NewGuesses(time.Second/2, 30),
		pool: connlimit.NewPool(connlimit.Limits{All: o.MaxConns, Each: o.MaxPerClient, PerProof: o.MaxPerClient, Reserve: o.MaxConns / 4})}
	g.back = backend.Transport(backend.Options{Port: o.Port, DialTime: o.DialTime})
	g.guard = &backend.Guard{Way: o.Desktops.Way, Changes: o.Changes}
	g.proxy = g.newProxy()
	return g
}

// Stats returns the counts.
func (g *Gateway) Stats() access.Stats { return g.counts.Stats(g.pool, &g.sockets) }

// Serve passes the listener's requests on until ctx ends. Then it closes the listener, refuses new requests, gives
// sessions Drain to end, cuts the rest and returns nil. If the listener fails it returns that error.
func (g *Gateway) Serve(ctx context.Context, l net.Listener) error {
	base, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	defer g.back.CloseIdleConnections()
	server := g.server(base)
	failed := make(chan error, 1)
	go func() { failed <- server.ServeTLS(&connlimit.Listener{Listener: l, Pool: g.pool}, "", "") }()
	var err error
	select {
	case err = <-failed:
		err = fmt.Errorf("serve desktops: %w", err)
	case <-ctx.Done():
	}
	g.sockets.Stop()
	grace, stop := context.WithTimeoutCause(context.WithoutCancel(ctx), g.o.Drain, errors.New("sessions took longer to end"))
	defer stop()
	if server.Shutdown(grace) != nil {
		_ = server.Close() // what is left is being cut anyway
	}
	left, _ := grace.Deadline()
	g.sockets.Drain(time.Until(left), cut)
	return err
}

func (g *Gateway) server(base context.Context) *http.Server {
	return &http.Server{
		Handler: g, ConnContext: connlimit.Context, ConnState: connlimit.State, BaseContext: func(net.Listener) context.Context { return context.WithValue(base, baseKey{}, base) },
		ReadHeaderTimeout: g.o.HeaderTime, IdleTimeout: g.o.IdleTime, MaxHeaderBytes: maxHeader, DisableGeneralOptionsHandler: true,
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: g.certificate},
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxStreams, MaxReceiveBufferPerConnection: 1 << 20, MaxReceiveBufferPerStream: 256 << 10,
			SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second, WriteByteTimeout: time.Minute,
		},
		ErrorLog: slog.NewLogLogger(g.o.Logger.Handler(), slog.LevelDebug), // strangers' handshakes
	}
}

// certificate answers for names of the zone alone. No certificate makes crypto/tls say that there is no such name,
// which browsers show as what it is.
func (g *Gateway) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if _, ok := g.below(hello.ServerName); !ok {
		return nil, nil //nolint:nilnil // see above
	}
	return g.o.GetCertificate(hello)
}
