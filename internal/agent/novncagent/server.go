package novncagent

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pires/go-proxyproto"

	"greenroom/internal/access/connlimit"
	"greenroom/internal/agent/agentapi"
	"greenroom/internal/agent/link"
	"greenroom/internal/agent/novncagent/static"
)

// Bounds of what is served.
const (
	maxClients  = 128 // TCP connections; strangers make way for others
	maxStranger = 96  // of them without a session
	maxEach     = 48  // of one address, or IPv6 network of 64 bits
	maxSessions = 16
	maxSockets  = 8
	maxNotices  = 32  // open event streams
	maxVerifies = 8   // questions under way to the verifier
	maxWaiting  = 256 // questions that wait for their turn
	maxHeader   = 16 << 10
	headerTime  = 10 * time.Second
	idleTime    = time.Minute
)

// server gives the desktop to its participant.
type server struct {
	listener net.Listener
	http     *http.Server
	control  *link.Control
	report   *link.Watched[agentapi.Report]
	notice   *link.Watched[link.Notice]
	title    string
	role     string
	version  string
	logger   *slog.Logger
	health   health
	sessions *sessions
	sockets  sockets
	ending   atomic.Bool   // the control plane said that the desktop is about to go
	notices  chan struct{} // slots
	verifies *connlimit.Turns
	closing  chan struct{} // closed when open pages must go
	closed   sync.Once
}

func newServer(d *desktop) *server {
	s := &server{
		control: d.control, report: d.report, notice: d.notice, title: d.data.Title, role: d.data.Role,
		version: d.cfg.Version, logger: d.cfg.Logger, sessions: newSessions(),
		notices: make(chan struct{}, maxNotices), verifies: connlimit.NewTurns(maxVerifies, maxWaiting), closing: make(chan struct{}),
	}
	s.sockets.told = s.present
	conf := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: d.key.Serve, NextProtos: []string{"http/1.1"}}
	proxied := &proxyproto.Listener{Listener: d.cfg.Listener, ConnPolicy: trustControlPlane, ReadHeaderTimeout: headerTime}
	pool := connlimit.NewPool(connlimit.Limits{All: maxClients, Each: maxEach, Reserve: maxClients - maxStranger})
	s.listener = tls.NewListener(&connlimit.Listener{Listener: proxied, Pool: pool}, conf)
	s.http = &http.Server{
		Handler: secured(s.routes()), ReadHeaderTimeout: headerTime, IdleTimeout: idleTime, MaxHeaderBytes: maxHeader,
		ErrorLog:  slog.NewLogLogger(d.cfg.Logger.Handler(), slog.LevelDebug), // strangers' handshakes
		ConnState: connlimit.State,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return connlimit.Context(context.WithValue(ctx, wireKey{}, c), c)
		},
	}
	return s
}

// wireKey finds a request's connection in its context.
type wireKey struct{}

// cut closes the connection below TLS at once: a goodbye to a peer that does not answer would wait.
func cut(ctx context.Context) {
	switch c := ctx.Value(wireKey{}).(type) {
	case *tls.Conn:
		_ = c.NetConn().Close()
	case net.Conn:
		_ = c.Close()
	}
}

// trustControlPlane lets only the listener of this machine's control plane say on whose behalf it connects.
// From elsewhere the bytes of such a header are no TLS handshake, and that is the end of it.
func trustControlPlane(o proxyproto.ConnPolicyOptions) (proxyproto.Policy, error) {
	if tcp, ok := o.Upstream.(*net.TCPAddr); ok && tcp.IP.Equal(net.IPv4(127, 0, 0, 1)) {
		return proxyproto.USE, nil
	}
	return proxyproto.SKIP, nil
}

func (s *server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.home)
	mux.HandleFunc("GET /version", s.versionPage)
	mux.HandleFunc("GET /status", s.status)
	mux.HandleFunc("GET /notices", s.streamNotices)
	mux.HandleFunc("GET /websockify", s.websockify)
	files := http.StripPrefix("/static/", http.FileServerFS(static.Dist()))
	mux.HandleFunc("GET /static/{file}", func(w http.ResponseWriter, r *http.Request) {
		// Each desktop has a host name of its own, so what a browser keeps is never of another version.
		w.Header().Set("Cache-Control", "private, max-age=86400, immutable")
		files.ServeHTTP(w, r)
	})
	return mux
}

// secured sets what every answer says to the browser. HSTS is left out: on localhost it would
// reach beyond the desktop.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self' data: blob:; "+
			"connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// run serves until ctx ends and close was called.
func (s *server) run(ctx context.Context) error {
	if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) && ctx.Err() == nil {
		return fmt.Errorf("serve the desktop: %w", err)
	}
	return nil
}

// close tells the open pages the reason, and ends everything that is open, at the latest when ctx ends.
func (s *server) close(ctx context.Context, reason string) {
	s.closed.Do(func() { close(s.closing) })
	s.sockets.closeAll(ctx, reason)
	if err := s.http.Shutdown(ctx); err != nil {
		s.http.Close()
	}
}
